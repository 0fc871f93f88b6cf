"""How a state grows out of others: what a commit adds, and what two states make that know of different commits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from .passes import merged_passes
from .schedules import Schedule
from .sessions import merged_epochs
from .state import MOST_COMMITS, MaintenanceState, commit_id, revision_of
from .windows import MaintenanceWindow

Planned = TypeVar("Planned", MaintenanceWindow, Schedule)

_NEVER = datetime.max.replace(tzinfo=UTC)


def stamped(successor: MaintenanceState, before: MaintenanceState, *, unique: str) -> MaintenanceState:
    """Return the successor with the id of the commit that makes it, and what is new in it with that id too."""
    made_by = commit_id(successor.revision, unique)
    known = {window.id for window in before.windows} | {schedule.id for schedule in before.schedules}

    def marked(planned: Planned) -> Planned:
        return planned if planned.created_in or planned.id in known else replace(planned, created_in=made_by)

    return replace(
        successor,
        windows=tuple(map(marked, successor.windows)),
        schedules=tuple(map(marked, successor.schedules)),
        commits=_newest({*before.commits, made_by}),
    )


def merged(known: MaintenanceState, stored: MaintenanceState, *, unique: str) -> MaintenanceState:
    """Return a state that contains both; what either says of a window holds unless the other knows better.

    What one has dropped on purpose, having known the commit that brought it, stays dropped. An end stays an end; of two
    times at which a window closes the later one holds: what is in doubt stays closed to writes.
    """
    revision = max(known.revision, stored.revision) + 1
    windows = {window.id: window for window in _without_dropped(stored.windows, known, known.windows)}
    for window in _without_dropped(known.windows, stored, stored.windows):
        other = windows.get(window.id)
        windows[window.id] = window if other is None else _agreed(window, other)
    schedules = {each.id: each for each in _without_dropped(stored.schedules, known, known.schedules)}
    for schedule in _without_dropped(known.schedules, stored, stored.schedules):
        if schedule.id not in schedules or known.revision > stored.revision:
            schedules[schedule.id] = schedule
    return MaintenanceState(
        revision,
        tuple(sorted(windows.values(), key=lambda window: (window.starts_at, window.id))),
        tuple(schedules.values()),
        _newest({*known.commits, *stored.commits, commit_id(revision, unique)}),
        merged_epochs(known.sessions, stored.sessions),
        passes=merged_passes(known.passes, stored.passes),
        alerts=known.alerts if known.revision > stored.revision else stored.alerts,
        audit=stored.audit,
    )


def _without_dropped(
    planned: Iterable[Planned], other: MaintenanceState, others: Iterable[Planned]
) -> Iterable[Planned]:
    """Return what the other state has too, or has never heard of."""
    ids = {each.id for each in others}
    return (each for each in planned if each.id in ids or each.created_in not in other.commits)


def _agreed(one: MaintenanceWindow, other: MaintenanceWindow) -> MaintenanceWindow:
    ended = [window for window in (one, other) if window.ended_at is not None]
    if ended:
        chosen = min(ended, key=lambda window: window.ended_at or _NEVER)
    else:
        chosen = max((one, other), key=lambda window: window.ends_at or _NEVER)
    return replace(
        chosen,
        lease=None if one.lease is None or other.lease is None else chosen.lease,
        hooks_run=one.hooks_run | other.hooks_run,
        raised=one.raised | other.raised,
    )


def _newest(commits: set[str]) -> tuple[str, ...]:
    return tuple(sorted(commits, key=lambda commit: (revision_of(commit), commit))[-MOST_COMMITS:])
