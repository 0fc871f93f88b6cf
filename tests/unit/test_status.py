"""What the public is told."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from quiesce.control import MaintenanceStatus
from quiesce.control.status import describe_status
from quiesce.model import BUILTIN_OPERATIONS, MaintenanceState, MaintenanceWindow, Mode
from quiesce.testing.clock import NOON


def a_window(mode: Mode = Mode.NORMAL, *, minutes: float | None = None) -> MaintenanceWindow:
    return MaintenanceWindow(
        id=f"id-{mode}",
        mode=mode,
        reason=f"reason of {mode}",
        owner="anna",
        starts_at=NOON,
        estimated_duration=None if minutes is None else timedelta(minutes=minutes),
    )


def describe(*windows: MaintenanceWindow) -> MaintenanceStatus:
    return describe_status(
        MaintenanceState(4, windows), now=NOON, operations=BUILTIN_OPERATIONS, is_stale=False, active_jobs=3
    )


def test_nothing_open() -> None:
    """The quiet answer, without a leftover of the last window."""
    status = describe(dataclasses.replace(a_window(), ended_at=NOON))

    assert not status.is_active
    assert (status.mode, status.reason, status.message, status.estimated_duration) == (None, "", "", 0)
    assert (status.started_at, status.estimated_completion, status.ends_at) == (None, None, None)
    assert (status.blocked_operations, status.windows, status.revision) == ((), (), 4)
    assert status.active_jobs_count == 3


def test_strictest_window_is_told_and_the_blocked_types_add_up() -> None:
    """Users see the emergency, not the routine window beneath it."""
    status = describe(
        a_window(Mode.TEST), a_window(minutes=30), dataclasses.replace(a_window(Mode.EMERGENCY), operations=frozenset())
    )

    assert (status.mode, status.reason) == (Mode.EMERGENCY, "reason of emergency")
    assert [window.mode for window in status.windows] == [Mode.EMERGENCY, Mode.NORMAL, Mode.TEST]
    assert "job_creation" in {operation.name for operation in status.blocked_operations}
    assert "read_operations" not in {operation.name for operation in status.blocked_operations}


def test_estimate_is_told_in_seconds() -> None:
    """The guide's unit."""
    status = describe(a_window(minutes=30))

    assert status.estimated_duration == 1800
    assert status.estimated_completion == NOON + timedelta(minutes=30)


@pytest.mark.parametrize("mode", list(Mode))
def test_users_are_told_of_what_concerns_them(mode: Mode) -> None:
    """A test window must not alarm anybody."""
    status = describe(a_window(mode))

    assert status.is_active
    assert bool(status.message) == mode.is_enforced
    assert bool(status.blocked_operations) == mode.is_enforced


def test_the_next_window_is_the_nearest_that_will_refuse_something() -> None:
    """Users plan around it; neither a rehearsal nor what is open, over or cancelled is ahead of them."""
    hour = timedelta(hours=1)
    later, next_ = (
        dataclasses.replace(a_window(), id=name, starts_at=NOON + hours * hour) for name, hours in (("b", 9), ("a", 2))
    )
    rehearsal = dataclasses.replace(a_window(Mode.TEST), starts_at=NOON + hour)
    cancelled = dataclasses.replace(a_window(Mode.EMERGENCY), starts_at=NOON + hour, ended_at=NOON)

    assert describe(later, a_window(), rehearsal, next_, cancelled).next_window == next_
    assert describe(a_window(), rehearsal, cancelled).next_window is None
