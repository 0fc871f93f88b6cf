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
from .session_index import MOST_TRACKERS, SESSIONS, TRACKERS, session_body, user_of

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

_LOOKS = 3
"""How many flushes long a session is looked for that another process may be about to tell of."""
_ESTIMATE_SECONDS = 900.0

_Note = tuple[str, str | None, bool, int]

logger = logging.getLogger("quiesce")


class SessionNotes:
    """Takes notes from any thread without a lock; its memory is bounded whatever the traffic.

    Args:
        items: of the store.
        secret: with which the ids of sessions are hashed; the same in every process.
        epoch: says up to where sessions are over, as this process knows it.
        worker_id: says as what this process is registered; ``None``: it is not.
        monotonic: seconds.

    Attributes:
        remembered: what need not be noted again, for a look before the call.
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
        self.remembered: set[_Note] = set()
        self._pending: list[_Note] = []
        self._sought: dict[str, tuple[int, int]] = {}
        self._unnamed_at = float("-inf")
        self._lines: list[tuple[str, str]] = []
        self._more_lines = itertools.count()
        self._more_lines_seen = 0
        self._is_tracking = self._has_overflowed = self._has_failed = self._has_unnamed = False
        self._flush_at = self._renew_at = float("-inf")

    def note(self, session_key: str, *, user_id: str | None, is_admin: bool, generation: int) -> None:
        """Note that a session is active; what was noted within ten seconds costs a look into a set.

        Args:
            session_key: tells it from others.
            user_id: whose; ``None``: whose the index says, if it knows the session; without a key it cannot.
            is_admin: whether they are an admin.
            generation: of the sessions that count now.
        """
        note: _Note = (session_key, user_id, is_admin, generation)
        if note in self.remembered:
            return
        self._is_tracking = True
        if user_id is None and not session_key:
            self._has_unnamed = True
            return
        if len(session_key) > _LONGEST_KEY or (user_id is not None and len(user_id) > _LONGEST_KEY):
            shortened = None if user_id is None else user_id[:_LONGEST_KEY]
            note = (self._hashed(session_key), shortened, is_admin, generation)
            if note in self.remembered:
                return
        if len(self._pending) >= _MOST_NOTED:
            self._has_overflowed = True
            return
        if len(self.remembered) < _MOST_REMEMBERED:
            self.remembered.add(note)
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
        is_due = now >= self._renew_at and worker_id is not None
        if is_due:
            self.remembered = set()
        epoch = self._epoch()
        # An admin's session counts in every generation; another's that has ended meanwhile is no news.
        named = {
            self._hashed(key): (user_id, is_admin, generation)
            for key, user_id, is_admin, generation in notes
            if user_id is not None and (is_admin or generation >= epoch.valid_from)
        }
        self._seek(notes, named)
        for is_admin in (False, True):
            keys = [key for key, (_, is_other, _) in named.items() if is_other is is_admin]
            for start in range(0, len(keys), _PER_CALL):
                page = keys[start : start + _PER_CALL]
                part = {key: session_body(named[key][0], named[key][2]) for key in page}
                mine, other = SESSIONS[is_admin], SESSIONS[not is_admin]
                self._items.put(mine.name, part, keep=mine.keep, durable=False)
                self._items.put(other.name, dict.fromkeys(part), keep=other.keep, durable=False)
        is_news = self._has_unnamed and now - self._unnamed_at >= _ESTIMATE_SECONDS
        if (is_due or is_news) and worker_id is not None:
            if self._has_unnamed:
                self._has_unnamed, self._unnamed_at = False, now
            overflowed, self._has_overflowed = self._has_overflowed, False
            is_estimate = overflowed or now - self._unnamed_at < _ESTIMATE_SECONDS
            self._items.put(TRACKERS, {worker_id: json.dumps(is_estimate).encode()}, keep=MOST_TRACKERS, durable=False)
            self._renew_at = now + RENEW_SECONDS

    def _seek(self, notes: list[_Note], named: dict[str, tuple[str, bool, int]]) -> None:
        """Add to what is named the sessions of which only the index may know whose they are."""
        sought, self._sought = self._sought, {}
        for key, user_id, _, generation in notes:
            if user_id is None:
                sought.setdefault(self._hashed(key), (generation, _LOOKS))
        keys = [key for key in sought if key not in named]
        for start in range(0, len(keys), _PER_CALL):
            page = keys[start : start + _PER_CALL]
            for is_admin, collection in enumerate(SESSIONS):
                for key, body in self._items.get(collection.name, page).items():
                    named[key] = (user_of(body), bool(is_admin), sought[key][0])
        for key in keys:
            generation, looks = sought[key]
            if key in named:
                continue
            if looks > 1 and len(self._sought) < _MOST_NOTED:
                self._sought[key] = (generation, looks - 1)
            else:
                self._has_unnamed = True

    def _forget(self, exc: Exception) -> None:
        """Give up what could not be written; those who stay active are noted anew."""
        self.remembered = set()
        if not self._has_failed:
            self._has_failed = True
            logger.warning("sessions that are active could not be noted: %s", exc)

    def _hashed(self, session_key: str) -> str:
        from hashlib import blake2b  # noqa: PLC0415 - a command hashes nothing

        return blake2b(
            session_key.encode("utf-8", "surrogatepass"), key=self._secret, person=_PERSON, digest_size=16
        ).hexdigest()
