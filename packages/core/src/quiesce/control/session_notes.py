"""What requests note about sessions, in memory: who is active, and whose were ended; the agent's thread writes it.

Of a session nothing gets into the store but a keyed hash. What a process has noted and not yet written is lost with it.
"""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..logs import log_session_invalidated
from ..model import SessionEpoch
from .session_index import MOST_TRACKERS, SESSIONS, TRACKERS, session_body

if TYPE_CHECKING:
    from ..stores.items import Items

FLUSH_SECONDS = 1.0
RENEW_SECONDS = 10.0
"""How often one process tells of the same session."""

_MOST_NOTED = 5_000
_MOST_REMEMBERED = 20_000
_MOST_LINES = 100
_LONGEST_KEY = 200
_PER_CALL = 500
_PERSON = b"quiesce sessions"

_Note = tuple[str, str, bool, int]

logger = logging.getLogger("quiesce")


class SessionNotes:
    """Takes notes from any thread without a lock; its memory is bounded whatever the traffic.

    Args:
        items: of the store.
        secret: with which the ids of sessions are hashed; the same in every process.
        epoch: says up to where sessions are over, as this process knows it.
        worker_id: says as what this process is registered; ``None``: it is not.
        monotonic: seconds.
    """

    def __init__(
        self,
        *,
        items: Items,
        secret: bytes,
        epoch: Callable[[], SessionEpoch],
        worker_id: Callable[[], str | None],
        monotonic: Callable[[], float],
    ) -> None:
        self._items = items
        self._secret = secret
        self._epoch = epoch
        self._worker_id = worker_id
        self._monotonic = monotonic
        self._remembered: set[_Note] = set()
        self._pending: list[_Note] = []
        self._lines: list[tuple[str, str]] = []
        self._more_lines = itertools.count()
        self._more_lines_seen = 0
        self._is_tracking = self._has_overflowed = self._has_failed = False
        self._flush_at = self._renew_at = float("-inf")

    def note(self, session_key: str, *, user_id: str, is_admin: bool, generation: int) -> None:
        """Note that a session is active; what was noted within ten seconds costs a look into a set."""
        note = (session_key, user_id, is_admin, generation)
        if note in self._remembered:
            return
        self._is_tracking = True
        if len(session_key) > _LONGEST_KEY or len(user_id) > _LONGEST_KEY:
            note = (self._hashed(session_key), user_id[:_LONGEST_KEY], is_admin, generation)
            if note in self._remembered:
                return
        if len(self._pending) >= _MOST_NOTED:
            self._has_overflowed = True
            return
        if len(self._remembered) < _MOST_REMEMBERED:
            self._remembered.add(note)
        self._pending.append(note)

    def log_invalidated(self, user: str, reason: str) -> None:
        """Have a line logged; of more than a hundred in a second the rest is summed up."""
        if len(self._lines) < _MOST_LINES:
            self._lines.append((user, reason))
        else:
            next(self._more_lines)

    def turn(self) -> None:
        """Write down what there is, once a second; for the agent's thread. Never raises."""
        if self._monotonic() >= self._flush_at:
            self.flush()

    def flush(self) -> None:
        """Write down what there is now. Never raises."""
        now = self._monotonic()
        self._flush_at = now + FLUSH_SECONDS
        self._write_lines()
        if not self._is_tracking:
            return
        try:
            self._write_activity(now)
            self._has_failed = False
        except Exception as exc:  # noqa: BLE001 -- a plugin's store may raise anything, and the agent must live on
            self._forget(exc)

    def _write_lines(self) -> None:
        lines = self._lines[:]
        del self._lines[: len(lines)]
        for user, reason in lines:
            log_session_invalidated(user=user, reason=reason)
        number = next(self._more_lines)
        unlogged, self._more_lines_seen = number - self._more_lines_seen, number + 1
        if unlogged:
            logger.info("[MAINTENANCE] Session invalidated: %d more, not listed", unlogged)

    def _write_activity(self, now: float) -> None:
        notes = self._pending[:]
        del self._pending[: len(notes)]
        worker_id = self._worker_id()
        if now >= self._renew_at and worker_id is not None:
            self._remembered = set()
            overflowed, self._has_overflowed = self._has_overflowed, False
            self._items.put(TRACKERS, {worker_id: json.dumps(overflowed).encode()}, keep=MOST_TRACKERS, durable=False)
            self._renew_at = now + RENEW_SECONDS
        epoch = self._epoch()
        for is_admin in (False, True):
            # An admin's session counts in every generation; another's that has ended meanwhile is no news.
            found = {
                self._hashed(key): session_body(user_id, generation)
                for key, user_id, admin, generation in notes
                if admin is is_admin and (admin or generation >= epoch.valid_from)
            }
            keys = list(found)
            for start in range(0, len(keys), _PER_CALL):
                part = {key: found[key] for key in keys[start : start + _PER_CALL]}
                mine, other = SESSIONS[is_admin], SESSIONS[not is_admin]
                self._items.put(mine.name, part, keep=mine.keep, durable=False)
                self._items.put(other.name, dict.fromkeys(part), keep=other.keep, durable=False)

    def _forget(self, exc: Exception) -> None:
        """Give up what could not be written; those who stay active are noted anew."""
        self._remembered = set()
        if not self._has_failed:
            self._has_failed = True
            logger.warning("sessions that are active could not be noted: %s", exc)

    def _hashed(self, session_key: str) -> str:
        from hashlib import blake2b  # noqa: PLC0415 - a command hashes nothing

        return blake2b(
            session_key.encode("utf-8", "surrogatepass"), key=self._secret, person=_PERSON, digest_size=16
        ).hexdigest()
