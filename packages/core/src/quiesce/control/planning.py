"""What planning makes of a state: windows to come and schedules, checked against what is planned already. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from ..model import (
    IdTakenError,
    InvalidValueError,
    MaintenanceState,
    MaintenanceWindow,
    Mode,
    NoSuchWindowError,
    Schedule,
    SessionPolicy,
    WindowOpenError,
)
from .commands import with_windows
from .recurrence import check_rule, check_zone, to_instant
from .refilling import fill
from .transitions import announcement_mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A checked request for a window to come, or for many of them.

    Attributes:
        start: local time in ``zone`` without a zone, or an instant.
        length: from start to timeout.
        rule: an RFC 5545 rule; empty: one window only.
    """

    id: str
    mode: Mode
    reason: str
    owner: str
    start: datetime
    zone: str
    length: timedelta
    duration: timedelta | None
    rule: str
    operations: frozenset[str] | None
    allowed_operations: frozenset[str]
    announce: tuple[timedelta, ...]
    notify_users: bool
    ticket: str
    sessions: SessionPolicy | None


def make_window(plan: Plan, *, now: datetime) -> MaintenanceWindow:
    """Return the window of a plan without a rule.

    Raises:
        InvalidValueError: it starts in the past, or at a time that does not exist.
    """
    start = _start_instant(plan, now=now)
    return MaintenanceWindow(
        id=plan.id,
        mode=plan.mode,
        reason=plan.reason,
        owner=plan.owner,
        starts_at=start,
        estimated_duration=plan.duration,
        ends_at=start + plan.length,
        operations=plan.operations,
        allowed_operations=plan.allowed_operations,
        notify_users=plan.notify_users,
        ticket=plan.ticket,
        announce=plan.announce,
        sessions=plan.sessions,
        # Who plans less than a day ahead is not told at once that it starts in a day.
        raised=frozenset(announcement_mark(before) for before in plan.announce if start - before <= now),
    )


def make_schedule(plan: Plan, *, now: datetime, may_have_begun: bool = False) -> Schedule:
    """Return the schedule of a plan with a rule; with ``may_have_begun`` its first windows may be long over.

    Raises:
        InvalidValueError: the rule is wrong or gives no window, or its windows overlap each other.
    """
    zone = check_zone(plan.zone)
    local = plan.start if plan.start.tzinfo is None else plan.start.astimezone(zone).replace(tzinfo=None)
    if not may_have_begun:
        _start_instant(plan, now=now)
    schedule = Schedule(
        id=plan.id,
        mode=plan.mode,
        reason=plan.reason,
        owner=plan.owner,
        rule=check_rule(plan.rule),
        zone=plan.zone,
        first=local,
        length=plan.length,
        estimated_duration=plan.duration,
        operations=plan.operations,
        allowed_operations=plan.allowed_operations,
        notify_users=plan.notify_users,
        ticket=plan.ticket,
        announce=plan.announce,
        sessions=plan.sessions,
    )
    filled = fill(schedule, now=now)
    if not filled.occurrences:
        raise InvalidValueError("rrule", "gives no window within the next ten years")
    for before, after in zip(filled.occurrences, filled.occurrences[1:], strict=False):
        if after - before < plan.length:
            raise InvalidValueError("rrule", f"its windows overlap: one starts at {after:%Y-%m-%dT%H:%MZ} already")
    return filled


def check_id_is_free(state: MaintenanceState, id_: str) -> None:
    """Raise ``IdTakenError`` when a window or schedule has this id."""
    if state.find(id_) is not None or state.find_schedule(id_) is not None:
        raise IdTakenError(id_)


def check_overlap(
    state: MaintenanceState, planned: Iterable[MaintenanceWindow], *, now: datetime, replaced: str = ""
) -> None:
    """Raise ``WindowOpenError`` when a planned window would be open together with another of its mode.

    Args:
        state: what is planned already.
        planned: the new ones.
        now: the time (UTC).
        replaced: id of the window or schedule that the new ones take the place of.
    """
    others = [w for w in state.all_windows() if replaced not in {w.id, w.schedule_id} and not w.is_over(now)]
    for window in planned:
        for other in others:
            if window.mode is other.mode and _overlap(window, other):
                raise WindowOpenError(
                    f"{window.mode} window {other.id} is open or planned for the same time, from"
                    f" {other.starts_at:%Y-%m-%dT%H:%MZ}, reason: {other.reason}; ask for the overlap if it is meant",
                    other.id,
                )


def find_planned(state: MaintenanceState, id_: str, *, now: datetime) -> MaintenanceWindow | Schedule:
    """Return the schedule or the window to come of this id.

    Raises:
        NoSuchWindowError: there is none.
        WindowOpenError: it is open already, and so can only be extended or ended.
    """
    schedule = state.find_schedule(id_)
    if schedule is not None:
        return schedule
    window = state.find(id_)
    if window is None or window.is_over(now):
        raise NoSuchWindowError(id_)
    if window.is_open(now):
        raise WindowOpenError(f"window {id_} is open already; extend it, or end it with disable", id_)
    return window


def find(state: MaintenanceState, id_: str) -> MaintenanceWindow | Schedule:
    """Return the window or schedule of this id.

    Raises:
        NoSuchWindowError: there is none.
    """
    found = state.find_schedule(id_) or state.find(id_)
    if found is None:
        raise NoSuchWindowError(id_)
    return found


def with_schedule(state: MaintenanceState, schedule: Schedule, *, now: datetime) -> MaintenanceState:
    """Return the next revision with this schedule in the place of the one of its id, or added."""
    schedules = {known.id: known for known in state.schedules} | {schedule.id: schedule}
    return replace(_keeping_open(state, schedule.id, now=now), schedules=tuple(schedules.values()))


def without_schedule(state: MaintenanceState, schedule: Schedule, *, now: datetime) -> MaintenanceState:
    """Return the next revision without the schedule and what it has yet to open."""
    kept = _keeping_open(state, schedule.id, now=now)
    return replace(
        kept,
        windows=tuple(w for w in kept.windows if w.schedule_id != schedule.id or w.is_open(now) or w.is_over(now)),
        schedules=tuple(known for known in state.schedules if known.id != schedule.id),
    )


def _keeping_open(state: MaintenanceState, schedule_id: str, *, now: datetime) -> MaintenanceState:
    """Return the next revision, in which what this schedule has open stands for itself."""
    return with_windows(state, [w for w in state.all_windows() if w.schedule_id == schedule_id and w.is_open(now)])


def _start_instant(plan: Plan, *, now: datetime) -> datetime:
    local = plan.start
    start = to_instant("start", local, check_zone(plan.zone)) if local.tzinfo is None else local.astimezone(UTC)
    if start <= now:
        raise InvalidValueError("start", f"{start:%Y-%m-%dT%H:%M:%SZ} lies in the past; to begin now, use enable")
    return start


def _overlap(one: MaintenanceWindow, other: MaintenanceWindow) -> bool:
    one_ends, other_ends = one.closes_at, other.closes_at
    return (other_ends is None or one.starts_at < other_ends) and (one_ends is None or other.starts_at < one_ends)
