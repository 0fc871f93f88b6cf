"""Events: which are due when, each once, whoever commits and however often the leader changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.control import EnhancedMaintenanceModeService
from quiesce.control.committing import Committer
from quiesce.control.journal import Journal
from quiesce.control.lease_watch import LeaseWatch
from quiesce.control.lifecycle import Lifecycle
from quiesce.control.transitions import due_transitions, raise_transitions
from quiesce.model import Lease, MaintenanceState, MaintenanceWindow, Mode, QuiescenceReport
from quiesce.plugins import PluginManager
from quiesce.stores.memory import MemoryStore
from quiesce.testing import FakeClock
from quiesce.testing.clock import NOON

Service = EnhancedMaintenanceModeService
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def a_window(**changes: Any) -> MaintenanceWindow:
    window = MaintenanceWindow(
        id="w", mode=Mode.NORMAL, reason="r", owner="o", starts_at=NOON, ends_at=NOON + HOUR, is_immediate=False
    )
    return replace(window, **changes)


def due(window: MaintenanceWindow, minutes: float, **known: Any) -> list[str]:
    found = due_transitions(MaintenanceState(1, (window,)), NOON + MINUTE * minutes, **known)
    return [f"{transition.kind}@{(transition.at - NOON).total_seconds() / 60:g}" for transition in found]


def make_leader(store: MemoryStore, clock: FakeClock, **known: Any) -> Lifecycle:
    return Lifecycle(
        plugins=PluginManager(),
        commit=Committer(store=store, clock=clock, board=lambda: None).commit,
        clock=clock,
        hook_timeout=timedelta(seconds=5),
        keep_ended=timedelta(minutes=5),
        **known,
    )


def beat(leader: Lifecycle, store: MemoryStore) -> None:
    leader.step(store.load(), actor="worker:1")
    if leader._thread is not None:  # there is no other way to know that nothing more will happen
        leader._thread.join(20)


def kinds(store: Any) -> list[str]:
    return [str(event.kind) for event in store.events(limit=1000)]


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        (-61, []),
        (-60, ["starting_soon@-60"]),
        (-16, ["starting_soon@-60"]),
        (-15, ["starting_soon@-15"]),
        (0, ["started@0"]),
        (39, ["started@0"]),
        (40, ["started@0", "overrun@40"]),
        (50, ["started@0", "overrun@40", "expiring@50"]),
        (60, ["started@0", "ended@60"]),
        (6000, ["started@0", "ended@60"]),
    ],
)
def test_each_comes_at_its_time(minutes: float, expected: list[str]) -> None:
    """Of two announcements that were missed, only the nearer is worth telling; of a window that is over, its story."""
    window = a_window(estimated_duration=MINUTE * 40, announce=(HOUR, MINUTE * 15))

    assert due(window, minutes) == expected


def test_what_was_raised_is_not_due_again() -> None:
    """The mark lies in the state, so another leader knows it too."""
    window = a_window(estimated_duration=MINUTE * 40, announce=(HOUR, MINUTE * 15))

    for minutes in (-60, -15, 0, 40, 50, 60):
        state = MaintenanceState(1, (window,))
        now = NOON + MINUTE * minutes
        journal = Journal(state, at=now, actor="a", source="agent")
        state = raise_transitions(state, due_transitions(state, now), journal=journal, now=now)
        (window,) = state.windows

        assert len(journal.events) == len(journal.records) == 1
        assert due(window, minutes) == []


def test_a_cancelled_window_tells_no_more() -> None:
    """Nobody may be told that it starts soon, or that it ended."""
    window = a_window(announce=(HOUR,), ended_at=NOON - 2 * HOUR)

    assert due(window, -30) == due(window, 30) == due(window, 90) == []


def test_a_short_window_expires_in_its_second_half() -> None:
    """A warning at the very start of a five-minute window would warn of nothing."""
    window = a_window(ends_at=NOON + 5 * MINUTE, raised=frozenset({"started"}))

    assert due(window, 2) == []
    assert due(window, 2.5) == ["expiring@2.5"]


def test_an_extended_window_overruns_and_expires_again(service: Service, clock: FakeClock) -> None:
    """The promise was renewed, so its breach is news."""
    service.enable(reason="r", duration=60, timeout=3600, actor="anna")
    clock.advance(61)
    service.extend(by=600, actor="anna")
    clock.advance(600)
    service.extend(by=60, actor="anna")

    assert kinds(service.store) == ["started", "overrun", "extended", "overrun", "extended"]


def test_commands_raise_what_is_due_when_no_worker_lives(service: Service, clock: FakeClock) -> None:
    """The story of a window is whole although nobody was there to tell it in time."""
    service.schedule.add(reason="r", start=NOON + HOUR, timeout=60, plan_id="a", announce=[600], actor="anna")
    clock.advance(3600 + 60)

    service.enable(reason="now", actor="bob")

    assert [(e.id, str(e.kind), e.window_id == "a", e.at) for e in service.store.events()] == [
        ("1-0", "scheduled", True, NOON),
        ("2-0", "started", True, NOON + HOUR),
        ("2-1", "ended", True, NOON + HOUR + MINUTE),
        ("2-2", "started", False, NOON + HOUR + MINUTE),
    ]
    actions = [(record.revision, record.action) for record in service.store.audit()]
    assert actions == [
        (1, "window.scheduled"),
        (2, "window.started"),
        (2, "window.ended"),
        (2, "window.enabled"),
    ]


def test_a_command_that_fails_raises_nothing(service: Service, clock: FakeClock) -> None:
    """What did not happen leaves no trace; the next command, or the leader, raises what is due."""
    service.schedule.add(reason="r", start=NOON + HOUR, timeout=60, actor="anna")
    clock.advance(3600 + 60)

    with pytest.raises(Exception, match="no maintenance window"):
        service.disable(actor="bob")

    assert kinds(service.store) == ["scheduled"]


def test_the_leader_raises_each_once_and_so_does_the_next(clock: FakeClock) -> None:
    """However often it looks, and although it forgets everything when it dies."""
    store = MemoryStore()
    store.commit(MaintenanceState(1, (a_window(announce=(MINUTE,)),)), expected_revision=0, audit=[])
    clock.step_wall(-120)

    for _ in range(5 * 60):
        clock.advance(15)
        leader = make_leader(store, clock)
        beat(leader, store)
        beat(leader, store)

    assert kinds(store) == ["starting_soon", "started", "expiring", "ended"]
    assert store.load().windows == ()
    store.close()


def test_quiet_is_told_once_and_only_of_windows_that_refuse(clock: FakeClock) -> None:
    """An operator who waits for it may be asleep by then."""
    store = MemoryStore()
    windows = (a_window(), a_window(id="t", mode=Mode.TEST))
    store.commit(MaintenanceState(1, windows), expected_revision=0, audit=[])
    answers = iter([False, False, True, True, False])
    leader = make_leader(store, clock, is_quiet=lambda: next(answers))

    for _ in range(3):
        beat(leader, store)
    assert kinds(store) == ["started", "started", "quiesced"]
    beat(leader, store)

    assert kinds(store).count("quiesced") == 1
    assert next(answers)  # it is not asked any more
    store.close()


def test_an_operators_proof_raises_quiesced_once(service: Service) -> None:
    """He that waits for it knows first; the leader finds the mark."""
    window = service.enable(reason="r", actor="anna")
    report = QuiescenceReport(
        revision=1,
        at=NOON,
        workers=(),
        confirmed=(),
        unconfirmed=(),
        in_flight={},
        quiesced=True,
        obstacles=(),
        windows=(window,),
    )

    service.note_quiesced(report, actor="anna")
    service.note_quiesced(report, actor="anna")

    assert kinds(service.store) == ["started", "quiesced"]
    assert service.store.revision() == 2


def held(seconds: float = 10, *, releases: bool = False) -> MaintenanceWindow:
    lease = Lease(holder="anna", seconds=seconds, releases=releases)
    return a_window(lease=lease, ends_at=None, raised=frozenset({"started", "quiesced"}))


def test_a_holder_that_renews_is_not_lost() -> None:
    """However long the work takes."""
    watch = LeaseWatch()

    for second in range(100):
        assert watch.look([held()], {"w": second // 5}, now=second) == frozenset()


def test_a_holder_that_stands_still_is_lost_after_its_lease() -> None:
    """Ten seconds without a renewal, seen with one's own eyes."""
    watch = LeaseWatch()

    lapsed = [second for second in range(14) if watch.look([held()], {"w": 3}, now=second)]

    assert lapsed[0] == 10


def test_a_holder_that_never_renewed_is_lost_too() -> None:
    """It may have died between opening the window and its first renewal."""
    watch = LeaseWatch()

    assert [second for second in range(12) if watch.look([held()], {}, now=second)] == [10, 11]


def test_blindness_is_not_held_against_the_holder() -> None:
    """With the store away nobody could renew; the lease begins anew when it is back."""
    watch = LeaseWatch()
    for second in range(9):
        assert not watch.look([held()], {"w": 3}, now=second)

    assert not watch.look([held()], {"w": 3}, now=60)
    assert not watch.look([held()], {"w": 3}, now=61)


@given(st.lists(st.tuples(st.floats(0.1, 8), st.booleans()), max_size=60))
def test_nobody_is_lost_sooner_than_its_lease_allows(steps: list[tuple[float, bool]]) -> None:
    """Whatever the pauses: a lapse means that no renewal came for at least the lease's span."""
    watch = LeaseWatch()
    now = renewed_at = 0.0
    count = 0
    for pause, is_renewed in steps:
        now += pause
        if is_renewed:
            count, renewed_at = count + 1, now

        if watch.look([held(10)], {"w": count}, now=now):
            assert now - renewed_at >= 10 or count == 0


@pytest.mark.parametrize("releases", [False, True])
def test_a_lost_holders_window_stays_unless_it_was_to_be_released(clock: FakeClock, releases: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A half-done migration must never be opened to writes by a timer."""
    store = MemoryStore()
    store.commit(MaintenanceState(1, (held(releases=releases),)), expected_revision=0, audit=[])
    store.renew_lease("w")
    leader = make_leader(store, clock, renewals=store.lease_renewals)

    for _ in range(14):
        clock.advance(1)
        beat(leader, store)

    assert kinds(store) == (["holder_lost", "ended"] if releases else ["holder_lost"])
    assert store.load().windows[0].is_open(clock.now()) is not releases
    store.close()


def test_two_leaders_at_once_raise_nothing_twice(clock: FakeClock) -> None:
    """A leader that was stopped wakes up and believes that it still leads."""
    store = MemoryStore()
    store.commit(MaintenanceState(1, (a_window(announce=(MINUTE,)),)), expected_revision=0, audit=[])
    leaders = [make_leader(store, clock) for _ in range(3)]

    for seconds in (0, 3000, 600, 600):
        clock.advance(seconds)
        for leader in leaders:
            leader.step(store.load(), actor="worker")
        for leader in leaders:
            beat(leader, store)

    assert kinds(store) == ["started", "expiring", "ended"]
    store.close()
