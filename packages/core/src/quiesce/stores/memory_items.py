"""Collections in memory, for the store of a single process."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from .items import MOST_ITEMS, Item, check_changes, check_collection


class MemoryItems:
    """All collections.

    Args:
        lock: returns what to hold, if the store is open.
    """

    def __init__(self, lock: Callable[[], threading.Lock]) -> None:
        self._lock = lock
        self._items: dict[str, dict[str, tuple[bytes, float]]] = {}

    def put(
        self,
        collection: str,
        changes: Mapping[str, bytes | None],
        *,
        expected: Mapping[str, bytes | None] = MappingProxyType({}),
        keep: int = MOST_ITEMS,
        durable: bool = True,  # noqa: ARG002 - only a file is slower for it
    ) -> bool:
        """Change the items if those expected are as expected; say whether they were."""
        check_changes(changes, expected)
        check_collection(collection)
        with self._lock():
            items = self._items.setdefault(collection, {})
            if any(items.get(key, (None, 0.0))[0] != body for key, body in expected.items()):
                return False
            now = time.monotonic()
            for key, body in changes.items():
                items.pop(key, None)  # so that the order is that in which they were last put
                if body is not None:
                    items[key] = (body, now)
            for key in list(itertools.islice(items, max(len(items) - keep, 0))):
                del items[key]
            return True

    def get(self, collection: str, keys: Sequence[str]) -> dict[str, bytes]:
        """Return the bodies of those that are there."""
        with self._lock():
            items = self._items.get(collection, {})
            return {key: items[key][0] for key in keys if key in items}

    def newest(
        self, collection: str, *, within_seconds: float | None = None, limit: int = 1000, skip: int = 0
    ) -> tuple[Item, ...]:
        """Return items, the one put last first."""
        with self._lock():
            now = time.monotonic()
            items = reversed(self._items.get(collection, {}).items())
            found = (Item(key, body, now - at) for key, (body, at) in items)
            recent = (item for item in found if within_seconds is None or item.age <= within_seconds)
            return tuple(itertools.islice(recent, skip, skip + max(limit, 0)))

    def count(self, collection: str, *, within_seconds: float | None = None) -> int:
        """Return how many there are."""
        with self._lock():
            items = self._items.get(collection, {})
            if within_seconds is None:
                return len(items)
            since = time.monotonic() - within_seconds
            return sum(at >= since for _, at in items.values())
