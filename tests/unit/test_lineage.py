"""States that know of different commits: which contains which, and what becomes of both when a store lost something."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.gate.reseeding import reseed
from quiesce.model import (
    MOST_COMMITS,
    BypassPass,
    Lease,
    MaintenanceState,
    MaintenanceWindow,
    Mode,
    Schedule,
    merged,
    stamped,
)
from quiesce.stores.memory import MemoryStore
from quiesce.testing import FakeClock
from quiesce.testing.clock import NOON

HOUR = timedelta(hours=1)
EMPTY = MaintenanceState()
_numbers = itertools.count()


@pytest.fixture
def store() -> Iterator[MemoryStore]:
    store = MemoryStore()
    yield store
    store.close()


def a_window(window_id: str = "w", **changes: Any) -> MaintenanceWindow:
    window = MaintenanceWindow(
        id=window_id, mode=Mode.NORMAL, reason="r", owner="o", starts_at=NOON, ends_at=NOON + HOUR, is_immediate=True
    )
    return replace(window, **changes)


def after(before: MaintenanceState, *windows: MaintenanceWindow, unique: str = "") -> MaintenanceState:
    """The next commit: these windows, and no others."""
    return stamped(MaintenanceState(before.revision + 1, windows), before, unique=unique or f"n{next(_numbers)}")


def ids(state: MaintenanceState) -> list[str]:
    return [window.id for window in state.windows]


def commit(store: MemoryStore, *windows: MaintenanceWindow) -> MaintenanceState:
    before = store.load()
    state = after(before, *windows)
    store.commit(state, expected_revision=before.revision, audit=[])
    return state


def test_a_state_contains_what_it_came_from_and_nothing_else() -> None:
    """Two commits may bear one revision; only what a state came from can be given up for it."""
    root = after(EMPTY, a_window("root"))
    one, other = after(root, unique="1"), after(root, unique="2")

    assert one.revision == other.revision
    assert one.contains(root)
    assert one.contains(one)
    assert one.contains(EMPTY)
    assert not root.contains(one)
    assert not one.contains(other)
    assert not EMPTY.contains(root)


def test_a_long_history_is_cut_at_its_old_end() -> None:
    """A worker that slept through a hundred commits comes back as one of long ago, not as one from another world."""
    root = state = after(EMPTY)
    for _ in range(MOST_COMMITS + 5):
        state = after(state)

    assert len(state.commits) == MOST_COMMITS
    assert state.contains(root)
    assert not state.contains(replace(root, revision=state.revision, commits=(f"{state.revision:x}.foreign",)))


def test_two_states_never_share_a_revision_for_long(store: MemoryStore, clock: FakeClock) -> None:
    """A machine that knows more than the one that re-seeds first would stay closed for ever, alone."""
    far = after(after(EMPTY))
    near = after(far, a_window())

    reseed(store, far, actor="worker:b", clock=clock)  # comes first after the loss
    held = reseed(store, near, actor="worker:a", clock=clock)

    assert ids(held) == ["w"]
    assert held.contains(near)
    assert store.load() == held


def test_what_was_committed_survives_although_the_other_machine_has_gone_on(
    store: MemoryStore, clock: FakeClock
) -> None:
    """A greater revision is no proof of knowing more, once the store has begun anew."""
    far = after(after(EMPTY))
    near = after(far, a_window())

    reseed(store, far, actor="worker:b", clock=clock)
    for number in range(4):
        commit(store, a_window(f"new-{number}"))
    held = reseed(store, near, actor="worker:a", clock=clock)

    assert ids(held) == ["new-3", "w"]


def test_an_end_stays_an_end_whoever_knew_more_before_the_loss(store: MemoryStore, clock: FakeClock) -> None:
    """An end that an operator was told of must not be undone by a machine that had not heard of it."""
    far = after(EMPTY, a_window())
    near = after(after(after(far, *far.windows), *far.windows), *far.windows)

    begun = reseed(store, far, actor="worker:b", clock=clock)
    commit(store, replace(begun.windows[0], ended_at=NOON))
    held = reseed(store, near, actor="worker:a", clock=clock)

    assert [window.ended_at for window in held.windows] == [NOON]


@pytest.mark.parametrize("who_dropped", ["stored", "known"])
def test_what_one_side_has_dropped_on_purpose_stays_dropped(who_dropped: str) -> None:
    """An operator ended it, it was cleared away, and then a machine comes back that saw it open."""
    root = after(EMPTY, a_window())
    dropped = after(after(root, replace(root.windows[0], ended_at=NOON)))
    stale = after(root, *root.windows, a_window("other"), unique="stale")

    pair = (stale, dropped) if who_dropped == "stored" else (dropped, stale)

    assert ids(merged(*pair, unique="m")) == ["other"]


def test_of_two_closing_times_the_later_one_holds() -> None:
    """What is in doubt stays closed to writes."""
    root = after(EMPTY, a_window())
    longer = after(root, replace(root.windows[0], ends_at=NOON + 3 * HOUR))
    for_ever = after(root, replace(root.windows[0], ends_at=None), unique="x")

    for one, other in ((root, longer), (longer, root)):
        assert merged(one, other, unique="m").windows[0].ends_at == NOON + 3 * HOUR
    assert merged(longer, for_ever, unique="m").windows[0].ends_at is None


def test_marks_add_up_and_a_lease_that_was_taken_off_stays_off() -> None:
    """No hook and no event comes twice, and a kept window is not released because its holder is gone."""
    lease = Lease(holder="anna", seconds=30, releases=True)
    root = after(EMPTY, a_window(lease=lease))
    kept = after(root, replace(root.windows[0], lease=None, hooks_run=frozenset({"on_activate"})))
    told = after(root, replace(root.windows[0], raised=frozenset({"started"})), unique="t")

    for one, other in ((kept, told), (told, kept)):
        window = merged(one, other, unique="m").windows[0]
        assert window.lease is None
        assert window.hooks_run == {"on_activate"}
        assert window.raised == {"started"}


def test_schedules_of_both_sides_survive() -> None:
    """A plan that somebody made is not lost with the store."""

    def a_schedule(id_: str) -> Schedule:
        first = datetime(2031, 5, 5, 2, tzinfo=UTC).replace(tzinfo=None)
        plan: dict[str, Any] = {"id": id_, "mode": Mode.NORMAL, "reason": "r", "owner": "o", "length": HOUR}
        return Schedule(**plan, rule="FREQ=DAILY", zone="UTC", first=first)

    root = after(EMPTY)
    one = stamped(MaintenanceState(2, (), (a_schedule("a"),)), root, unique="1")
    other = stamped(MaintenanceState(2, (), (a_schedule("b"),)), root, unique="2")
    without = stamped(MaintenanceState(3), one, unique="3")

    assert {each.id for each in merged(one, other, unique="m").schedules} == {"a", "b"}
    assert {each.id for each in merged(one, merged(without, other, unique="m"), unique="n").schedules} == {"b"}


def test_a_pass_that_either_state_revoked_is_revoked_and_none_is_lost() -> None:
    """Who was locked out must stay out, and who was let in stays in, whichever state the store had lost."""

    def holding(before: MaintenanceState, *passes: BypassPass, unique: str) -> MaintenanceState:
        return stamped(replace(before, revision=before.revision + 1, passes=passes), before, unique=unique)

    first, second, third = (BypassPass(id=id_, name="Ann", expires_at=NOON + HOUR) for id_ in "abc")
    root = holding(EMPTY, first, unique="r")
    revoked = holding(root, replace(first, is_revoked=True), second, unique="1")
    ignorant = holding(root, first, third, unique="2")

    for pair in ((revoked, ignorant), (ignorant, revoked)):
        passes = merged(*pair, unique="m").passes
        assert [(each.id, each.is_revoked) for each in passes] == [("a", True), ("b", False), ("c", False)]


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["open", "end", "meet"]), st.integers(0, 3)), max_size=40))
def test_however_machines_part_and_meet_nothing_committed_is_lost(steps: list[tuple[int, str, int]]) -> None:
    """Whatever one of them was told is open is open everywhere in the end, unless somebody ended it."""
    states = [after(EMPTY)] * 4
    opened: set[str] = set()
    over: set[str] = set()
    for number, (here, what, there) in enumerate(steps):
        state = states[here]
        if what == "open":
            opened.add(f"w{number}")
            states[here] = after(state, *state.windows, a_window(f"w{number}"), unique=f"{number}")
        elif what == "end" and state.windows:
            first, *rest = state.windows
            over.add(first.id)
            states[here] = after(state, replace(first, ended_at=NOON), *rest, unique=f"{number}")
        elif what == "meet" and not states[there].contains(state):
            states[there] = merged(state, states[there], unique=f"{number}")
            states[here] = states[there]

    final = states[0]
    for number, state in enumerate(states[1:]):
        final = final if final.contains(state) else merged(state, final, unique=f"f{number}")

    assert {window.id for window in final.windows} == opened
    assert {window.id for window in final.windows if window.ended_at} == over
    assert all(final.contains(state) for state in states)
    assert final.revision >= max(state.revision for state in states)
