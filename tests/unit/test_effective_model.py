"""A thousand overlapping windows, planned once and by schedules, against a model that paints minutes."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from quiesce.model import (
    BUILTIN_OPERATIONS,
    MaintenanceState,
    MaintenanceWindow,
    Mode,
    OperationType,
    Schedule,
    effective,
)
from quiesce.testing.clock import NOON

MINUTES = 600
"""All begin and end on this grid, so that borders meet often."""
WINDOWS = 1000
COVERABLE = [each for each in BUILTIN_OPERATIONS if each != OperationType.AUTHENTICATION]
"""Logging in is refused to nobody at the door: what becomes of it is not a matter of coverage."""

Painted = dict[tuple[Mode, str], list[int]]


def at(minute: float) -> datetime:
    return NOON + timedelta(minutes=minute)


def a_plan(chance: random.Random, number: int) -> dict[str, object]:
    names = [operation.name for operation in BUILTIN_OPERATIONS]
    return {
        "id": f"w{number}",
        "mode": chance.choice(list(Mode)),
        "reason": "r",
        "owner": "o",
        "operations": None if chance.random() < 0.5 else frozenset(chance.sample(names, chance.randint(1, 4))),
        "allowed_operations": frozenset(chance.sample(names, 2)) if chance.random() < 0.2 else frozenset(),
    }


def paint(painted: Painted, window: MaintenanceWindow, first: int, last: int) -> None:
    """The model: each minute in which a type is covered gets one more stroke; knows nothing of the product's rules."""
    for operation in BUILTIN_OPERATIONS:
        chosen = (
            operation.is_blocked_by_default(window.mode)
            if window.operations is None
            else (operation.name in window.operations)
        )
        if chosen and operation.name not in window.allowed_operations:
            for minute in range(max(first, 0), min(last, MINUTES)):
                painted[window.mode, operation.name][minute] += 1


def a_world(seed: int) -> tuple[MaintenanceState, Painted]:
    chance = random.Random(seed)
    painted: Painted = {(mode, operation.name): [0] * MINUTES for mode in Mode for operation in BUILTIN_OPERATIONS}
    windows: list[MaintenanceWindow] = []
    schedules: list[Schedule] = []
    total = 0
    while total < WINDOWS:
        first, length = chance.randrange(-50, MINUTES), chance.randint(1, 60)
        plan = a_plan(chance, total)
        if chance.random() < 0.1:
            starts = sorted(chance.sample(range(0, MINUTES, 70), 5))
            schedule = Schedule(
                **plan,  # type: ignore[arg-type] # made of the fields that both kinds have
                rule="FREQ=DAILY",
                zone="UTC",
                first=at(starts[0]).replace(tzinfo=None),
                length=timedelta(minutes=length),
                occurrences=tuple(map(at, starts)),
            )
            schedules.append(schedule)
            total += len(starts)
            ended = chance.choice(starts)
            for start in starts:
                window = schedule.window(at(start))
                if start == ended:  # what an operator ended stands for itself, and is over from that commit on
                    windows.append(replace(window, ended_at=at(start)))
                else:
                    paint(painted, window, start, start + length)
        else:
            window = MaintenanceWindow(
                **plan,  # type: ignore[arg-type] # as above
                starts_at=at(first),
                ends_at=at(first + length) if chance.random() < 0.9 else None,
            )
            windows.append(window)
            total += 1
            paint(painted, window, first, first + length if window.ends_at else MINUTES)
    return MaintenanceState(1, tuple(windows), tuple(schedules)), painted


@settings(max_examples=4)
@given(st.integers(0, 2**32))
def test_a_thousand_windows_agree_with_the_model_at_every_instant(seed: int) -> None:
    """Whatever overlaps, a type is refused in exactly those minutes in which some window covers it."""
    state, painted = a_world(seed)

    for minute in range(MINUTES):
        judged = effective(state, at(minute))
        for operation in COVERABLE:
            refusing = [mode for mode in (Mode.EMERGENCY, Mode.NORMAL) if painted[mode, operation.name][minute]]
            found = judged.blocking(operation)
            assert (found.mode if found else None) == (refusing[0] if refusing else None)
            assert (judged.testing(operation) is not None) == bool(painted[Mode.TEST, operation.name][minute])


@settings(max_examples=4)
@given(st.integers(0, 2**32))
def test_between_two_changes_nothing_changes(seed: int) -> None:
    """A process looks again at ``next_change``, so there must be none before it, and it must come."""
    state, _ = a_world(seed)
    now = at(-60)
    seen = set()

    while (change := (judged := effective(state, now)).next_change) is not None:
        assert change > now
        assert effective(state, change - timedelta(microseconds=1)).windows == judged.windows
        seen.add(change)
        now = change

    borders = {w.starts_at for w in state.windows if w.ended_at is None}
    borders |= {w.ends_at for w in state.windows if w.ended_at is None and w.ends_at is not None}
    assert {border for border in borders if border > at(-60)} <= seen
