"""Job queues under a window: held, then counted, then let go; and no quiet while anything about them is unknown."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from quiesce.control import EnhancedMaintenanceModeService
from quiesce.control.job_queues import JobQueues
from quiesce.control.job_sources import COLLECTION, FRESH_SECONDS, JobSources, judge_sources, read_sources
from quiesce.control.quiescence import SETTLE_SECONDS
from quiesce.model import JobAnswer, JobCounts, JobHold, MaintenanceWindow, Mode, OperationType
from quiesce.plugins import PluginManager, hookimpl
from quiesce.settings import Settings
from quiesce.testing import FakeClock, eventually
from quiesce.testing.clock import NOON


class Queue:
    """A plugin with one queue, set by the test."""

    def __init__(self, name: str = "rq") -> None:
        self.name = name
        self.calls: list[Any] = []
        self.running: int | None = 0
        self.reserved: int | None = 0
        self.error: Exception | None = None
        self.hold_error: Exception | None = None
        self.before_counts: Callable[[], object] = lambda: None

    @hookimpl
    def hold_jobs(self, hold: JobHold) -> None:
        self.calls.append(hold)
        if self.hold_error:
            raise self.hold_error

    @hookimpl
    def job_counts(self) -> JobCounts:
        self.calls.append("counts")
        act, self.before_counts = self.before_counts, lambda: None
        act()
        if self.error:
            raise self.error
        return JobCounts(source=self.name, running=self.running, reserved=self.reserved, queued=7)

    @property
    def holds(self) -> list[bool]:
        return [call.is_on for call in self.calls if isinstance(call, JobHold)]


class Leader:
    """A leading worker's part, driven by hand: a heartbeat a second."""

    def __init__(self, service: EnhancedMaintenanceModeService, plugins: PluginManager, clock: FakeClock) -> None:
        self._service, self._clock = service, clock
        self.queues = JobQueues(
            plugins=plugins,
            store=service.store,
            load=service.store.load,
            clock=clock,
            hook_timeout_seconds=5,
            is_enforcing=service.settings.enabled,
        )

    def beat(self, times: int = 1) -> None:
        for _ in range(times):
            self.step()
            self._clock.advance(seconds=1)

    def step(self) -> None:
        self.queues.step(self._service.store.load())
        if self.queues._thread is not None:  # nothing public says when a step is done
            self.queues._thread.join(20)


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def plugins(queue: Queue) -> PluginManager:
    plugins = PluginManager()
    plugins.register(queue, "rq")
    return plugins


@pytest.fixture
def leader(service: EnhancedMaintenanceModeService, plugins: PluginManager, clock: FakeClock) -> Leader:
    return Leader(service, plugins, clock)


def obstacles(service: EnhancedMaintenanceModeService) -> list[str]:
    """What the proof says of job queues."""
    return [each for each in service.quiescence(expected_workers=0).obstacles if each.startswith(("rq", "celery"))]


def test_nothing_is_asked_of_queues_without_a_window(leader: Leader, queue: Queue, service: Any) -> None:
    """A queue must not notice that Quiesce is installed; but the store knows that it is there."""
    leader.beat(5)

    assert queue.calls == []
    assert read_sources(service.store.items).expected == ("rq",)


def test_a_store_that_lost_everything_knows_its_queues_before_it_may_give_a_verdict(
    leader: Leader, service: Any
) -> None:
    """A proof that does not know of a queue would not miss its answer: not known would count as quiet."""
    leader.beat(5)
    items = service.store.items
    items.put(COLLECTION, {item.key: None for item in items.newest(COLLECTION)})

    leader.beat(int(SETTLE_SECONDS) - 1)

    assert read_sources(items).expected == ("rq",)


def test_work_is_held_before_it_is_counted_and_let_go_once(leader: Leader, queue: Queue, service: Any) -> None:
    """Counts from before the hold prove nothing; a queue that nobody lets go stands still after the window."""
    window = service.enable(reason="r", actor="a")
    leader.beat(3)
    service.disable(actor="a")
    leader.beat(3)

    held = JobHold(is_on=True, window_ids=frozenset({window.id}), reason="r")
    assert queue.calls == [held, "counts", "counts", "counts", JobHold(is_on=False)]


def test_a_window_right_after_another_is_not_kept_waiting(leader: Leader, queue: Queue, service: Any) -> None:
    """Whoever waits for the proof waits for this answer: it must not come up to a second later than it could."""
    service.enable(reason="r", actor="a")
    leader.beat()
    service.disable(actor="a")
    leader.step()
    service.enable(reason="r", actor="a")

    leader.step()

    assert obstacles(service) == []
    assert queue.holds == [True, False, True]


def test_a_window_that_opens_while_queues_are_asked_is_asked_about_at_once(
    leader: Leader, queue: Queue, service: Any
) -> None:
    """The next heartbeat is a second away, and what was asked before says nothing about this window."""
    service.enable(reason="r", actor="a")

    def open_another() -> None:
        service.enable(reason="worse", mode="emergency", actor="a")
        leader.queues.step(service.store.load())

    queue.before_counts = open_another

    leader.step()

    assert obstacles(service) == []
    assert queue.calls.count("counts") == 2


def test_leading_worker_asks_when_it_hears_of_the_window_not_at_its_next_heartbeat(
    make_service: Any, sqlite_url: str, plugins: PluginManager, clock: FakeClock
) -> None:
    """Who waits for the proof would wait for up to a second besides; this clock stands, so no heartbeat comes."""
    worker, operator = make_service(sqlite_url, plugins=plugins), make_service(sqlite_url)
    worker.start()
    eventually(lambda: read_sources(operator.store.items).expected == ("rq",))

    operator.enable(reason="r", actor="a")

    eventually(lambda: obstacles(operator) == [])


def test_quiet_queue_is_no_obstacle_and_is_shown(leader: Leader, service: Any) -> None:
    """The one answer with which the dangerous part may begin."""
    service.enable(reason="r", actor="a")
    leader.beat()

    assert obstacles(service) == []
    (counts,) = service.quiescence().job_counts
    assert (counts.source, counts.running, counts.reserved, counts.queued) == ("rq", 0, 0, 7)


def test_nobody_has_counted_yet(leader: Leader, service: Any) -> None:
    """Between the window and the leader's next heartbeat nothing is known."""
    leader.beat()
    service.enable(reason="r", actor="a")

    assert obstacles(service) == ["rq: nobody has asked it for its jobs yet"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"running": 2}, "rq: 2 running"),
        ({"running": 2, "reserved": 1}, "rq: 2 running, 1 reserved"),
        ({"reserved": None}, "rq: how many are reserved is not known"),
        ({"running": None, "reserved": None}, "rq: how many are running and reserved is not known"),
        ({"running": -1}, "rq: job_counts answered what is no count"),
        ({"error": RuntimeError("out")}, "rq: it did not tell its jobs: RuntimeError: 'out'"),
        ({"hold_error": RuntimeError("no")}, "rq: new jobs are not held back yet for window"),
    ],
)
def test_what_is_not_quiet_names_its_source(
    leader: Leader, queue: Queue, service: Any, changes: dict[str, Any], said: str
) -> None:
    """An operator must read who is waited for, and unknown is never zero."""
    for name, value in changes.items():
        setattr(queue, name, value)
    service.enable(reason="r", actor="a")

    leader.beat()

    (obstacle,) = obstacles(service)
    assert obstacle.startswith(said)


def test_window_that_lets_jobs_be_created_holds_nothing(leader: Leader, queue: Queue, service: Any) -> None:
    """A window over payments only is no reason to stop anybody's reports."""
    service.enable(reason="r", actor="a", operations=[OperationType.USER_DATA_MODIFICATION])
    service.enable(reason="r", actor="a", mode="test")

    leader.beat(2)

    assert queue.calls == []
    assert obstacles(service) == []


def test_second_window_needs_counts_of_its_own(leader: Leader, queue: Queue, service: Any) -> None:
    """What was counted before a window opened is no proof for it; held work need not be held twice."""
    service.enable(reason="r", actor="a")
    leader.beat()
    second = service.enable(reason="worse", mode="emergency", actor="a")

    assert obstacles(service) == [f"rq: new jobs are not held back yet for window {second.id}"]
    leader.beat()

    assert obstacles(service) == []
    assert queue.holds == [True]


def test_failed_hold_is_tried_again_with_pauses(leader: Leader, queue: Queue, service: Any) -> None:
    """A broker that restarts is held when it is back, and not drummed upon until then."""
    queue.hold_error = RuntimeError("no")
    service.enable(reason="r", actor="a")
    leader.beat(8)
    assert queue.holds == [True] * 4  # at 0, 1, 3 and 7 seconds

    queue.hold_error = None
    leader.beat(10)

    assert queue.holds == [True] * 5
    assert obstacles(service) == []


def test_queue_that_became_unknown_is_held_anew(leader: Leader, queue: Queue, service: Any) -> None:
    """Somebody resumed it by hand, or its broker lost that it was to stand still."""
    service.enable(reason="r", actor="a")
    leader.beat(2)
    queue.reserved = None
    leader.beat(2)
    queue.reserved = 0
    leader.beat(2)

    assert len(queue.holds) >= 2
    assert obstacles(service) == []


def test_new_leader_holds_anew_and_lets_go_what_another_held(
    leader: Leader, queue: Queue, service: Any, plugins: PluginManager, clock: FakeClock
) -> None:
    """The leader that held the queues may be dead when the window ends."""
    service.enable(reason="r", actor="a")
    leader.beat()
    second = Leader(service, plugins, clock)
    second.beat(2)
    assert queue.holds == [True, True]
    service.disable(actor="a")

    third = Leader(service, plugins, clock)
    third.beat(3)

    assert queue.holds == [True, True, False]


def test_leader_that_was_away_does_not_trust_its_memory(
    leader: Leader, queue: Queue, service: Any, plugins: PluginManager, clock: FakeClock
) -> None:
    """While it slept another one may have let the queues go."""
    service.enable(reason="r", actor="a")
    leader.beat()
    clock.advance(seconds=60)

    leader.beat()

    assert queue.holds == [True, True]


def test_failed_release_is_tried_again(leader: Leader, queue: Queue, service: Any) -> None:
    """A queue that stays held after maintenance is an outage of its own."""
    service.enable(reason="r", actor="a")
    leader.beat()
    service.disable(actor="a")
    queue.hold_error = RuntimeError("no")
    leader.beat(2)
    queue.hold_error = None
    leader.beat(3)

    assert queue.holds[-1] is False
    leader.beat(3)
    assert queue.holds.count(False) == 3


def test_old_answer_is_unknown(leader: Leader, service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A leader that hangs leaves its last word behind."""
    window = MaintenanceWindow(id="w", mode=Mode.NORMAL, reason="r", owner="o", starts_at=NOON)
    quiet = JobCounts(source="rq", running=0, reserved=0, queued=0)

    def judged(age: float) -> tuple[str, ...]:
        answer = JobAnswer(plugin="rq", held_for=frozenset({"w"}), counts=(quiet,), age=age)
        return judge_sources(JobSources(("rq",), (answer,)), [window])[0]

    assert judged(FRESH_SECONDS) == ()
    assert judged(FRESH_SECONDS + 0.1) == ("rq: nothing was heard of its jobs for 3.1 s",)
    assert judged(float("nan")) != ()
    assert judged(-1.0) != ()


def test_plugin_that_cannot_hold_is_never_quiet(service: Any, clock: FakeClock) -> None:
    """None running now says nothing of the next moment."""

    class CountsOnly:
        @hookimpl
        def job_counts(self) -> JobCounts:
            return JobCounts(source="celery", running=0, reserved=0, queued=0)

    plugins = PluginManager()
    plugins.register(CountsOnly(), "celery")
    service.enable(reason="r", actor="a")

    Leader(service, plugins, clock).beat()

    assert obstacles(service) == ["celery: it implements no hold_jobs, so new jobs may begin at any time"]


def test_damaged_answer_is_unknown(leader: Leader, service: Any) -> None:
    """What cannot be read is not nothing."""
    service.enable(reason="r", actor="a")
    leader.beat()

    service.store.items.put(COLLECTION, {"answer:rq": b"\xff{"})

    assert obstacles(service) == ["rq: what the store holds of it cannot be read"]


def test_switched_off_service_holds_nothing(
    make_service: Callable[..., Any], plugins: PluginManager, queue: Queue, clock: FakeClock
) -> None:
    """With MAINTENANCE_MODE_ENABLED=false nothing is refused, so nothing may be held either."""
    service = make_service(enabled=False)
    service.enable(reason="r", actor="a")

    Leader(service, plugins, clock).beat(2)

    assert queue.calls == []


def test_calls_that_hang_do_not_pile_up(service: Any, clock: FakeClock) -> None:
    """A broker that swallows every question for hours must not cost a thread a second."""
    release = threading.Event()

    class Hanging:
        @hookimpl
        def job_counts(self) -> None:
            release.wait(60)

    plugins = PluginManager()
    plugins.register(Hanging(), "hanging-in-test-of-pile")
    results = [plugins.job_counts(timeout_seconds=0.01)[0] for _ in range(12)]
    release.set()

    assert sum(1 for result in results if "timed out" in str(result.error)) == 8
    assert "8 earlier calls of it still hang" in str(results[-1].error)
    eventually(lambda: plugins.job_counts(timeout_seconds=5)[0].ok)


def test_leading_worker_does_it_by_itself(sqlite_url: str, plugins: PluginManager, queue: Queue) -> None:
    """From the agent's heartbeat on, with the clocks of the machine."""
    service = EnhancedMaintenanceModeService(Settings(store_url=sqlite_url), plugins=plugins)
    operator = EnhancedMaintenanceModeService(Settings(store_url=sqlite_url), plugins=PluginManager())
    try:
        service.start()
        eventually(lambda: read_sources(operator.store.items).expected == ("rq",))
        operator.enable(reason="r", actor="a")

        eventually(lambda: operator.quiescence().quiesced, within=20)
        assert queue.holds[-1] is True
        queue.running = 1
        eventually(lambda: "rq: 1 running" in operator.quiescence().obstacles, within=20)
        operator.disable(actor="a")
        eventually(lambda: queue.holds[-1] is False, within=20)
    finally:
        service.close()
        operator.close()


def test_store_knows_of_the_hold_before_the_queue_does(service: Any, clock: FakeClock) -> None:
    """A leader that dies while it holds must leave behind that there is something to let go."""
    seen: list[bool] = []

    class Looking:
        @hookimpl
        def hold_jobs(self, hold: JobHold) -> None:
            if hold.is_on:
                seen.append(read_sources(service.store.items).is_held)

    plugins = PluginManager()
    plugins.register(Looking(), "looking")
    service.enable(reason="r", actor="a")

    Leader(service, plugins, clock).beat()

    assert seen == [True]
