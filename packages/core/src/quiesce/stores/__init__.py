"""Where the one truth lies: memory, SQLite, Redis, or a plugin's own."""

from __future__ import annotations

from .base import Change, Store
from .opening import StoreOpener, open_store

__all__ = ["Change", "Store", "StoreOpener", "open_store"]
