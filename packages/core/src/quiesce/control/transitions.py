"""The events that time brings about: which are due, and the marks by which none is raised twice. Pure.

Whoever commits next raises what is due; compare-and-set on the revision and a mark in the window make that once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..model import EventKind, MaintenanceState, MaintenanceWindow, SessionPolicy
from .commands import with_windows
from .journal import Journal

EXPIRING_BEFORE = timedelta(minutes=10)
"""How long before its timeout a window is said to expire; half its length when it is shorter than twice this."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One event that is due.

    Attributes:
        marks: what is added to the window's ``raised``.
        at: when it became true (UTC), which may be long ago when no process lived.
    """

    window: MaintenanceWindow
    kind: EventKind
    marks: frozenset[str]
    at: datetime
    detail: str = ""


def due_transitions(
    state: MaintenanceState, now: datetime, *, quiet: Collection[str] = (), lost: Collection[str] = ()
) -> list[Transition]:
    """Return what has become true and was not raised yet, in the order in which it is to be told.

    Args:
        state: as committed.
        now: the time (UTC).
        quiet: ids of the windows for which the system was just proved to be quiet.
        lost: ids of the windows whose holder's lease has lapsed.
    """
    return [due for window in state.all_windows() for due in _due(window, now, quiet=quiet, lost=lost)]


def raise_transitions(
    state: MaintenanceState, due: Collection[Transition], *, journal: Journal, now: datetime
) -> MaintenanceState:
    """Return the state with the marks of what was raised, at the same revision; a lost holder's window may end."""
    changed: dict[str, MaintenanceWindow] = {}
    current = state
    for transition in due:
        window = changed.get(transition.window.id, transition.window)
        window = replace(window, raised=window.raised | transition.marks)
        journal.tell(transition.kind, window, at=transition.at, detail=transition.detail)
        lease = window.lease
        if transition.kind is EventKind.HOLDER_LOST and lease is not None and lease.releases:
            window = replace(window, ended_at=now, raised=window.raised | {EventKind.ENDED})
            journal.tell(EventKind.ENDED, window, detail="released because its holder was lost")
        if transition.kind is EventKind.STARTED:
            current = with_session_policy(current, window, at=now)
        changed[window.id] = window
    return replace(with_windows(current, changed.values()), revision=state.revision) if changed else state


def with_session_policy(state: MaintenanceState, window: MaintenanceWindow, *, at: datetime) -> MaintenanceState:
    """Return the state in which a window that has started did to sessions what it does to them."""
    if not window.mode.is_enforced or window.session_policy is not SessionPolicy.REVOKE:
        return state
    return replace(state, sessions=state.sessions.revoked(at=at, window_id=window.id))


def _due(
    window: MaintenanceWindow, now: datetime, *, quiet: Collection[str], lost: Collection[str]
) -> Iterator[Transition]:
    if window.is_cancelled:
        return
    if not window.is_open(now) and not window.is_over(now):
        yield from _announcements(window, now)
        return
    closes_at = window.closes_at
    yield from _once(window, EventKind.STARTED, window.starts_at)
    if closes_at is not None and window.is_over(now):
        yield from _once(window, EventKind.ENDED, closes_at)
        return
    completion, lead = window.estimated_completion, _expiring_at(window)
    yield from _once(window, EventKind.QUIESCED, now, when=window.id in quiet and window.mode.is_enforced)
    yield from _once(window, EventKind.OVERRUN, completion or now, when=completion is not None and completion <= now)
    yield from _once(window, EventKind.EXPIRING, lead or now, when=lead is not None and lead <= now)
    holder = window.lease.holder if window.lease else ""
    yield from _once(window, EventKind.HOLDER_LOST, now, when=bool(holder) and window.id in lost, detail=holder)


def _once(
    window: MaintenanceWindow, kind: EventKind, at: datetime, *, when: bool = True, detail: str = ""
) -> Iterator[Transition]:
    if when and kind not in window.raised:
        yield Transition(window, kind, frozenset({kind}), at, detail)


def _announcements(window: MaintenanceWindow, now: datetime) -> Iterator[Transition]:
    """Return the nearest announcement that is due; farther ones that were missed are marked with it."""
    passed = sorted(before for before in window.announce if window.starts_at - before <= now)
    if passed and announcement_mark(passed[0]) not in window.raised:
        minutes = round((window.starts_at - now).total_seconds() / 60)
        marks = frozenset(map(announcement_mark, passed))
        at = window.starts_at - passed[0]
        yield Transition(window, EventKind.STARTING_SOON, marks, at, f"starts in {minutes} minutes")


def announcement_mark(before: timedelta) -> str:
    """Return the mark of an announcement so long before the start."""
    return f"{EventKind.STARTING_SOON}:{before.total_seconds():g}"


def _expiring_at(window: MaintenanceWindow) -> datetime | None:
    if window.ends_at is None:
        return None
    return window.ends_at - min(EXPIRING_BEFORE, (window.ends_at - window.starts_at) / 2)
