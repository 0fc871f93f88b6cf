"""What each command makes of a state; pure, so that a commit that lost the race can be tried again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..model import (
    AmbiguousWindowError,
    EventKind,
    InvalidValueError,
    Lease,
    MaintenanceState,
    MaintenanceWindow,
    Mode,
    NoOpenWindowError,
    SessionPolicy,
    WindowOpenError,
    effective,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnableCommand:
    """A checked request to open a window now."""

    window_id: str
    mode: Mode
    reason: str
    owner: str
    duration: timedelta | None
    timeout: timedelta | None
    default_timeout: timedelta
    operations: frozenset[str] | None
    notify_users: bool
    allowed_operations: frozenset[str] = frozenset()
    ticket: str = ""
    lease: Lease | None = None
    may_overlap: bool = False
    sessions: SessionPolicy | None = None


def sessions_of(mode: Mode, asked: SessionPolicy | None, *, emergencies_end_sessions: bool) -> SessionPolicy | None:
    """Return what a window is to do to sessions: an emergency may keep them, if nothing is said."""
    if asked is None and mode is Mode.EMERGENCY and not emergencies_end_sessions:
        return SessionPolicy.KEEP
    return asked


def open_window(state: MaintenanceState, command: EnableCommand, *, now: datetime) -> MaintenanceWindow:
    """Return the window to add.

    Raises:
        WindowOpenError: a window of this mode is open already, and no overlap was asked for.
        InvalidValueError: the timeout comes before the estimate.
    """
    for window in effective(state, now).windows:
        if window.mode is command.mode and not command.may_overlap:
            message = (
                f"{window.mode} maintenance is on already: window {window.id}, opened by {window.owner}"
                f" at {window.starts_at:%Y-%m-%dT%H:%M:%SZ}, reason: {window.reason}"
            )
            raise WindowOpenError(message, window.id)
    timeout = command.timeout
    if timeout is not None and command.duration is not None and timeout < command.duration:
        raise InvalidValueError("timeout", "is shorter than the estimated duration")
    # What a program holds ends when the program says so: a half-done migration must not be opened by a timer.
    if timeout is None and command.mode is not Mode.EMERGENCY and command.lease is None:
        timeout = max(command.default_timeout, command.duration or timedelta(0))
    return MaintenanceWindow(
        id=command.window_id,
        mode=command.mode,
        reason=command.reason,
        owner=command.owner,
        starts_at=now,
        is_immediate=True,
        estimated_duration=command.duration,
        ends_at=None if timeout is None else now + timeout,
        operations=command.operations,
        allowed_operations=command.allowed_operations,
        notify_users=command.notify_users,
        ticket=command.ticket,
        lease=command.lease,
        sessions=command.sessions,
    )


def choose_open(
    state: MaintenanceState, *, now: datetime, window_id: str | None, choose_all: bool = False
) -> tuple[MaintenanceWindow, ...]:
    """Return the open windows that a command is about.

    Raises:
        NoOpenWindowError: none is open, or not the one named.
        AmbiguousWindowError: several are open and the command names none.
    """
    windows = effective(state, now).windows
    if window_id is not None:
        windows = tuple(window for window in windows if window.id == window_id)
        if not windows:
            raise NoOpenWindowError(f"window {window_id!r:.80} is not open")
    if not windows:
        raise NoOpenWindowError("no maintenance window is open")
    if len(windows) > 1 and not choose_all:
        raise AmbiguousWindowError([window.id for window in windows])
    return windows


def extend_window(window: MaintenanceWindow, *, by: timedelta) -> MaintenanceWindow:
    """Return the window with estimate and timeout both moved; it can pass its estimate, and expire, once more.

    Raises:
        InvalidValueError: it has neither, so that there is nothing to move, or the calendar ends before.
    """
    if window.estimated_duration is None and window.ends_at is None:
        raise InvalidValueError("window", f"{window.id} has neither an estimate nor a timeout to extend")
    estimate, ends_at = window.estimated_duration, window.ends_at
    try:
        if estimate is not None:
            estimate += by
            _ = window.starts_at + estimate
        if ends_at is not None:
            ends_at += by
    except OverflowError:
        raise InvalidValueError("by", "moves the window beyond the year 9999") from None
    raised = window.raised - {EventKind.OVERRUN, EventKind.EXPIRING}
    return replace(window, estimated_duration=estimate, ends_at=ends_at, raised=raised)


def with_windows(state: MaintenanceState, changed: Iterable[MaintenanceWindow]) -> MaintenanceState:
    """Return the next revision, with these windows in place of those of the same id, or added."""
    windows = {window.id: window for window in state.windows} | {window.id: window for window in changed}
    return replace(state, revision=state.revision + 1, windows=tuple(windows.values()))


def without_windows(state: MaintenanceState, ids: Iterable[str]) -> MaintenanceState:
    """Return the next revision without these windows, and without the recurrences that would bring them back."""
    gone = frozenset(ids)
    schedules = tuple(
        replace(schedule, occurrences=left)
        if len(left := tuple(start for start in schedule.occurrences if schedule.window_id(start) not in gone))
        < len(schedule.occurrences)
        else schedule
        for schedule in state.schedules
    )
    windows = tuple(window for window in state.windows if window.id not in gone)
    return replace(state, revision=state.revision + 1, windows=windows, schedules=schedules)


def without_expired_passes(state: MaintenanceState, now: datetime) -> MaintenanceState:
    """Return the state without passes that have expired, at the same revision; the very state if there are none."""
    kept = tuple(each for each in state.passes if now < each.expires_at)
    return state if len(kept) == len(state.passes) else replace(state, passes=kept)
