"""What the stores' collections hold, and the checks that every store makes of what is put there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from ..model import InvalidValueError

MOST_ITEMS = 100_000
"""How many items a collection keeps unless its owner says less; the longest untouched go first."""
MOST_CHANGES = 1_000
"""How many items one call may change."""
LARGEST_ITEM = 1024 * 1024
"""In bytes."""

_NAME = re.compile(r"[a-z][a-z0-9_.]{0,40}")
_LONGEST_KEY = 400


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a collection.

    Attributes:
        key: unique in the collection.
        body: as it was put.
        age: seconds since it was last put, by the store's own clock.
    """

    key: str
    body: bytes
    age: float


class Items(Protocol):
    """Named collections of small items beside the state: ledgers, reports, indices, what waits to be sent.

    No revision comes of them, and a store that lost them is not given them back by the workers. Each call is one step;
    what goes wrong is raised as a store raises it.
    """

    def put(
        self,
        collection: str,
        changes: Mapping[str, bytes | None],
        *,
        expected: Mapping[str, bytes | None] = MappingProxyType({}),
        keep: int = MOST_ITEMS,
        durable: bool = True,
    ) -> bool:
        """Write and remove items in one step, if those expected are as expected; return whether they were.

        Args:
            collection: made when it is first used.
            changes: by key; ``None`` removes; at most ``MOST_CHANGES``.
            expected: bodies that must be there, ``None``: no such item; else nothing changes.
            keep: how many items the collection keeps; those that were put longest ago go.
            durable: whether they must outlive a power cut when this returns; what is renewed every second need not.

        Raises:
            InvalidValueError: a key, a body or a name is not fit, or there are too many changes.
            StoreUnreachableError: whether anything was changed is not known; look.
        """

    def get(self, collection: str, keys: Sequence[str]) -> dict[str, bytes]:
        """Return the bodies of those of the keys that are there."""

    def newest(
        self, collection: str, *, within_seconds: float | None = None, limit: int = 1000, skip: int = 0
    ) -> tuple[Item, ...]:
        """Return items with their ages, the one that was put last first.

        Args:
            collection: its name.
            within_seconds: only those that were put so lately; ``None``: all.
            limit: at most so many.
            skip: leave out so many of the newest.
        """

    def count(self, collection: str, *, within_seconds: float | None = None) -> int:
        """Return how many items there are, or were put so lately."""


def check_collection(collection: str) -> str:
    """Return the name: lower-case letters, digits, ``_`` and ``.``, at most 41 of them."""
    if not _NAME.fullmatch(collection):
        raise InvalidValueError("collection", f"{collection!r:.80} is no name of a collection")
    return collection


def check_changes(changes: Mapping[str, bytes | None], expected: Mapping[str, bytes | None]) -> None:
    """Raise ``InvalidValueError`` for more than a store takes at once, and for keys and bodies that are too long."""
    if len(changes) > MOST_CHANGES or len(expected) > MOST_CHANGES:
        raise InvalidValueError("changes", f"are more than {MOST_CHANGES}")
    for key in (*changes, *expected):
        if not _is_key(key):
            raise InvalidValueError("key", f"{key!r:.80} is no key of 1 to {_LONGEST_KEY} characters without NUL")
    for body in changes.values():
        if body is not None and len(body) > LARGEST_ITEM:
            raise InvalidValueError("body", f"is longer than {LARGEST_ITEM} bytes")


def _is_key(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return 0 < len(key) <= _LONGEST_KEY and "\x00" not in key
