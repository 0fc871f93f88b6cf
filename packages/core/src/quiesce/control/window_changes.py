"""What the commands on open windows make of a state, and what they write about it. Pure.

Each may return the very state that it was given: nothing to do. The revision is the writer's business.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from ..model import EventKind, MaintenanceState, MaintenanceWindow, Mode
from .commands import EnableCommand, choose_open, extend_window, open_window, with_windows, without_windows
from .journal import Journal, describe_opening
from .lifecycle import forgettable
from .transitions import due_transitions, raise_transitions, with_session_policy


def enabled(
    state: MaintenanceState, command: EnableCommand, *, now: datetime, journal: Journal, keep_ended: timedelta
) -> MaintenanceState:
    """Open the window; forget what is long over, because no worker may be there to do it."""
    window = open_window(state, command, now=now)
    journal.tell(EventKind.STARTED, window, action="window.enabled", detail=describe_opening(window))
    over = forgettable(state, now, keep_ended=keep_ended)
    current = with_session_policy(without_windows(state, over), window, at=now)
    return with_windows(current, [replace(window, raised=frozenset({EventKind.STARTED}))])


def ended(
    state: MaintenanceState,
    *,
    window_id: str | None,
    end_all: bool,
    now: datetime,
    journal: Journal,
    by_checklist: str = "",
) -> tuple[MaintenanceState, list[str]]:
    """End the window named, or the only one, or all; return the state and the ids of what was ended.

    ``by_checklist`` says how the checklist at the end of an emergency came out; empty: nobody went through it.
    """
    windows = choose_open(state, now=now, window_id=window_id, choose_all=end_all)
    for window in windows:
        unchecked = "without its checklist" if window.mode is Mode.EMERGENCY else ""
        journal.tell(EventKind.ENDED, window, detail=by_checklist or unchecked)
    changed = [replace(window, ended_at=now, raised=window.raised | {EventKind.ENDED}) for window in windows]
    return with_windows(state, changed), [window.id for window in windows]


def extended(
    state: MaintenanceState, *, window_id: str | None, by: timedelta, now: datetime, journal: Journal
) -> tuple[MaintenanceState, list[str]]:
    """Move estimate and timeout of the window named, or of the only one; return the state and its id."""
    (window,) = choose_open(state, now=now, window_id=window_id)
    journal.tell(EventKind.EXTENDED, window, detail=f"by {by.total_seconds():g} s")
    return with_windows(state, [extend_window(window, by=by)]), [window.id]


def kept(state: MaintenanceState, *, window_id: str, now: datetime, journal: Journal, detail: str) -> MaintenanceState:
    """Take the lease off a window, so that it stays until somebody ends it."""
    window: MaintenanceWindow | None = state.find(window_id)
    if window is None or window.lease is None or not window.is_open(now):
        return state
    journal.note("window.kept", window_id=window_id, detail=detail)
    return with_windows(state, [replace(window, lease=None)])


def noted_quiesced(
    state: MaintenanceState, *, quiet: Collection[str], now: datetime, journal: Journal
) -> MaintenanceState:
    """Raise ``quiesced`` for those windows for which it was not raised yet."""
    due = [each for each in due_transitions(state, now, quiet=quiet) if each.kind is EventKind.QUIESCED]
    return raise_transitions(state, due, journal=journal, now=now)
