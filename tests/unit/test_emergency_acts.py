"""What each step of an emergency does, and what it says when it cannot know."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from quiesce import EnhancedMaintenanceModeService, Principal
from quiesce.control import emergency_acts as acts
from quiesce.control.emergency_acts import Attempt, Outcome
from quiesce.control.outbox_notes import write_dead
from quiesce.gate import Gate
from quiesce.model import (
    WEBSOCKET,
    Acknowledgement,
    DeadNotice,
    EmergencyStep,
    JobCounts,
    JobFate,
    JobRecord,
    JobStop,
    MaintenanceEvent,
    MaintenanceWindow,
    StepStatus,
    WorkerInfo,
)
from quiesce.plugins import PluginManager, hookimpl
from quiesce.testing import FakeClock, eventually
from quiesce.testing.clock import NOON

RECORD = JobRecord(source="q", id="1", queue="d", name="f", fate=JobFate.TERMINATED, is_restorable=True)


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for what the test knows not to come."""
    for name in ("_ACKNOWLEDGED_WITHIN", "_CLOSED_WITHIN", "_REVOKED_WITHIN"):
        monkeypatch.setattr(acts, name, 0.2)
    monkeypatch.setattr(acts, "_TOLD_WITHIN", 1.0)


def attempt_at(service: Any, window: MaintenanceWindow, *, attempts: int = 1) -> Attempt:
    step = EmergencyStep(name="x", attempts=attempts, started_at=NOON)
    return Attempt(runtime=service._runtime, window=window, step=step, runner="worker:w", over=threading.Event())


def report(service: Any, worker_id: str, **acknowledged: Any) -> None:
    """Let a worker on another machine say something; without anything it has only registered."""
    worker = WorkerInfo(
        id=worker_id, host="web9", pid=7, machine="elsewhere", process_started=0, framework="x", started_at=NOON
    )
    if worker_id not in {each.worker.id for each in service.store.workers()}:
        service.store.register(worker)
    if acknowledged:
        service.store.report(worker_id, Acknowledgement(1, **acknowledged), counts={}, batch=0)


def emergency(service: EnhancedMaintenanceModeService, **asked: Any) -> MaintenanceWindow:
    return service.enable(reason="breach", mode="emergency", actor="a", **asked)


@pytest.mark.parametrize("act", [acts.block, acts.logging])
def test_every_worker_must_have_said_so(service: Any, act: Callable[[Attempt], Outcome]) -> None:
    """One that registered and said nothing, or applies something else, is named; it is never counted in."""
    window = emergency(service)
    report(service, "here", windows=frozenset({window.id}))
    report(service, "there", windows=frozenset({"another"}))
    report(service, "silent")

    found = act(attempt_at(service, window))

    assert (found.status, found.count) == (StepStatus.FAILED, 1)
    assert [problem.split()[:2] for problem in found.problems] == [["worker", "silent"], ["worker", "there"]]
    for worker in ("there", "silent"):
        report(service, worker, windows=frozenset({window.id, "another"}))
    found = act(attempt_at(service, window))
    assert (found.status, found.count) == (StepStatus.DONE, 3)


@pytest.mark.parametrize("act", [acts.block, acts.logging, acts.websockets])
def test_without_workers_nothing_is_claimed(service: Any, act: Callable[[Attempt], Outcome]) -> None:
    """Zero of zero is no proof of anything."""
    found = act(attempt_at(service, emergency(service)))

    assert (found.status, found.count) == (StepStatus.SKIPPED, None)
    assert "no worker is listed" in found.detail


def test_a_worker_that_answers_while_it_is_waited_for_counts(service: Any) -> None:
    """The step must look more than once."""
    window = emergency(service)
    report(service, "late")
    thread = threading.Timer(0.05, report, (service, "late"), {"windows": frozenset({window.id})})
    thread.start()

    found = acts.block(attempt_at(service, window))

    thread.join()
    assert found.status is StepStatus.DONE


def test_waiting_ends_with_the_emergency(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that sleeps for an hour beside an emergency that is over would keep a worker from ending."""
    monkeypatch.setattr(acts, "_ACKNOWLEDGED_WITHIN", 3600.0)
    window = emergency(service)
    report(service, "silent")
    attempt = attempt_at(service, window)
    thread = threading.Thread(target=acts.block, args=(attempt,))
    thread.start()

    attempt.over.set()
    thread.join(20)

    assert not thread.is_alive()


@pytest.mark.parametrize(("policy", "said"), [("keep", "keeps sessions"), ("suspend", "ends none")])
def test_sessions_that_are_not_ended_are_said_to_be_so(service: Any, policy: str, said: str) -> None:
    """*Done* would be read as *everybody is out*."""
    found = acts.sessions(attempt_at(service, emergency(service, sessions=policy)))

    assert found.status is StepStatus.SKIPPED
    assert said in found.detail


def test_ended_sessions_are_counted_as_far_as_they_are_known(service: Any, clock: FakeClock) -> None:
    """An estimate; without any tracking it is not known, which is not zero."""
    window = emergency(service)
    assert acts.sessions(attempt_at(service, window)).count is None
    service.disable(actor="a")

    for user in ("bob", "eve"):
        service.store.items.put("sessions.users", {user: b'["%s", 1]' % user.encode()})
    service.store.items.put("sessions.trackers", {"w": b"false"})
    window = emergency(service)
    found = acts.sessions(attempt_at(service, window))
    assert (found.status, found.count) == (StepStatus.DONE, 2)

    service.sessions.invalidate(actor="a")
    assert acts.sessions(attempt_at(service, window)).count is None


def test_sessions_of_a_planned_emergency_end_when_its_start_is_noted(service: Any, clock: FakeClock) -> None:
    """Until then they do not count, but would again if it were ended."""
    start = clock.now() + timedelta(hours=1)
    planned = service.schedule.add(reason="drill", mode="emergency", start=start, timeout=3600, actor="a")
    clock.advance(3600)

    assert acts.sessions(attempt_at(service, planned)).status is StepStatus.FAILED
    service.sessions.invalidate(user_id="bob", actor="a")

    assert acts.sessions(attempt_at(service, planned)).status is StepStatus.DONE


class Queue:
    """A plugin whose jobs are what the test says."""

    def __init__(self, *records: JobRecord) -> None:
        self.records = records
        self.stops: list[JobStop] = []
        self.running: int | None = 0
        self.error: Exception | None = None

    @hookimpl
    def hold_jobs(self) -> None:
        pass

    @hookimpl
    def job_counts(self) -> JobCounts:
        return JobCounts(source="q", running=self.running, reserved=0, queued=3)

    @hookimpl
    def stop_jobs(self, request: JobStop) -> Sequence[JobRecord]:
        self.stops.append(request)
        if self.error is not None:
            raise self.error
        return self.records


@pytest.fixture
def queue() -> Queue:
    return Queue(RECORD, replace(RECORD, id="2", fate=JobFate.FINISHED))


@pytest.fixture
def with_queue(make_service: Any, queue: Queue) -> Any:
    plugins = PluginManager()
    plugins.register(queue, "q")
    return make_service(plugins=plugins, job_grace_period=timedelta(seconds=30))


def test_jobs_are_ended_within_the_grace_period(with_queue: Any, queue: Queue, clock: FakeClock) -> None:
    """They stand in the ledger, and the queue is told how long they have: what is left of it at a second attempt."""
    window = emergency(with_queue)

    found = acts.jobs(attempt_at(with_queue, window))
    clock.advance(12)
    acts.jobs(attempt_at(with_queue, window, attempts=2))

    assert (found.status, found.count, found.detail) == (StepStatus.DONE, 2, "1 finished, 1 terminated")
    assert len(with_queue.jobs.ledger(window_id=window.id)) == 2
    assert [stop.grace_seconds for stop in queue.stops] == [30, 18]
    assert {stop.window_id for stop in queue.stops} == {window.id}


def test_a_queue_that_fails_or_still_runs_is_a_problem(with_queue: Any, queue: Queue) -> None:
    """Then it is tried again; what is not known to have ended has not ended."""
    window = emergency(with_queue)
    queue.error = RuntimeError("down")
    assert acts.jobs(attempt_at(with_queue, window)).problems == ("q: RuntimeError: 'down'",)

    queue.error, queue.running = None, None
    assert acts.jobs(attempt_at(with_queue, window)).status is StepStatus.FAILED

    queue.running = 0
    assert acts.jobs(attempt_at(with_queue, window)).status is StepStatus.DONE


def test_jobs_that_the_emergency_does_not_refuse_are_left_alone(with_queue: Any, queue: Queue) -> None:
    """They would be followed by the next from the queue."""
    found = acts.jobs(attempt_at(with_queue, emergency(with_queue, operations=["image_processing"])))

    assert found.status is StepStatus.SKIPPED
    assert not queue.stops


def test_without_queues_and_tracked_jobs_there_is_nothing_to_end(service: Any) -> None:
    """And the step says so, rather than that all have ended."""
    found = acts.jobs(attempt_at(service, emergency(service)))

    assert (found.status, found.count) == (StepStatus.SKIPPED, None)


def test_tracked_jobs_are_waited_for_and_named(make_service: Any) -> None:
    """Nobody can end them by force; one that does not end must not be called ended."""
    service = make_service(job_grace_period=timedelta(seconds=0.3))
    window = emergency(service)
    report(service, "w", windows=frozenset({window.id}), jobs={"export": 2})

    stuck = acts.jobs(attempt_at(service, window))
    timer = threading.Timer(0.1, report, (service, "w"), {"windows": frozenset({window.id}), "jobs": {}})
    timer.start()
    ended = acts.jobs(attempt_at(service, window))
    timer.join()

    assert (stuck.status, stuck.count) == (StepStatus.FAILED, 0)
    assert stuck.problems == ("2 tracked export still run, and cannot be ended by force",)
    assert (ended.status, ended.count, ended.detail) == (StepStatus.DONE, 2, "2 tracked ended by themselves")


def test_a_worker_that_has_not_answered_may_run_jobs(service: Any) -> None:
    """What it tracks is not known; without this the step would be skipped."""
    window = emergency(service)
    report(service, "silent")

    found = acts.jobs(attempt_at(service, window))

    assert found.status is StepStatus.FAILED
    assert "silent" in found.problems[0]


def test_open_websockets_are_watched_until_they_are_closed(service: Any) -> None:
    """By whoever serves them; a worker that does not tell, because it is older, is not taken for one without any."""
    window = emergency(service)
    mine = {"windows": frozenset({window.id})}
    report(service, "a", **mine, websockets=2)
    report(service, "b", **mine, websockets=None)
    report(service, "c", windows=frozenset(), websockets=0)

    found = acts.websockets(attempt_at(service, window))

    assert found.status is StepStatus.FAILED
    assert [problem.rpartition(": ")[2] for problem in found.problems] == ["2 still open", "not known", "not known"]
    report(service, "b", **mine, websockets=0)
    report(service, "c", **mine, websockets=0)
    timer = threading.Timer(0.05, report, (service, "a"), {**mine, "websockets": 0})
    timer.start()
    closed = acts.websockets(attempt_at(service, window))
    timer.join()
    assert (closed.status, closed.count) == (StepStatus.DONE, 2)


def test_a_gate_counts_the_websockets_that_an_emergency_refuses(service: Any) -> None:
    """Not those that planned work waits for, nor requests, nor an admin's."""
    gate: Gate = service.gate
    gate.enter(WEBSOCKET, "/ws")
    admins = gate.enter(WEBSOCKET, "/ws")
    gate.enter("POST", "/items")
    service.enable(reason="upgrade", actor="a")
    gate.adopt(service.store.load())
    assert gate.acknowledge().websockets == 0

    emergency(service)
    gate.adopt(service.store.load())
    decision = gate.judge(abs(admins)) or gate.explain(WEBSOCKET, "/ws")
    gate.bypass(abs(admins), decision, user="ann")

    found = gate.acknowledge()
    assert (found.websockets, found.bypassing, sum(found.in_flight.values())) == (1, 1, 2)


def test_a_leading_worker_carries_out_every_step(sqlite_url: str) -> None:
    """End to end, with the agent's threads, in well under a heartbeat's time after the call."""
    queue, plugins = Queue(RECORD), PluginManager()
    plugins.register(queue, "q")
    service = EnhancedMaintenanceModeService({"MAINTENANCE_STORE_URL": sqlite_url}, plugins=plugins)
    try:
        service.start()
        service.sessions.note_activity(Principal("bob"), "a session")
        eventually(lambda: service.sessions.stats().users)

        window = service.emergency.activate(reason="breach", actor="ann")
        progress = service.emergency.wait(window.id, timeout=20)
    finally:
        service.close()

    assert {step.name: step.status for step in progress.steps} == dict.fromkeys(
        ("block", "sessions", "jobs", "websockets", "logging"), StepStatus.DONE
    ) | {"notifications": StepStatus.SKIPPED}
    assert {step.name: step.count for step in progress.steps}["sessions"] == 1
    assert progress.runner.startswith("worker:")
    assert len(queue.stops) == 1


class Notifier:
    """Tells, or raises."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.told: list[str] = []

    @hookimpl
    def notify(self, event: MaintenanceEvent) -> None:
        if self.error is not None:
            raise self.error
        self.told.append(event.kind)


def with_notifiers(make_service: Any, **notifiers: Notifier) -> Any:
    plugins = PluginManager()
    for name, notifier in notifiers.items():
        plugins.register(notifier, name)
    return make_service(plugins=plugins)


def test_notifications_are_told_where_no_worker_does(make_service: Any) -> None:
    """The command that began the emergency carries out its steps, and so tells too; who could not is named."""
    dead = Notifier(ConnectionError("no route"))
    whole = Notifier()
    service = with_notifiers(make_service, dead=dead, whole=whole)
    window = emergency(service)

    found = acts.notifications(attempt_at(service, window))

    assert (found.status, found.count, found.detail) == (StepStatus.FAILED, 1, "told by whole")
    assert [problem.partition(":")[0] for problem in found.problems] == ["dead"]
    dead.error = None
    found = acts.notifications(attempt_at(service, window))
    assert (found.status, found.detail) == (StepStatus.DONE, "told by dead, whole")
    assert dead.told == whole.told == ["started"]
    assert service.report(window.id).notifications == ("dead: started", "whole: started")


def test_notifications_are_skipped_where_nobody_is_to_be_told(make_service: Any) -> None:
    """An emergency is not left unfinished for what was never asked for."""
    service = make_service()
    window = emergency(service)
    assert acts.notifications(attempt_at(service, window)).status is StepStatus.SKIPPED

    silent = make_service(notifications_enabled=False)
    assert acts.notifications(attempt_at(silent, emergency(silent))).status is StepStatus.SKIPPED


def test_report_names_what_was_given_up(make_service: Any) -> None:
    """Afterwards somebody asks who was not told, and why."""
    service = with_notifiers(make_service, mail=Notifier())
    window = emergency(service)
    service.notifications.deliver(within_seconds=5)
    event = service.store.events()[0]
    write_dead(
        service.store.items,
        [DeadNotice(notifier="mail", event=event, attempts=3, problem="too large", given_up_at=NOON)],
    )

    (line,) = service.report(window.id).notifications

    assert line == "mail: nothing; not started: given up after 3 tries: too large"
    assert acts.notifications(attempt_at(service, window)).status is StepStatus.FAILED
