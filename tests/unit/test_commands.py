"""What each command makes of a state."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from quiesce.control.commands import (
    EnableCommand,
    choose_open,
    extend_window,
    open_window,
    with_windows,
    without_windows,
)
from quiesce.model import (
    AmbiguousWindowError,
    InvalidValueError,
    MaintenanceState,
    MaintenanceWindow,
    Mode,
    NoOpenWindowError,
    WindowOpenError,
)
from quiesce.testing.clock import NOON

HOUR = timedelta(hours=1)
DEFAULT = 2 * HOUR


def a_command(mode: Mode = Mode.NORMAL, **changes: object) -> EnableCommand:
    command = EnableCommand(
        window_id="new",
        mode=mode,
        reason="upgrade",
        owner="anna",
        duration=None,
        timeout=None,
        default_timeout=DEFAULT,
        operations=None,
        notify_users=True,
    )
    return replace(command, **changes)  # type: ignore[arg-type] # a test passes what it likes


def a_window(window_id: str = "w", mode: Mode = Mode.NORMAL, **changes: object) -> MaintenanceWindow:
    window = MaintenanceWindow(id=window_id, mode=mode, reason="first", owner="bob", starts_at=NOON)
    return replace(window, **changes)  # type: ignore[arg-type] # a test passes what it likes


def a_state(*windows: MaintenanceWindow) -> MaintenanceState:
    return MaintenanceState(7, windows)


@pytest.mark.parametrize(
    ("mode", "duration", "timeout", "expected"),
    [
        (Mode.NORMAL, None, None, DEFAULT),
        (Mode.NORMAL, HOUR, None, DEFAULT),
        (Mode.NORMAL, 5 * HOUR, None, 5 * HOUR),
        (Mode.NORMAL, HOUR, HOUR, HOUR),
        (Mode.NORMAL, HOUR, 9 * HOUR, 9 * HOUR),
        (Mode.TEST, None, None, DEFAULT),
        (Mode.TEST, 5 * HOUR, None, 5 * HOUR),
        (Mode.EMERGENCY, None, None, None),
        (Mode.EMERGENCY, HOUR, None, None),
        (Mode.EMERGENCY, HOUR, 2 * HOUR, 2 * HOUR),
    ],
)
def test_timeout_rules(
    mode: Mode, duration: timedelta | None, timeout: timedelta | None, expected: timedelta | None
) -> None:
    """Design §4: the default from the start unless given, never before the estimate, none for an emergency."""
    window = open_window(a_state(), a_command(mode, duration=duration, timeout=timeout), now=NOON)

    assert window.ends_at == (None if expected is None else NOON + expected)
    assert window.estimated_duration == duration
    assert window.starts_at == NOON


@pytest.mark.parametrize("mode", Mode)
def test_timeout_before_the_estimate_is_refused(mode: Mode) -> None:
    """Such a window would end in the middle of the work it announces."""
    with pytest.raises(InvalidValueError) as caught:
        open_window(a_state(), a_command(mode, duration=HOUR, timeout=HOUR - timedelta.resolution), now=NOON)

    assert caught.value.field == "timeout"


@pytest.mark.parametrize("mode", Mode)
def test_second_window_of_a_mode_names_the_first(mode: Mode) -> None:
    """The operator who lost the race learns who won, when and why."""
    with pytest.raises(WindowOpenError) as caught:
        open_window(a_state(a_window(mode=mode)), a_command(mode), now=NOON)

    assert caught.value.window_id == "w"
    for fact in (str(mode), "w", "bob", "first", "2031-05-04T12:00:00Z"):
        assert fact in str(caught.value)


def test_windows_of_other_modes_and_ended_ones_do_not_stand_in_the_way() -> None:
    """An emergency can always be added, and what is over never blocks."""
    state = a_state(a_window("n"), a_window("t", Mode.TEST), a_window("e", Mode.EMERGENCY, ended_at=NOON))

    assert open_window(state, a_command(Mode.EMERGENCY), now=NOON).id == "new"


def test_only_open_window_is_meant_without_a_name() -> None:
    """An operator under pressure types ``disable`` and nothing more."""
    state = a_state(a_window("over", ended_at=NOON), a_window("w"))

    assert [window.id for window in choose_open(state, now=NOON, window_id=None)] == ["w"]


@pytest.mark.parametrize("window_id", [None, "w", "other", "x" * 10_000], ids=["none", "over", "unknown", "long"])
def test_nothing_open_is_a_conflict(window_id: str | None) -> None:
    """It is said, and not taken for done."""
    with pytest.raises(NoOpenWindowError) as caught:
        choose_open(a_state(a_window(ended_at=NOON)), now=NOON, window_id=window_id)

    assert len(str(caught.value)) < 200


def test_several_open_windows_must_be_named() -> None:
    """The message lists what may be named."""
    state = a_state(a_window("n"), a_window("e", Mode.EMERGENCY))

    with pytest.raises(AmbiguousWindowError) as caught:
        choose_open(state, now=NOON, window_id=None)

    assert caught.value.window_ids == ("e", "n")
    assert [w.id for w in choose_open(state, now=NOON, window_id="n")] == ["n"]
    assert [w.id for w in choose_open(state, now=NOON, window_id=None, choose_all=True)] == ["e", "n"]
    assert [w.id for w in choose_open(state, now=NOON, window_id="n", choose_all=True)] == ["n"]


def test_extend_moves_estimate_and_timeout() -> None:
    """Both, so that one never overtakes the other."""
    window = a_window(estimated_duration=HOUR, ends_at=NOON + DEFAULT)

    extended = extend_window(window, by=HOUR)

    assert (extended.estimated_duration, extended.ends_at) == (2 * HOUR, NOON + DEFAULT + HOUR)
    assert extended.estimated_completion == NOON + 2 * HOUR


def test_extend_invents_neither_estimate_nor_timeout() -> None:
    """An emergency without a timeout must not get one by being extended."""
    estimated = extend_window(a_window(estimated_duration=HOUR), by=HOUR)
    limited = extend_window(a_window(ends_at=NOON + HOUR), by=HOUR)

    assert (estimated.estimated_duration, estimated.ends_at) == (2 * HOUR, None)
    assert (limited.estimated_duration, limited.ends_at) == (None, NOON + 2 * HOUR)
    with pytest.raises(InvalidValueError):
        extend_window(a_window(), by=HOUR)


@pytest.mark.parametrize("window", [a_window(estimated_duration=HOUR), a_window(ends_at=NOON + HOUR)])
def test_extending_beyond_the_calendar_is_refused(window: MaintenanceWindow) -> None:
    """Else every status after it would raise."""
    year = timedelta(days=366)

    def extend_for_ever() -> None:
        nonlocal window
        for _ in range(10_000):
            window = extend_window(window, by=year)

    with pytest.raises(InvalidValueError) as caught:
        extend_for_ever()

    assert caught.value.field == "by"
    assert window.estimated_completion is None or window.estimated_completion.year <= 9999


def test_each_change_is_one_revision() -> None:
    """The revision grows by one each commit, whatever the number of windows."""
    state = a_state(a_window("a"), a_window("b"))

    changed = with_windows(state, [a_window("b", Mode.TEST), a_window("c")])
    left = without_windows(state, ["a", "unknown"])

    assert (changed.revision, [window.id for window in changed.windows]) == (8, ["a", "b", "c"])
    assert changed.windows[1].mode is Mode.TEST
    assert (left.revision, [window.id for window in left.windows]) == (8, ["b"])
