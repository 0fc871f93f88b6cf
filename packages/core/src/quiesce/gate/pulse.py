"""How often a worker is heard of, and how long it goes on without its agent's turn."""

from __future__ import annotations

HEARTBEAT_SECONDS = 1.0
LEASE_SECONDS = 5.0
"""How long a process admits writes after its agent last had its turn; the leader's lease is as long."""
STALE_SECONDS = 15.0
"""The same while the store does not answer: longer, since each question to it may take seconds to fail."""
ASK_FOR_SILENT_SECONDS = 3.0
"""How often an agent asks who is silent; an answer costs the store as much as another heartbeat."""
RETRY_SECONDS = 0.25
"""How soon an agent asks a store again that did not answer."""
POLL_SECONDS = 0.02
"""How often an agent looks at the board's word where no bell tells it of news, and at what is in flight."""
