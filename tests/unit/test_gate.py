"""Admission: enter, look, decide, leave."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from quiesce import (
    WEBSOCKET,
    MaintenanceOperationClassifier,
    MaintenanceState,
    MaintenanceWindow,
    Mode,
    Outcome,
)
from quiesce.gate import Board, Gate, Policy
from quiesce.model.codec import encode_state
from quiesce.testing import FakeClock

LEASE = 5.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def gate(clock: FakeClock) -> Gate:
    return make_gate(clock)


def make_gate(clock: FakeClock, board: Board | None = None, policy: Policy | None = None) -> Gate:
    gate = Gate(
        classifier=MaintenanceOperationClassifier(),
        policy=policy or Policy(exempt_paths=["/health", "/static/*"]),
        board=board or Board(None),
        clock=clock,
    )
    gate.extend_lease(seconds=LEASE, is_stale=False)
    return gate


def window(clock: FakeClock, mode: Mode = Mode.NORMAL, **changes: object) -> MaintenanceWindow:
    opened = MaintenanceWindow(id=f"w-{mode}", mode=mode, reason="work", owner="ann", starts_at=clock.now())
    return replace(opened, **changes)  # type: ignore[arg-type]  # each test names fields that exist


def state(revision: int, *windows: MaintenanceWindow) -> MaintenanceState:
    return MaintenanceState(revision, windows)


def ask(gate: Gate, method: str, path: str) -> Outcome | None:
    """Send one request through the gate and say what became of it; ``None``: it needs the store first."""
    token = gate.enter(method, path)
    try:
        if token > 0:
            return Outcome.PASSED
        decision = gate.judge(-token)
        return None if decision is None else decision.outcome
    finally:
        gate.leave(abs(token))


def test_with_nothing_open_a_request_is_admitted_without_a_decision(gate: Gate) -> None:
    """The open gate costs next to nothing because it decides nothing."""
    assert gate.enter("POST", "/anything") > 0


def test_an_entry_is_in_flight_until_it_leaves_and_leaving_twice_is_harmless(gate: Gate) -> None:
    """The proof counts entries; one that is taken twice would hide another."""
    first, second = gate.enter("POST", "/a"), gate.enter("POST", "/b")

    gate.leave(first)
    gate.leave(first)

    assert list(gate.in_flight) == [second]


def test_an_entry_ended_through_the_table_itself_is_ended_once_too(gate: Gate) -> None:
    """Adapters take the shorter way out; after a fork and a second time as well."""
    gate.enter("POST", "/a")
    gate.forget_parent()
    gate.extend_lease(seconds=LEASE, is_stale=False)
    first, second = gate.enter("POST", "/b"), gate.enter("POST", "/c")

    gate.pop(first, None)
    gate.pop(first, None)

    assert list(gate.in_flight) == [second]


def test_what_a_forked_child_inherits_ends_nothing_of_its_own(gate: Gate) -> None:
    """A body of the parent's that the child lets go of must not hide one of the child's requests from the proof."""
    inherited = gate.enter("GET", "/parent")

    gate.forget_parent()
    gate.extend_lease(seconds=LEASE, is_stale=False)
    own = gate.enter("POST", "/child")
    gate.leave(inherited)

    assert list(gate.in_flight) == [own]


def test_a_refused_request_is_no_longer_in_flight(gate: Gate, clock: FakeClock) -> None:
    """A client that reads its refusal slowly must not keep the system from being quiet."""
    gate.adopt(state(1, window(clock)))
    token = -gate.enter("POST", "/orders")
    decision = gate.judge(token)
    assert decision is not None

    gate.refuse(token, decision)

    assert not gate.in_flight


@pytest.mark.parametrize(
    ("mode", "method", "path", "outcome"),
    [
        (Mode.NORMAL, "POST", "/orders", Outcome.REFUSED),
        (Mode.NORMAL, "GET", "/orders", Outcome.PASSED),
        (Mode.NORMAL, "POST", "/api/jobs", Outcome.REFUSED),
        (Mode.NORMAL, WEBSOCKET, "/chat", Outcome.REFUSED),
        (Mode.NORMAL, "OPTIONS", "/orders", Outcome.EXEMPT),
        (Mode.NORMAL, "POST", "/static/x", Outcome.EXEMPT),
        (Mode.NORMAL, "POST", "/admin/users", Outcome.PASSED),
        (Mode.EMERGENCY, "GET", "/orders", Outcome.REFUSED),
        (Mode.EMERGENCY, "GET", "/admin/users", Outcome.REFUSED),
        (Mode.EMERGENCY, "GET", "/health", Outcome.EXEMPT),
        (Mode.TEST, "POST", "/orders", Outcome.WOULD_BLOCK),
        (Mode.TEST, "GET", "/orders", Outcome.PASSED),
    ],
)
def test_what_each_mode_does(
    gate: Gate, clock: FakeClock, mode: Mode, method: str, path: str, outcome: Outcome
) -> None:
    """The table of design §4."""
    gate.adopt(state(1, window(clock, mode)))

    assert ask(gate, method, path) is outcome


@pytest.mark.parametrize(
    "path", ["/static/../orders", "/static//../orders", "//static/x", "/Health", "/health/", "/x/../health"]
)
def test_no_spelling_makes_another_path_exempt(gate: Gate, clock: FakeClock, path: str) -> None:
    """An exempt folder must not be a way around the gate."""
    gate.adopt(state(1, window(clock, Mode.EMERGENCY)))

    assert ask(gate, "POST", path) is Outcome.REFUSED


@pytest.mark.parametrize("path", ["/static/%2e%2e/orders", "/static\\..\\orders", "/static/./orders"])
def test_no_encoding_makes_another_path_exempt(gate: Gate, clock: FakeClock, path: str) -> None:
    """Servers behind this one may decode again, or take a backslash for a slash."""
    gate.adopt(state(1, window(clock, Mode.EMERGENCY)))

    assert ask(gate, "POST", path) is Outcome.REFUSED


def test_a_window_for_one_type_is_not_evaded_by_a_spelling_with_two_readings(gate: Gate, clock: FakeClock) -> None:
    """/batch/../api/jobs is a batch operation to one server and a job to another."""
    gate.adopt(state(1, window(clock, operations=frozenset({"job_creation"}))))

    assert ask(gate, "POST", "/batch/x") is Outcome.PASSED
    assert ask(gate, "POST", "/batch/../api/jobs") is Outcome.REFUSED


def test_a_rule_that_is_added_during_a_window_holds_from_the_next_request_on(gate: Gate, clock: FakeClock) -> None:
    """Decisions are cached, but not beyond what they were made of."""
    gate.adopt(state(1, window(clock)))
    outcomes = [ask(gate, "GET", "/export")]

    gate.classifier.add_custom_classification(pattern="/export", operation_type="batch_operations")

    assert [*outcomes, ask(gate, "GET", "/export")] == [Outcome.PASSED, Outcome.REFUSED]


def test_a_hostile_method_cannot_pose_as_a_guard(gate: Gate, clock: FakeClock) -> None:
    """Entries of guards share the table of requests; a client must not be able to make one."""
    gate.adopt(state(1, window(clock)))

    for method in ("GUARD", "guard", "SERVICE", "SERVICE%20GUARD"):
        assert ask(gate, method, "read_operations") is Outcome.REFUSED


def test_what_another_process_publishes_decides_the_next_request(clock: FakeClock, tmp_path: Path) -> None:
    """No polling: the word is compared at every request."""
    gate = make_gate(clock, Board(tmp_path / "board"))
    elsewhere = Board(tmp_path / "board")
    assert ask(gate, "POST", "/orders") is Outcome.PASSED

    elsewhere.publish(1, encode_state(state(1, window(clock))))
    assert ask(gate, "POST", "/orders") is Outcome.REFUSED

    elsewhere.publish(2, encode_state(state(2)))
    assert ask(gate, "POST", "/orders") is Outcome.PASSED


def test_a_window_starts_and_ends_by_the_clock_without_any_commit(gate: Gate, clock: FakeClock) -> None:
    """Windows are data judged against the clock, not timers."""
    starts_at = clock.now() + timedelta(seconds=2)
    gate.adopt(state(1, window(clock, starts_at=starts_at, ends_at=starts_at + timedelta(seconds=1))))
    outcomes = [ask(gate, "POST", "/orders")]

    for _ in range(3):
        clock.advance(1)
        outcomes.append(ask(gate, "POST", "/orders"))

    assert outcomes == [Outcome.PASSED, Outcome.PASSED, Outcome.REFUSED, Outcome.PASSED]


def test_a_step_of_the_wall_clock_is_seen_with_the_agents_next_look(gate: Gate, clock: FakeClock) -> None:
    """Between two looks the projected time is used, so a step may take one poll, never longer."""
    gate.adopt(state(1, window(clock, starts_at=clock.now() + timedelta(hours=1))))
    clock.step_wall(3600)

    gate.acknowledge()

    assert ask(gate, "POST", "/orders") is Outcome.REFUSED


def test_a_lapsed_lease_stops_writes_until_the_store_was_asked(gate: Gate, clock: FakeClock) -> None:
    """A process that slept may have missed anything (protocol rule 7)."""
    clock.advance(LEASE)

    assert ask(gate, "POST", "/orders") is None
    assert ask(gate, "GET", "/orders") is Outcome.PASSED
    assert ask(gate, "GET", "/health") is Outcome.EXEMPT

    gate.extend_lease(seconds=LEASE, is_stale=False)
    assert ask(gate, "POST", "/orders") is Outcome.PASSED


def test_before_its_first_lease_a_process_admits_only_what_is_exempt(clock: FakeClock) -> None:
    """A process is registered before it admits its first request (protocol rule 4)."""
    gate = Gate(
        classifier=MaintenanceOperationClassifier(),
        policy=Policy(exempt_paths=["/health"]),
        board=Board(None),
        clock=clock,
    )

    assert ask(gate, "GET", "/orders") is None
    assert ask(gate, "GET", "/health") is Outcome.EXEMPT


def test_a_stale_process_keeps_what_was_in_force(gate: Gate, clock: FakeClock) -> None:
    """An error never opens what was closed and never closes what was open."""
    gate.extend_lease(seconds=LEASE, is_stale=True)
    assert ask(gate, "POST", "/orders") is Outcome.PASSED

    gate.adopt(state(1, window(clock)))
    gate.extend_lease(seconds=LEASE, is_stale=True)
    assert ask(gate, "POST", "/orders") is Outcome.REFUSED


def test_refuse_writes_shuts_a_stale_process_for_writes_only_and_only_while_stale(clock: FakeClock) -> None:
    """MAINTENANCE_ON_STALE=refuse-writes."""
    gate = make_gate(clock, policy=Policy(refuses_writes_when_stale=True))
    outcomes = [ask(gate, "POST", "/orders")]

    gate.extend_lease(seconds=LEASE, is_stale=True)
    outcomes += [ask(gate, "POST", "/orders"), ask(gate, "GET", "/orders"), ask(gate, "POST", "/login")]
    gate.extend_lease(seconds=LEASE, is_stale=False)
    outcomes.append(ask(gate, "POST", "/orders"))

    assert outcomes == [Outcome.PASSED, Outcome.REFUSED, Outcome.PASSED, Outcome.PASSED, Outcome.PASSED]


def test_an_older_state_is_never_adopted(gate: Gate, clock: FakeClock) -> None:
    """A store that lost something must not reopen what was closed (protocol rule 8)."""
    gate.adopt(state(2, window(clock)))

    assert gate.adopt(state(1)) is False
    assert ask(gate, "POST", "/orders") is Outcome.REFUSED


def test_an_unreadable_board_keeps_the_last_state_and_every_request_looks_again(
    clock: FakeClock, tmp_path: Path
) -> None:
    """Fail static, and take the repair at once when it comes."""
    board = Board(tmp_path / "board")
    gate = make_gate(clock, board)
    board.publish(1, encode_state(state(1, window(clock))))
    assert ask(gate, "POST", "/orders") is Outcome.REFUSED

    board.publish(2, b"no state at all")
    assert ask(gate, "POST", "/orders") is Outcome.REFUSED

    board.publish(3, encode_state(state(3)))
    assert ask(gate, "POST", "/orders") is Outcome.PASSED


def test_with_enforcement_switched_off_nothing_is_refused_and_no_window_is_acknowledged(clock: FakeClock) -> None:
    """MAINTENANCE_MODE_ENABLED=false: the operator must be told that this worker does not take part."""
    gate = make_gate(clock, policy=Policy(is_enabled=False))
    gate.adopt(state(1, window(clock, Mode.EMERGENCY)))

    assert ask(gate, "POST", "/orders") is Outcome.PASSED
    assert gate.acknowledge().windows == frozenset()


def test_an_acknowledgement_counts_what_runs_by_type_and_names_the_oldest(gate: Gate, clock: FakeClock) -> None:
    """What the operator waits for must have a name."""
    gate.enter("GET", "/orders")
    gate.enter("POST", "/api/jobs")
    clock.advance(1)
    gate.enter("POST", "/orders")
    gate.adopt(state(1, window(clock)))

    acknowledgement = gate.acknowledge()

    assert acknowledgement.revision == 1
    assert acknowledgement.windows == {"w-normal"}
    assert acknowledgement.in_flight == {"job_creation": 1, "user_data_modification": 1}
    assert acknowledgement.oldest is not None
    assert (acknowledgement.oldest.path, acknowledgement.oldest.age) == ("/api/jobs", 1.0)


def test_a_bypassing_request_is_shown_apart_but_one_from_before_the_window_is_waited_for(
    gate: Gate, clock: FakeClock
) -> None:
    """Protocol rule 5: whoever sent it, what entered before was decided by nobody."""
    gate.enter("POST", "/before")
    gate.adopt(state(1, window(clock)))
    token = -gate.enter("POST", "/orders")
    decision = gate.judge(token)
    assert decision is not None

    assert gate.bypass(token, decision, user="root").outcome is Outcome.BYPASSED

    acknowledgement = gate.acknowledge()
    assert (acknowledgement.bypassing, acknowledgement.in_flight) == (1, {"user_data_modification": 1})


def test_an_open_gate_classifies_nothing_when_it_acknowledges(clock: FakeClock) -> None:
    """The agent's look must not cost what the request path saved."""
    asked: list[str] = []
    gate = make_gate(clock)
    gate.classifier.add_resolver(lambda method, path: asked.append(path))
    gate.enter("POST", "/orders")

    gate.acknowledge()

    assert asked == []


def test_decisions_are_kept_in_bounded_memory_under_a_flood_of_paths(gate: Gate, clock: FakeClock) -> None:
    """A hostile client must not fill the worker."""
    gate.adopt(state(1, window(clock)))

    for number in range(10_000):
        ask(gate, "GET", f"/{number}")
    ask(gate, "GET", "/" + "x" * 8000)

    assert len(gate.snapshot.decisions) <= 4096
    assert all(len(path) <= 512 for _, path in gate.snapshot.decisions)


def test_refusals_bypasses_and_would_be_refusals_are_counted_once_each(gate: Gate, clock: FakeClock) -> None:
    """blocked-operations and the test report are made of these."""
    gate.adopt(state(1, window(clock)))
    for user in ("", "root"):
        token = -gate.enter("POST", "/orders")
        decision = gate.judge(token)
        assert decision is not None
        if user:
            gate.bypass(token, decision, user=user)
        else:
            gate.refuse(token, decision)
    gate.adopt(state(2, window(clock, Mode.TEST)))
    ask(gate, "POST", "/orders")

    counts = {(key.window_id, key.outcome, key.path): count for key, count in gate.tally.take().counts.items()}

    assert counts == {
        ("w-normal", Outcome.REFUSED, ""): 1,
        ("w-normal", Outcome.BYPASSED, ""): 1,
        ("w-test", Outcome.WOULD_BLOCK, "/orders"): 1,
    }
    assert not gate.tally.take().counts


class SpiedWord:
    """Stands in for the board's word and notes what is in flight at each look."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.in_flight_at_look: list[int] = []

    def __getitem__(self, index: tuple[()]) -> int:
        self.in_flight_at_look.append(len(self._gate.in_flight))
        return 0


def test_a_request_enters_before_it_looks(gate: Gate) -> None:
    """Protocol rule 2: looking first lets it slip between the operator's count and its entry."""
    word = SpiedWord(gate)
    gate._word = word  # type: ignore[assignment]  # the order of two memory accesses shows nowhere else

    gate.enter("POST", "/orders")

    assert word.in_flight_at_look == [1]


class SpiedEntries(dict[int, tuple[float, str, str, bool]]):
    """Notes which revision the process applied when its entries were counted."""

    def __init__(self, gate: Gate) -> None:
        super().__init__(gate.in_flight)
        self._gate = gate
        self.revisions: list[int] = []

    def values(self) -> Any:
        self.revisions.append(self._gate.snapshot.revision)
        return super().values()


def test_the_agent_renews_before_it_counts(clock: FakeClock, tmp_path: Path) -> None:
    """Protocol rule 3: what enters after an early count under the old state would be in nobody's count."""
    board = Board(tmp_path / "board")
    gate = make_gate(clock, board)
    gate.enter("POST", "/orders")
    entries = SpiedEntries(gate)
    gate._in_flight = entries
    board.publish(1, encode_state(state(1, window(clock))))

    acknowledgement = gate.acknowledge()

    assert entries.revisions == [1]
    assert (acknowledgement.revision, acknowledgement.in_flight) == (1, {"user_data_modification": 1})


def test_a_request_that_entered_but_has_not_looked_is_counted(gate: Gate, clock: FakeClock) -> None:
    """Counting only what got as far as the view is one of the model's mistakes."""
    gate.adopt(state(1, window(clock)))

    gate.enter("POST", "/orders")

    assert gate.acknowledge().in_flight == {"user_data_modification": 1}
