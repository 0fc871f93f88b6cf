"""The version that this distribution shares with the core."""

from __future__ import annotations

__version__ = "0.1.0"
