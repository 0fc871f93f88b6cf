"""Five wrong second proofs in a row, then fifteen minutes of silence: counted in the store, for all processes.

A try is counted before the proof is looked at, and taken back when it was right, so that at one moment no more can be
made than one after another. Times are by the store's clock.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..model import StoreCorruptError, StoreUnreachableError

if TYPE_CHECKING:
    from ..stores.items import Items

COLLECTION = "proof_tries"
MOST_TRIES = 5
SILENCE_SECONDS = 900.0

_MOST_KEPT = 10_000
_ATTEMPTS = 50
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer to who wants to try.

    Attributes:
        number: which try in a row this is, from 1; 0: it may not be made.
        silent_seconds: how long no proof is looked at; 0: it may be made.
        turned_away: how many were turned away in a silence that this try finds over.
    """

    number: int
    silent_seconds: float = 0.0
    turned_away: int = 0


@dataclass(frozen=True, slots=True)
class _Found:
    """What is stored of one operator: ages of the tries in seconds, and how many were turned away."""

    body: bytes | None
    tries: tuple[float, ...]
    silent_seconds: float
    away_body: bytes | None
    is_over: bool


class ProofThrottle:
    """Counts the tries of each operator."""

    def __init__(self, items: Items) -> None:
        self._items = items

    def silent_seconds(self, who: str) -> float:
        """Return how long no proof of this operator is looked at; 0: they may try."""
        return self._find(_key(who)).silent_seconds

    def claim(self, who: str) -> Claim:
        """Count a try before it is made; ``forgive`` takes it back.

        Raises:
            StoreError: the store does not answer; the try may not be made.
        """
        key = _key(who)
        for _ in range(_ATTEMPTS):
            found = self._find(key)
            if found.silent_seconds:
                return Claim(0, found.silent_seconds)
            tries = [*found.tries, 0.0]
            changes: dict[str, bytes | None] = {key: _encode(tries)}
            expected = {key: found.body}
            if found.is_over and found.away_body is not None:
                changes[_away(key)], expected[_away(key)] = None, found.away_body
            if self._items.put(COLLECTION, changes, expected=expected, keep=_MOST_KEPT):
                return Claim(len(tries), turned_away=_number(found.away_body) if found.is_over else 0)
        raise StoreUnreachableError("the count of second proofs changes too fast to be written")

    def forgive(self, who: str) -> None:
        """Forget the tries: the last one was right."""
        self._items.put(COLLECTION, {_key(who): None})

    def note_turned_away(self, who: str) -> None:
        """Count one that was not looked at; a few may go uncounted when many come at once."""
        key = _away(_key(who))
        for _ in range(3):
            body = self._items.get(COLLECTION, [key]).get(key)
            written = str(_number(body) + 1).encode("ascii")
            if self._items.put(COLLECTION, {key: written}, expected={key: body}, keep=_MOST_KEPT, durable=False):
                return

    def _find(self, key: str) -> _Found:
        bodies = self._items.get(COLLECTION, [key, _away(key)])
        body, away = bodies.get(key), bodies.get(_away(key))
        if body is None:
            return _Found(None, (), 0.0, away, is_over=away is not None)
        age = self._age(key, body)
        tries = _decode(body)
        if age is None:
            return _Found(body, (), 0.0, away, is_over=True)
        if len(tries) >= MOST_TRIES:
            return _Found(body, tries, max(SILENCE_SECONDS - age, 1.0), away, is_over=False)
        recent = tuple(each + age for each in tries if each + age < SILENCE_SECONDS)
        return _Found(body, recent, 0.0, away, is_over=True)

    def _age(self, key: str, body: bytes) -> float | None:
        """Return the seconds since the last try; ``None``: it is too long ago to count, or was replaced meanwhile."""
        # In one look, however many: an item that moves between two pages would be missed, and a silence with it.
        lately = self._items.newest(COLLECTION, within_seconds=SILENCE_SECONDS, limit=_MOST_KEPT)
        return next((item.age for item in lately if item.key == key and item.body == body), None)


def _key(who: str) -> str:
    return hashlib.sha256(who.encode("utf-8", "surrogatepass")).hexdigest()


def _away(key: str) -> str:
    return f"{key}:away"


def _encode(tries: list[float]) -> bytes:
    # The random part tells apart what otherwise looks the same: compare-and-set must not take one for the other.
    return json.dumps({"tries": tries, "turn": os.urandom(8).hex()}).encode("ascii")


def _decode(body: bytes) -> tuple[float, ...]:
    try:
        raw: dict[str, Any] = json.loads(body)
        return tuple(float(each) for each in raw["tries"])
    except _UNREADABLE as exc:
        raise StoreCorruptError(f"the stored count of second proofs cannot be read: {exc!r:.200}") from exc


def _number(body: bytes | None) -> int:
    return int(body) if body is not None and body.isdigit() else 0
