"""Ending the jobs of queues, the ledger, and putting back: each job once, whoever dies in between."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from quiesce.control.job_ledger import COLLECTION, JobLedger
from quiesce.model import (
    InvalidValueError,
    JobCounts,
    JobFate,
    JobHold,
    JobRecord,
    JobStop,
    NoOpenWindowError,
    WindowOpenError,
)
from quiesce.plugins import PluginManager, hookimpl


def a_record(number: int = 1, **changes: Any) -> JobRecord:
    record = JobRecord(
        source="rq", id=f"job-{number}", queue="q", name="f", fate=JobFate.TERMINATED, is_restorable=True
    )
    return replace(record, **changes)


class Queue:
    """A plugin whose jobs are what the test says; counts how often each was put back."""

    def __init__(self, *records: JobRecord) -> None:
        self.records = records
        self.calls: list[object] = []
        self.put_back: list[str] = []
        self.error: BaseException | None = None

    @hookimpl
    def hold_jobs(self, hold: JobHold) -> None:
        self.calls.append(hold)

    @hookimpl
    def job_counts(self) -> JobCounts:
        return JobCounts(source="rq", running=0, reserved=0, queued=0)

    @hookimpl
    def stop_jobs(self, request: JobStop) -> Sequence[JobRecord]:
        self.calls.append(request)
        return self.records

    @hookimpl
    def restore_jobs(self, ledger: Sequence[JobRecord]) -> Sequence[JobRecord]:
        if self.error is not None:
            raise self.error
        self.put_back += [record.id for record in ledger if record.source == "rq"]
        return [replace(each, put_back_as=f"again-{each.id}") for each in ledger if each.source == "rq"]


@pytest.fixture
def queue() -> Queue:
    return Queue(a_record(1), a_record(2), a_record(3, fate=JobFate.LOST, is_restorable=False))


@pytest.fixture
def service(make_service: Any, queue: Queue, sqlite_url: str) -> Any:
    plugins = PluginManager()
    plugins.register(queue, "rq")
    return make_service(sqlite_url, plugins=plugins)


def stopped(service: Any) -> str:
    """Stop everything under a window that is over then; return its id."""
    window = service.enable(reason="r", mode="emergency", actor="a")
    service.jobs.stop_all(grace=0, actor="a")
    service.disable(actor="a")
    return str(window.id)


def test_stop_holds_first_and_reports_every_job(service: Any, queue: Queue) -> None:
    """Jobs that are ended while others begin are no end; what was ended stands in ledger and audit trail."""
    window = service.enable(reason="fire", mode="emergency", actor="a")

    report = service.jobs.stop_all(grace=1.5, actor="ann", source="cli")

    hold, stop = queue.calls
    assert hold == JobHold(is_on=True, window_ids=frozenset({window.id}), reason="fire")
    assert stop == JobStop(window_id=window.id, grace_seconds=1.5, reason="fire")
    assert report.records == queue.records
    assert report.is_quiet
    assert {entry.record.id for entry in service.jobs.ledger()} == {"job-1", "job-2", "job-3"}
    assert {entry.window_id for entry in service.jobs.ledger(window_id=window.id)} == {window.id}
    assert service.jobs.ledger(window_id="other") == ()
    actions = [(record.action, record.actor, record.detail) for record in service.store.audit()][-2:]
    assert actions == [
        ("jobs.stopping", "ann", "grace period 1.5 s"),
        ("jobs.stopped", "ann", "1 lost, 2 terminated"),
    ]


def test_stop_needs_a_window_that_refuses_new_jobs(service: Any, queue: Queue) -> None:
    """Ended jobs would be followed by the next ones from the queue."""
    with pytest.raises(NoOpenWindowError, match="open one first"):
        service.jobs.stop_all(actor="a")
    window = service.enable(reason="r", actor="a")
    with pytest.raises(NoOpenWindowError):
        service.jobs.stop_all(window_id="other", actor="a")
    for grace in (-1, float("nan"), True, "1"):
        with pytest.raises(InvalidValueError):
            service.jobs.stop_all(window_id=window.id, grace=grace, actor="a")

    assert queue.calls == []


def test_failing_plugin_is_a_problem_and_stops_nobody_else(make_service: Any, queue: Queue) -> None:
    """In an emergency one broken broker must not save the jobs of the others."""

    class Broken:
        @hookimpl
        def stop_jobs(self) -> object:
            raise RuntimeError("gone")

        @hookimpl
        def job_counts(self) -> object:
            return "many"

    plugins = PluginManager()
    plugins.register(Broken(), "broken")
    plugins.register(queue, "rq")
    service = make_service(plugins=plugins)
    service.enable(reason="r", actor="a")

    report = service.jobs.stop_all(grace=0, actor="a")

    assert report.records == queue.records
    assert not report.is_quiet
    assert [problem.partition(":")[0] for problem in report.problems] == ["broken", "broken"]


def test_each_job_is_put_back_once(service: Any, queue: Queue) -> None:
    """However often an operator asks."""
    window_id = stopped(service)

    first = service.jobs.restore(window_id=window_id, actor="a")
    second = service.jobs.restore(window_id=window_id, actor="a")

    assert sorted(queue.put_back) == ["job-1", "job-2"]
    assert sorted(record.put_back_as for record in first.restored) == ["again-job-1", "again-job-2"]
    assert (second.restored, second.left) == ((), ())
    as_ = {entry.record.id: entry.record.put_back_as for entry in service.jobs.ledger(window_id=window_id)}
    assert as_ == {"job-1": "again-job-1", "job-2": "again-job-2", "job-3": ""}


def test_two_operators_at_once_put_each_job_back_once(service: Any, queue: Queue) -> None:
    """The claim decides, not who asked first."""
    queue.records = tuple(a_record(number) for number in range(30))
    window_id = stopped(service)
    start = threading.Barrier(3)

    def ask() -> None:
        start.wait(20)
        service.jobs.restore(window_id=window_id, actor="a")

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(queue.put_back) == sorted(f"job-{number}" for number in range(30))


def test_nothing_is_put_back_while_jobs_are_refused(service: Any, queue: Queue) -> None:
    """It would run in the middle of the maintenance it was ended for."""
    window_id = stopped(service)
    service.enable(reason="r", actor="a")

    with pytest.raises(WindowOpenError):
        service.jobs.restore(window_id=window_id, actor="a")

    assert queue.put_back == []


def test_failed_restore_leaves_the_records_to_be_tried_again(service: Any, queue: Queue) -> None:
    """A broker that is down for a moment must not cost the jobs."""
    window_id = stopped(service)
    queue.error = RuntimeError("down")
    failed = service.jobs.restore(window_id=window_id, actor="a")
    queue.error = None

    report = service.jobs.restore(window_id=window_id, actor="a")

    assert len(failed.left) == 2
    assert failed.problems == ("rq: RuntimeError: 'down'",)
    assert len(report.restored) == 2


def test_claim_of_somebody_who_died_is_waited_out(service: Any, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between claim and answer anybody may die; nobody else may act until a plugin cannot be at it any more."""
    window_id = stopped(service)
    ledger = JobLedger(service.store.items)
    for line in list(ledger.lines(window_id)):
        ledger.claim(line, by="dead")

    early = service.jobs.restore(window_id=window_id, actor="a")
    monkeypatch.setattr("quiesce.control.job_commands.STOP_MARGIN_SECONDS", -1e6)
    late = service.jobs.restore(window_id=window_id, actor="a")

    assert (early.restored, len(early.left)) == ((), 2)
    assert len(late.restored) == 2
    assert sorted(queue.put_back) == ["job-1", "job-2"]


def test_stopping_again_keeps_what_was_put_back(service: Any, queue: Queue) -> None:
    """A plugin names its jobs again when it is asked again; the ledger must not forget that they run anew."""
    window_id = stopped(service)
    service.jobs.restore(window_id=window_id, actor="a")

    JobLedger(service.store.items).add(window_id, queue.records)

    assert service.jobs.restore(window_id=window_id, actor="a").restored == ()
    assert service.store.items.count(COLLECTION) == 3


def test_plugin_that_only_the_workers_have_is_named(make_service: Any, sqlite_url: str) -> None:
    """A command on a machine without the plugin must not report that all is quiet."""
    service = make_service(sqlite_url)
    service.store.items.put("jobs", {"plugin:celery": b""})
    service.enable(reason="r", actor="a")

    report = service.jobs.stop_all(grace=0, actor="a")

    assert report.problems == ("celery: the workers have this plugin, this process has not",)
    assert not report.is_quiet
