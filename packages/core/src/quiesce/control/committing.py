"""Carrying a change into the store: read, compute, compare-and-set, publish; again when another was faster."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from ..clock import Clock
from ..gate import CAPACITY_BYTES, Board, reseed
from ..model import (
    NO_HEAD,
    AuditChain,
    AuditHead,
    BoardError,
    InvalidValueError,
    MaintenanceState,
    RevisionConflictError,
    StoreCorruptError,
    StoreUnreachableError,
    stamped,
)
from ..model.codec import decode_state, encode_state
from ..stores import Store
from .audit_facts import with_facts
from .journal import Journal

Change = Callable[[MaintenanceState], tuple[MaintenanceState, Journal] | None]
"""From a state to the next one and what is written with it, or ``None``: nothing to do. It may raise, and may be
called again."""

Commit = Callable[[Change], MaintenanceState]
"""Carries a change into the store, and returns what the store then holds."""

SPARE_BYTES = 16 * 1024
"""What a command that adds a window leaves free, so that what is open can always be ended and marked."""

_NEWEST = 1_000
"""How many records are searched for the end of the chain."""
_TRIES = 20
_SOME_TIME = datetime(2027, 1, 1, tzinfo=UTC)

logger = logging.getLogger("quiesce")


class Committer:
    """The one way by which a state gets into the store."""

    def __init__(
        self, *, store: Store, clock: Clock, board: Callable[[], Board | None], chain: AuditChain | None = None
    ) -> None:
        self._store = store
        self._chain = chain or AuditChain()
        self._clock = clock
        self._board = board
        self.told_after: int | None = None
        """The revision before the first events that were committed here; ``None``: there were none."""

    def load(self) -> MaintenanceState:
        """Return the state of the store, after mending a store that is behind what this machine knows.

        Raises:
            StoreError: the store does not answer, or cannot be read.
        """
        known = self._shown()  # before the store is asked: what is shown is in it by then, unless it has lost it
        state = self._store.load()
        if known is None or state.contains(known):
            return state
        return reseed(self._store, known, actor="service", clock=self._clock, chain=self._chain)

    def commit(self, change: Change, *, spare_bytes: int = 0) -> MaintenanceState:
        """Commit what ``change`` makes of the state, publish it on this machine, and return it.

        Raises:
            InvalidValueError: the state would outgrow what can be shared between processes.
            StoreError: the store does not answer; whether the commit happened is then unknown.
        """
        for _ in range(_TRIES):
            state = self.load()
            changed = change(state)
            if changed is None:
                return state
            successor, journal = stamped(changed[0], state, unique=os.urandom(4).hex()), changed[1]
            records = with_facts(journal.records, before=state, after=successor)
            left = NO_HEAD if state.audit.has_begun or not state.revision else self._left_of_chain()
            records, head = self._chain.extend(records, after=state, left=left)
            successor = replace(successor, audit=journal.dropped_from(head))
            if len(encode_state(successor)) + _to_come(successor, spare_bytes) > CAPACITY_BYTES - spare_bytes:
                raise InvalidValueError(
                    "window", "there are too many windows; those that are over go after MAINTENANCE_CLEANUP_INTERVAL"
                )
            try:
                self._store.commit(successor, expected_revision=state.revision, audit=records, events=journal.events)
            except RevisionConflictError:
                continue  # judged anew on what the other made of it, which may raise a conflict that says so
            if journal.events and self.told_after is None:
                self.told_after = state.revision
            self.publish(successor)
            return successor
        raise StoreUnreachableError(f"store {self._store.url} changes too fast to be written to")

    def _left_of_chain(self) -> AuditHead:
        """Return where the chain stands by the newest records, for a state that does not say it."""
        try:
            newest = self._store.audit(limit=_NEWEST)
        except StoreCorruptError:  # the trail is verified by who asks; a command is carried out all the same
            return NO_HEAD
        last = next((record for record in reversed(newest) if record.hash), None)
        return NO_HEAD if last is None else AuditHead(last.number, last.hash)

    def publish(self, state: MaintenanceState) -> None:
        """Show the state to the processes of this machine; without a board they find it within a second."""
        board = self._board()
        if board is None or board.word[()] == state.revision:
            return
        try:
            board.publish(state.revision, encode_state(state))
        except BoardError as exc:
            logger.warning("%s; the workers of this machine will see revision %d within a second", exc, state.revision)

    def _shown(self) -> MaintenanceState | None:
        """Return what the processes of this machine are shown."""
        board = self._board()
        newest = None if board is None else board.read()
        if newest is None:
            return None
        try:
            return decode_state(newest[1])
        except StoreCorruptError as exc:
            logger.warning("board of this machine: %s", exc)
            return None


def _to_come(state: MaintenanceState, spare_bytes: int) -> int:
    """Return the bytes that the schedules' windows will take when they open and are marked; two of each at a time."""
    if not spare_bytes or not state.schedules:
        return 0
    return 2 * len(encode_state(MaintenanceState(0, tuple(each.window(_SOME_TIME) for each in state.schedules))))
