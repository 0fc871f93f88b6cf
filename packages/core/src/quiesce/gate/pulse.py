"""How often a worker is heard of, and how long it goes on without its agent's turn."""

from __future__ import annotations

HEARTBEAT_SECONDS = 1.0
LEASE_SECONDS = 5.0
"""How long a process admits writes after its agent last had its turn; the leader's lease is as long."""
STALE_SECONDS = 15.0
"""The same while the store does not answer: longer, since each question to it may take seconds to fail."""
