"""The index of sessions that were active lately: bounded collections beside the state; an estimate, never a proof."""

from __future__ import annotations

import heapq
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ..model import ActiveSession, SessionEpoch, SessionStats

if TYPE_CHECKING:
    from ..stores.items import Item, Items

MOST_LISTED = 10_000
"""How far back a list reaches."""
TRACKERS = "sessions.trackers"
"""The workers that tell of activity; the body says whether one saw more than it could note."""
MOST_TRACKERS = 10_000

_TRACKED_SECONDS = 60.0
_FORGOTTEN_AFTER = timedelta(days=1)
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Collection:
    """Where sessions of one kind are kept, and how many."""

    name: str
    keep: int


SESSIONS = (Collection("sessions.users", 100_000), Collection("sessions.admins", 10_000))
"""Of everyone else, and of admins."""


class SessionIndex:
    """Asks the collections, and clears them of what is over."""

    def __init__(self, items: Items) -> None:
        self._items = items

    def stats(self, epoch: SessionEpoch, *, now: datetime, within: timedelta) -> SessionStats:
        """Return how many sessions were active within this span."""
        seconds = within.total_seconds()
        users, admins = SESSIONS
        trackers = self._items.newest(TRACKERS, within_seconds=_TRACKED_SECONDS, limit=MOST_TRACKERS)
        is_full = any(self._items.count(each.name) >= each.keep for each in SESSIONS)
        of_admins = self._items.count(admins.name, within_seconds=seconds)
        since = seconds
        if epoch.valid_after is not None:  # whoever was active before has no session any more
            since = min(seconds, (now - epoch.valid_after).total_seconds())
        of_users = self._items.count(users.name, within_seconds=since) if since > 0 else 0
        ended = self._ended_one_by_one(epoch, seconds=since) if epoch.users and of_users else 0
        is_known = bool(trackers or of_users or of_admins)
        return SessionStats(
            users=max(of_users - ended, 0) if is_known else None,
            admins=of_admins if is_known else None,
            within=within,
            is_estimate=is_full
            or not trackers
            or any(tracker.body == b"true" for tracker in trackers)
            or (bool(epoch.users) and of_users > MOST_LISTED),
            is_tracked=bool(trackers),
        )

    def list(self, epoch: SessionEpoch, *, limit: int, skip: int) -> tuple[ActiveSession, ...]:
        """Return the sessions of the index, the one that was active last first."""
        both = (self._newest(is_admin=is_admin, most=skip + limit, epoch=epoch) for is_admin in (False, True))
        merged = heapq.merge(*both, key=lambda session: session.idle)
        return tuple(itertools.islice(merged, skip, skip + limit))

    def count(self) -> int:
        """Return how many sessions are kept, ended ones included."""
        return sum(self._items.count(each.name) for each in SESSIONS)

    def count_ended(self, epoch: SessionEpoch, *, now: datetime) -> int | None:
        """Return about how many of the kept sessions were over with this epoch; ``None``: not known."""
        users = SESSIONS[0].name
        kept = self._items.count(users)
        if epoch.valid_after is None or not (kept or self.is_tracked()):
            return None
        since = max((now - epoch.valid_after).total_seconds(), 0.0)
        return max(kept - self._items.count(users, within_seconds=since), 0)

    def is_tracked(self) -> bool:
        """Whether a worker has told of activity in the last minute."""
        return bool(self._items.count(TRACKERS, within_seconds=_TRACKED_SECONDS))

    def clean(self, epoch: SessionEpoch) -> int:
        """Take out what is over or was not active for a day; return how many.

        One that becomes active again meanwhile may go too, and is back within ten seconds.
        """
        gone = 0
        for is_admin, collection in enumerate(SESSIONS):
            found = self._newest(is_admin=bool(is_admin), most=collection.keep, epoch=epoch)
            over = [session.id for session in found if session.is_over or session.idle >= _FORGOTTEN_AFTER]
            for start in range(0, len(over), _PAGE):
                part: dict[str, bytes | None] = dict.fromkeys(over[start : start + _PAGE])
                self._items.put(collection.name, part, keep=collection.keep, durable=False)
            gone += len(over)
        return gone

    def _ended_one_by_one(self, epoch: SessionEpoch, *, seconds: float) -> int:
        found = self._newest(is_admin=False, most=MOST_LISTED, epoch=epoch)
        recent = itertools.takewhile(lambda session: session.idle.total_seconds() <= seconds, found)
        return sum(session.is_over for session in recent)

    def _newest(self, *, is_admin: bool, most: int, epoch: SessionEpoch) -> Iterator[ActiveSession]:
        for start in range(0, most, _PAGE):
            limit = min(_PAGE, most - start)
            page = self._items.newest(SESSIONS[is_admin].name, limit=limit, skip=start)
            yield from (_session(item, is_admin=is_admin, epoch=epoch) for item in page)
            if len(page) < limit:
                return


def session_body(user_id: str, generation: int) -> bytes:
    """Return what the index keeps of a session."""
    return json.dumps([user_id, generation]).encode()


def user_of(body: bytes) -> str:
    """Return whose session a body of the index is."""
    return _read(body)[0]


def _read(body: bytes) -> tuple[str, int]:
    try:
        user_id, generation = json.loads(body)
        return str(user_id), int(generation)
    except (ValueError, TypeError):  # written by another version, or by hand
        return "?", 0


def _session(item: Item, *, is_admin: bool, epoch: SessionEpoch) -> ActiveSession:
    user_id, generation = _read(item.body)
    return ActiveSession(
        id=item.key,
        user_id=user_id,
        is_admin=is_admin,
        idle=timedelta(seconds=max(item.age, 0.0)),
        is_over=not is_admin and epoch.is_over(user_id, stamp=generation, issued_at=None),
    )
