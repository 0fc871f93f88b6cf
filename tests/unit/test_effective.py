"""What is in force: every instant, against a model that asks each window by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.model import (
    BUILTIN_OPERATIONS,
    EffectiveMaintenance,
    MaintenanceState,
    MaintenanceWindow,
    Mode,
    OperationType,
    effective,
)
from quiesce.testing.clock import NOON

LAST = 12
"""Windows and questions lie on a grid of so many minutes, so that borders meet often."""


def at(minute: float) -> datetime:
    return NOON + timedelta(minutes=minute)


minutes = st.integers(0, LAST)
types = st.sets(st.sampled_from([operation.name for operation in BUILTIN_OPERATIONS]), min_size=1).map(frozenset)
# Made once, because hypothesis checks each strategy anew.
numbers, modes, flags, types_or_none = st.integers(0, 5), st.sampled_from(Mode), st.booleans(), st.none() | types
spans_or_none = st.none() | minutes.map(lambda m: timedelta(minutes=m))
instants_or_none = st.none() | minutes.map(at)
seldom_instants = st.none() | st.none() | minutes.map(at)


@st.composite
def states(draw: st.DrawFn) -> MaintenanceState:
    windows = [
        MaintenanceWindow(
            id=f"w{number}",
            mode=draw(modes),
            reason="r",
            owner="o",
            starts_at=at(draw(minutes)),
            estimated_duration=draw(spans_or_none),
            ends_at=draw(instants_or_none),
            is_immediate=draw(flags),
            ended_at=draw(seldom_instants),
            operations=draw(types_or_none),
        )
        for number in range(draw(numbers))
    ]
    return MaintenanceState(len(windows), tuple(windows))


def is_open(window: MaintenanceWindow, now: datetime) -> bool:
    """The model: written apart from the product, from the design's words."""
    if window.ended_at is not None or (now < window.starts_at and not window.is_immediate):
        return False
    return window.ends_at is None or now < window.ends_at


def refuses(state: MaintenanceState, operation: OperationType, now: datetime) -> bool:
    for window in state.windows:
        if window.mode is Mode.TEST or not is_open(window, now):
            continue
        covered = (
            window.mode in operation.blocked_in if window.operations is None else operation.name in window.operations
        )
        if covered and operation != OperationType.AUTHENTICATION:  # refused to nobody at the door
            return True
    return False


@given(states(), st.integers(-2, 2 * LAST + 2))
def test_agrees_with_the_model_at_every_instant(state: MaintenanceState, half_minute: int) -> None:
    """Every decision stands on this function, so no overlap and no border may surprise it."""
    now = at(half_minute / 2)

    judged = effective(state, now)

    expected = {window.id for window in state.windows if is_open(window, now)}
    assert {window.id for window in judged.windows} == expected
    assert judged.is_active == bool(expected)
    for operation in BUILTIN_OPERATIONS:
        assert (judged.blocking(operation) is not None) == refuses(state, operation, now)
    assert set(judged.blocked(BUILTIN_OPERATIONS)) == {o for o in BUILTIN_OPERATIONS if refuses(state, o, now)}


@given(states(), st.integers(-2, 2 * LAST + 2))
def test_nothing_changes_before_next_change(state: MaintenanceState, half_minute: int) -> None:
    """Workers judge anew at this instant only; were it too late, a closed gate would stand open."""
    now = at(half_minute / 2)

    judged = effective(state, now)

    for later in range(half_minute + 1, 2 * LAST + 4):
        then = at(later / 2)
        if judged.next_change is not None and then >= judged.next_change:
            break
        assert effective(state, then).windows == judged.windows
    if judged.next_change is not None:
        assert judged.next_change > now


@given(states(), st.integers(-2, 2 * LAST + 2))
def test_next_change_is_exact_for_windows_that_ever_open(state: MaintenanceState, half_minute: int) -> None:
    """A needless instant costs every worker its cached decisions."""
    now = at(half_minute / 2)
    sound = replace(state, windows=tuple(w for w in state.windows if is_open(w, w.starts_at)))

    judged = effective(sound, now)

    if judged.next_change is not None:
        assert effective(sound, judged.next_change).windows != judged.windows


@given(states(), st.integers(0, 2 * LAST), st.integers(0, 4))
def test_ending_one_window_leaves_the_others_open(state: MaintenanceState, half_minute: int, index: int) -> None:
    """Overlapping windows cannot end each other."""
    now = at(half_minute / 2)
    before = effective(state, now).windows
    if not before:
        return
    ended = before[index % len(before)]
    windows = tuple(replace(w, ended_at=now) if w.id == ended.id else w for w in state.windows)

    after = effective(MaintenanceState(state.revision + 1, windows), now).windows

    assert after == tuple(window for window in before if window.id != ended.id)


@given(states(), st.integers(0, 2 * LAST))
def test_strictest_mode_leads(state: MaintenanceState, half_minute: int) -> None:
    """Emergency over normal over test, whatever the order of opening."""
    judged = effective(state, at(half_minute / 2))

    ranks = [window.mode.strictness for window in judged.windows]
    assert ranks == sorted(ranks, reverse=True)
    assert judged.mode is (judged.windows[0].mode if ranks else None)
    assert all(window.mode is not Mode.TEST for window in judged.enforced)


def test_test_window_refuses_nothing_and_names_what_it_would() -> None:
    """Test mode judges live traffic and blocks nothing."""
    window = MaintenanceWindow(id="t", mode=Mode.TEST, reason="r", owner="o", starts_at=NOON)

    judged = effective(MaintenanceState(1, (window,)), NOON)

    assert judged.is_active
    assert judged.blocked(BUILTIN_OPERATIONS) == ()
    assert judged.testing(OperationType.JOB_CREATION) is window
    assert judged.testing(OperationType.READ_OPERATIONS) is None


@pytest.mark.parametrize(
    ("mode", "passing"),
    [
        (Mode.NORMAL, {"admin_operations", "read_operations", "authentication"}),
        (Mode.EMERGENCY, {"authentication"}),
    ],
)
def test_defaults_are_the_guides_table(mode: Mode, passing: set[str]) -> None:
    """The guide promises which of its types each mode blocks."""
    window = MaintenanceWindow(id="w", mode=mode, reason="r", owner="o", starts_at=NOON)

    blocked = effective(MaintenanceState(1, (window,)), NOON).blocked(BUILTIN_OPERATIONS)

    assert {operation.name for operation in BUILTIN_OPERATIONS} - {operation.name for operation in blocked} == passing


def test_start_belongs_to_the_window_and_its_end_does_not() -> None:
    """Two windows that touch neither overlap nor leave a gap."""
    window = MaintenanceWindow(id="w", mode=Mode.NORMAL, reason="r", owner="o", starts_at=at(1), ends_at=at(2))
    state = MaintenanceState(1, (window,))

    assert effective(state, at(1) - timedelta.resolution) == EffectiveMaintenance((), at(1))
    assert effective(state, at(1)) == EffectiveMaintenance((window,), at(2))
    assert effective(state, at(2) - timedelta.resolution) == EffectiveMaintenance((window,), at(2))
    assert effective(state, at(2)) == EffectiveMaintenance((), None)
