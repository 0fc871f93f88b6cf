"""A claim on a notifier's place: whoever holds it sends, nobody else; it lapses unless it is renewed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from ..model import QuiesceError, StoreUnreachableError
from .outbox_notes import read_places, write_place
from .outbox_rules import Place

if TYPE_CHECKING:
    from ..stores.items import Items

CLAIM_SECONDS = 6.0
"""After so long without a renewal its holder is taken for dead, by the store's clock."""

_TRIES = 20

logger = logging.getLogger("quiesce")


class ClaimLostError(QuiesceError):
    """Raised when somebody else has taken the place over; what is not written yet is theirs to find out."""


class Claim:
    """One holder's claim on one place, whose changes go through it.

    Args:
        items: of the store.
        name: of the notifier.
        holder: unique to this claim.
        seconds: after which it lapses.
    """

    def __init__(self, items: Items, name: str, *, holder: str, seconds: float = CLAIM_SECONDS) -> None:
        self._items = items
        self._name = name
        self._holder = holder
        self._seconds = seconds
        self._lock = threading.Lock()
        self._place = Place(cursor="")
        self._body: bytes | None = None

    @property
    def place(self) -> Place:
        """As this claim wrote it last."""
        return self._place

    def take(self, *, first_cursor: str, may: Callable[[Place], bool]) -> bool:
        """Take the claim if nobody holds it and the place allows it; return whether it was taken.

        Args:
            first_cursor: where a notifier begins that has no place yet.
            may: judges the place as it is.

        Raises:
            StoreError: the store does not answer, or cannot be read.
        """
        found = read_places(self._items).get(self._name)
        place, age, body = (Place(cursor=first_cursor, since=first_cursor), 0.0, None) if found is None else found
        if place.is_claimed(age_seconds=age) or not may(place):
            return False
        with self._lock:
            mine = replace(place, claimed_by=self._holder, claim_seconds=self._seconds)
            return self._put(mine, expected=body, durable=found is None)

    def write(self, change: Callable[[Place], Place], *, durable: bool = False) -> Place:
        """Change the place, whatever an operator changes meanwhile, and so renew the claim; return it.

        Raises:
            ClaimLostError: somebody else holds it.
            StoreError: the store does not answer.
        """
        with self._lock:
            for _ in range(_TRIES):
                if self._put(change(self._place), expected=self._body, durable=durable):
                    return self._place
                found = read_places(self._items).get(self._name)
                if found is None or found[0].claimed_by != self._holder:
                    raise ClaimLostError(f"the claim on notifier {self._name} was taken over")
                self._place, _, self._body = found
        raise StoreUnreachableError(f"the place of notifier {self._name} changes too fast to be written")

    def release(self, change: Callable[[Place], Place]) -> None:
        """Change the place a last time and give the claim up; raises what ``write`` raises.

        Only what moves on, or is switched off, must outlive a power cut; the time of a retry is not worth a wait.
        """
        place = change(self._place)
        is_durable = place.cursor != self._place.cursor or place.is_off
        self.write(lambda place: replace(change(place), claimed_by="", claim_seconds=0.0), durable=is_durable)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the claim again and again while the block runs."""
        done = threading.Event()
        thread = threading.Thread(target=self._keep, args=(done,), name=f"quiesce-claim-{self._name}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _keep(self, done: threading.Event) -> None:
        while not done.wait(self._seconds / 3):
            try:
                self.write(lambda place: place)
            except ClaimLostError:
                return
            except Exception as exc:  # noqa: BLE001 - a plugin's store may raise anything; the next beat may succeed
                logger.warning("claim on notifier %s was not renewed: %s", self._name, exc)

    def _put(self, place: Place, *, expected: bytes | None, durable: bool) -> bool:
        body = write_place(self._items, self._name, place, expected=expected, durable=durable)
        if body is None:
            return False
        self._place, self._body = replace(place, beat=place.beat + 1), body
        return True
