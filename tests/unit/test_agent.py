"""The agent: registration, acknowledgement, repair, farewell."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from quiesce import (
    MaintenanceOperationClassifier,
    MaintenanceState,
    MaintenanceWindow,
    Mode,
    Outcome,
    StoreUnreachableError,
    SystemClock,
    open_store,
)
from quiesce.gate import Agent, Board, Gate, Policy, pulse, this_machine
from quiesce.gate.board_bell import bell_of
from quiesce.gate.processes import describe_this_process
from quiesce.model import Acknowledgement, AuditRecord, CountKey, Heartbeat, MaintenanceEvent, WorkerInfo, WorkerReport
from quiesce.model.codec import encode_state
from quiesce.stores import Store
from quiesce.stores.memory import MemoryStore
from quiesce.testing import eventually

CLOCK = SystemClock()


class TroubledStore(MemoryStore):
    """A memory store that can be cut off, loses answers on request, and notes the order of calls."""

    def __init__(self) -> None:
        super().__init__()
        self.is_down = False
        self.loses_answers = 0
        self.calls: list[str] = []

    def _reach(self, call: str) -> None:
        self.calls.append(call)
        if self.is_down:
            raise StoreUnreachableError("cut off by the test")

    def load(self) -> MaintenanceState:
        self._reach("load")
        return super().load()

    def revision(self) -> int:
        self._reach("revision")
        return super().revision()

    def register(self, worker: WorkerInfo) -> None:
        self._reach("register")
        super().register(worker)

    def report(
        self,
        worker_id: str,
        acknowledgement: Acknowledgement,
        *,
        counts: Mapping[CountKey, int],
        batch: int,
        lease_seconds: float = 0.0,
        asks_for_silent: bool = False,
    ) -> Heartbeat:
        self._reach("report")
        heard = super().report(
            worker_id,
            acknowledgement,
            counts=counts,
            batch=batch,
            lease_seconds=lease_seconds,
            asks_for_silent=asks_for_silent,
        )
        if counts and self.loses_answers:
            self.loses_answers -= 1
            raise StoreUnreachableError("the answer was lost")
        return heard

    def commit(
        self,
        state: MaintenanceState,
        *,
        expected_revision: int,
        audit: Sequence[AuditRecord],
        events: Sequence[MaintenanceEvent] = (),
    ) -> None:
        self._reach("commit")
        super().commit(state, expected_revision=expected_revision, audit=audit, events=events)

    def forget_everything(self) -> None:
        """As FLUSHALL would."""
        self._state = MaintenanceState()
        self._workers.clear()
        self._batches.clear()


@pytest.fixture
def store() -> TroubledStore:
    return TroubledStore()


@pytest.fixture
def gate() -> Gate:
    return Gate(classifier=MaintenanceOperationClassifier(), policy=Policy(), board=Board(None), clock=CLOCK)


@pytest.fixture
def agent(store: TroubledStore, gate: Gate) -> Iterator[Agent]:
    agent = Agent(store=store, gate=gate, clock=CLOCK, framework="test")
    yield agent
    store.is_down = False
    agent.stop()


def state(revision: int, *modes: Mode) -> MaintenanceState:
    windows = [
        MaintenanceWindow(
            id=f"w-{mode}", mode=mode, reason="work", owner="ann", starts_at=datetime(2020, 1, 1, tzinfo=UTC)
        )
        for mode in modes
    ]
    return MaintenanceState(revision, tuple(windows))


def commit(store: MemoryStore, committed: MaintenanceState) -> None:
    store.commit(committed, expected_revision=committed.revision - 1, audit=[])


def the_worker(store: Store) -> WorkerReport:
    (report,) = store.workers()
    return report


def is_acknowledged(store: Store, revision: int) -> bool:
    acknowledgement = the_worker(store).acknowledgement
    return acknowledgement is not None and acknowledgement.revision >= revision


def ask(gate: Gate, method: str = "POST") -> Outcome:
    token = gate.enter(method, "/orders")
    try:
        return Outcome.PASSED if token > 0 else (gate.judge(-token) or gate.revive_and_judge(-token)).outcome
    finally:
        gate.leave(abs(token))


def test_it_registers_before_it_loads(agent: Agent, store: TroubledStore) -> None:
    """Protocol rule 4: a process that registers after the operator's listing loads after the commit."""
    commit(store, state(1, Mode.NORMAL))
    store.calls.clear()

    agent.revive()

    assert store.calls.index("register") < store.calls.index("load")


def test_the_first_request_of_a_process_is_decided_under_the_stores_state(
    agent: Agent, store: TroubledStore, gate: Gate
) -> None:
    """The board of the machine may lag behind; the store does not."""
    commit(store, state(1, Mode.NORMAL))

    assert ask(gate) is Outcome.REFUSED


def test_a_worker_without_traffic_acknowledges_a_commit(agent: Agent, store: TroubledStore) -> None:
    """An operator must not wait for somebody's next request."""
    agent.revive()

    commit(store, state(1, Mode.NORMAL))

    eventually(lambda: is_acknowledged(store, 1))
    acknowledgement = the_worker(store).acknowledgement
    assert acknowledgement is not None
    assert acknowledgement.windows == {"w-normal"}


def test_an_acknowledgement_follows_what_is_in_flight(agent: Agent, store: TroubledStore, gate: Gate) -> None:
    """Quiesced means zero, so the last request's end must show."""
    agent.revive()
    token = gate.enter("POST", "/orders")

    def in_flight() -> Mapping[str, int] | None:
        acknowledgement = the_worker(store).acknowledgement
        return acknowledgement.in_flight if acknowledgement and acknowledgement.revision == 1 else None

    commit(store, state(1, Mode.NORMAL))
    eventually(lambda: in_flight() == {"user_data_modification": 1})
    gate.leave(token)
    eventually(lambda: in_flight() == {})


def test_with_the_store_down_a_process_starts_serves_and_says_so(
    agent: Agent, store: TroubledStore, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    """The application starts with the store down."""
    store.is_down = True

    assert ask(gate) is Outcome.PASSED
    assert gate.is_stale
    assert "last known state" in caplog.text


def test_an_outage_changes_no_decision_and_ends_by_itself(agent: Agent, store: TroubledStore, gate: Gate) -> None:
    """Fail static; recover without anybody's help; take what was missed."""
    commit(store, state(1, Mode.NORMAL))
    agent.revive()
    store.is_down = True
    eventually(lambda: gate.is_stale)

    assert ask(gate) is Outcome.REFUSED

    MemoryStore.commit(store, state(2), expected_revision=1, audit=[])
    store.is_down = False
    eventually(lambda: not gate.is_stale)
    eventually(lambda: ask(gate) is Outcome.PASSED)
    eventually(lambda: is_acknowledged(store, 2))
    eventually(lambda: agent.last_outage[1] > 0)
    began, ended = agent.last_outage
    assert 0 < began <= ended <= CLOCK.monotonic()


def test_a_store_that_lost_everything_is_reseeded_and_the_worker_registers_anew(
    agent: Agent, store: TroubledStore, gate: Gate
) -> None:
    """Protocol rule 8: a flush during a window must open nothing."""
    commit(store, state(1, Mode.NORMAL))
    agent.revive()

    store.forget_everything()

    eventually(lambda: store.revision() > 1)
    assert [window.id for window in store.load().windows] == ["w-normal"]
    assert ask(gate) is Outcome.REFUSED
    eventually(lambda: store.workers() and is_acknowledged(store, 2))
    assert store.audit()[-1].action == "store.reseeded"


def test_counts_reach_the_store_once_even_when_its_answer_is_lost(
    agent: Agent, store: TroubledStore, gate: Gate
) -> None:
    """attempt_count must not grow because the network failed."""
    commit(store, state(1, Mode.NORMAL))
    agent.revive()
    store.loses_answers = 3
    for _ in range(5):
        token = -gate.enter("POST", "/orders")
        decision = gate.judge(token)
        assert decision is not None
        gate.refuse(token, decision)
        gate.leave(token)

    eventually(lambda: not store.loses_answers)
    eventually(lambda: not gate.is_stale)

    assert list(store.counts().values()) == [5]


def test_it_deregisters_when_it_stops_and_registers_anew_with_the_next_request(
    agent: Agent, store: TroubledStore, gate: Gate
) -> None:
    """A process that ends well is not waited for; one that goes on is not forgotten."""
    agent.revive()
    former = the_worker(store).worker.id

    agent.stop()
    assert store.workers() == ()

    ask(gate)
    assert the_worker(store).worker.id != former


def test_it_stays_listed_when_it_stops_with_a_request_in_flight(agent: Agent, store: TroubledStore, gate: Gate) -> None:
    """What still runs must stay in the operator's sight until the process is gone."""
    agent.revive()
    token = gate.enter("POST", "/orders")

    agent.stop()

    assert len(store.workers()) == 1
    gate.leave(token)


def test_a_sibling_takes_a_dead_process_off_the_list_but_never_one_it_cannot_see(
    agent: Agent, store: TroubledStore
) -> None:
    """Protocol rule 6; a container counts its pids apart, so the same number elsewhere says nothing."""
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    me = describe_this_process(framework="test", started_at=CLOCK.now())
    store.register(replace(me, id="dead", pid=child.pid))
    store.register(replace(me, id="reused", process_started=1))
    store.register(replace(me, id="elsewhere", pid=child.pid, machine="another/1"))
    store.register(replace(me, id="alive"))

    agent.revive()

    eventually(lambda: {report.worker.id for report in store.workers()} & {"dead", "reused"} == set())
    assert {"elsewhere", "alive"} <= {report.worker.id for report in store.workers()}
    assert me.machine == this_machine()


def test_a_worker_that_only_gets_health_checks_is_listed_too(agent: Agent, store: TroubledStore, gate: Gate) -> None:
    """Else a fresh deployment behind probes alone would count as no worker at all."""
    token = gate.enter("OPTIONS", "/health")
    decision = gate.judge(-token)
    gate.leave(-token)

    assert decision is not None
    assert decision.outcome is Outcome.EXEMPT
    eventually(lambda: len(store.workers()) == 1)


def test_a_process_that_did_not_run_for_longer_than_its_lease_asks_the_store_first(
    agent: Agent, store: TroubledStore, gate: Gate
) -> None:
    """Protocol rule 7, as after SIGSTOP: register, load, then admit."""
    agent.revive()
    commit(store, state(1, Mode.NORMAL))
    gate.end_lease()
    store.calls.clear()

    assert ask(gate) is Outcome.REFUSED
    assert store.calls.index("register") < store.calls.index("load")


def test_a_replaced_board_is_noticed_and_filled_again(tmp_path: Path) -> None:
    """A clean-up job that deletes the file must not leave the machine's workers deaf."""
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    assert store.board_path is not None
    gate = Gate(
        classifier=MaintenanceOperationClassifier(), policy=Policy(), board=Board(store.board_path), clock=CLOCK
    )
    agent = Agent(store=store, gate=gate, clock=CLOCK, framework="test")
    agent.revive()
    try:
        store.commit(state(1, Mode.NORMAL), expected_revision=0, audit=[])
        eventually(lambda: gate.snapshot.revision == 1)

        store.board_path.unlink()

        eventually(lambda: store.board_path is not None and store.board_path.exists())
        eventually(lambda: gate.board.is_current() and gate.board.word[()] == 1)
        over = MaintenanceState(2)
        store.commit(over, expected_revision=1, audit=[])
        Board(store.board_path).publish(2, encode_state(over))
        assert ask(gate) is Outcome.PASSED
    finally:
        agent.stop()
        store.close()


@pytest.mark.parametrize("has_bell", [True, False])
def test_between_heartbeats_a_worker_hears_what_a_sibling_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_bell: bool
) -> None:
    """By the bell, or where there can be none by looking: an operator does not wait for the next heartbeat."""
    monkeypatch.setattr(pulse, "HEARTBEAT_SECONDS", 3600.0)
    monkeypatch.setattr(pulse, "LEASE_SECONDS", 3600.0)
    with contextlib.closing(open_store(f"sqlite:///{tmp_path / 'store.db'}")) as store:
        assert store.board_path is not None
        board = Board(store.board_path)
        if not has_bell:
            bell_of(store.board_path).write_text("in the way")
        gate = Gate(
            classifier=MaintenanceOperationClassifier(), policy=Policy(), board=Board(store.board_path), clock=CLOCK
        )
        agent = Agent(store=store, gate=gate, clock=CLOCK, framework="test")
        agent.revive()
        eventually(lambda: the_worker(store).acknowledgement)
        try:
            for revision in range(1, 4):
                with contextlib.closing(open_store(store.url)) as other:
                    other.commit(state(revision, Mode.NORMAL), expected_revision=revision - 1, audit=[])

                board.publish(revision, encode_state(state(revision, Mode.NORMAL)))

                eventually(partial(is_acknowledged, store, revision))
        finally:
            agent.stop()


def test_an_agent_that_stops_leaves_no_descriptor_behind(tmp_path: Path) -> None:
    """A process that starts and stops it over and over, as a test suite does, has only so many."""
    with contextlib.closing(open_store(f"sqlite:///{tmp_path / 'store.db'}")) as store:
        assert store.board_path is not None
        gate = Gate(
            classifier=MaintenanceOperationClassifier(), policy=Policy(), board=Board(store.board_path), clock=CLOCK
        )
        agent = Agent(store=store, gate=gate, clock=CLOCK, framework="test")

        def opened() -> set[str]:
            names = set()
            for link in Path("/proc/self/fd").iterdir():
                with contextlib.suppress(OSError):  # another thread has closed it meanwhile
                    names.add(link.readlink().name)
            return names

        agent.revive()
        eventually(lambda: bell_of(store.board_path or Path()).name in opened())
        agent.stop()

        assert bell_of(store.board_path).name not in opened()


FORKING = """
import os, sys
from quiesce import EnhancedMaintenanceModeService, Settings
service = EnhancedMaintenanceModeService(Settings(store_url=sys.argv[1]))
service.start()
token = service.gate.enter("POST", "/in-the-parent")
pid = os.fork()
if pid == 0:
    assert not service.gate.in_flight
    assert service.gate.judge(-service.gate.enter("POST", "/x")) is None, "the child needs a lease of its own"
    service.start()
    os._exit(0 if len(service.store.workers()) == 2 else 1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
service.gate.leave(token)
service.close()
"""


def test_a_forked_child_is_a_worker_of_its_own(tmp_path: Path) -> None:
    """Threads do not survive fork, and a parent's lease says nothing about its child."""
    url = f"sqlite:///{tmp_path / 'store.db'}"

    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING, url],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_a_leader_is_told_so_and_only_one_leads(store: TroubledStore, gate: Gate) -> None:
    """Hooks run once per cluster."""
    gates = [
        Gate(classifier=MaintenanceOperationClassifier(), policy=Policy(), board=Board(None), clock=CLOCK)
        for _ in range(3)
    ]
    agents = [Agent(store=store, gate=each, clock=CLOCK, framework="test") for each in gates]
    led: list[int] = []
    for number, each in enumerate(agents):
        each.on_lead = lambda number=number: led.append(number)
        each.revive()
    try:
        eventually(lambda: len(led) >= 2)
        first = led[0]
        assert set(led) == {first}

        agents[first].stop()

        eventually(lambda: set(led) != {first})
    finally:
        for each in agents:
            each.stop()
