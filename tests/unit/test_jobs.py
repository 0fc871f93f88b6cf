"""Tracked jobs: counted over all workers, waited for, refused at their entry, and asked to stop in an emergency."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from quiesce import EnhancedMaintenanceModeService, InvalidValueError, OperationRefusedError, Settings
from quiesce.plugins import PluginManager
from quiesce.testing import FakeClock, eventually
from quiesce.testing.clock import NOON

Service = EnhancedMaintenanceModeService
MakeService = Callable[..., Service]


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Service]:
    """A service with a live agent, on a store that another service shares."""
    service = Service(Settings(store_url=f"sqlite:///{tmp_path}/maintenance.db"), plugins=PluginManager())
    service.start()
    yield service
    service.close()


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Service]:
    """Another process's view of the same store."""
    service = Service(Settings(store_url=f"sqlite:///{tmp_path}/maintenance.db"), plugins=PluginManager())
    yield service
    service.close()


def test_a_running_job_is_counted_for_everybody(worker: Service, operator: Service) -> None:
    """An operator asks how many still run before he begins."""
    with worker.jobs.track("export", user="bob"), worker.jobs.track("export"), worker.jobs.track("mail"):
        eventually(lambda: operator.jobs.counts() == {"export": 2, "mail": 1})

        assert worker.jobs.running()[0].user == "bob"
        assert operator.quiescence().jobs == {"export": 2, "mail": 1}
    eventually(lambda: not +operator.jobs.counts())  # type: ignore[operator] # a Counter, of which only what counts stays

    assert worker.jobs.running() == ()


def test_a_job_that_began_before_is_waited_for(worker: Service, operator: Service) -> None:
    """It writes; the migration must not begin beside it."""
    eventually(lambda: operator.store.age() > 3)
    with worker.jobs.track("export"):
        operator.enable(reason="migration", actor="anna")
        eventually(lambda: operator.quiescence().in_flight == {"job_creation": 1})

        assert not operator.quiescence().quiesced

    assert operator.wait_until_quiesced(timeout=timedelta(seconds=10)).quiesced


def test_a_job_does_not_begin_in_a_window_that_refuses_it(worker: Service) -> None:
    """Every entry is guarded, the application's own scheduler too."""
    worker.enable(reason="migration", actor="anna")

    with pytest.raises(OperationRefusedError), worker.jobs.track("export"):
        pytest.fail("it began")
    with worker.jobs.track("report", operation="read_operations"):
        assert [job.kind for job in worker.jobs.running()] == ["report"]

    assert worker.jobs.running() == ()


def test_a_job_that_fails_is_off_the_count(worker: Service) -> None:
    """A count that only grows would keep the system from ever being quiet."""
    with pytest.raises(LookupError), worker.jobs.track("export"):
        raise LookupError("no such table")

    assert worker.jobs.running() == ()
    assert not worker.gate.in_flight


def test_a_coroutine_is_tracked_as_well(worker: Service) -> None:
    """Half of all applications run on an event loop."""

    async def run() -> list[str]:
        async with worker.jobs.track("export"):
            return [job.kind for job in worker.jobs.running()]

    assert asyncio.run(run()) == ["export"]
    assert worker.jobs.running() == ()


@pytest.mark.parametrize(("mode", "stops"), [("normal", False), ("test", False), ("emergency", True)])
def test_jobs_are_asked_to_stop_in_an_emergency_only(worker: Service, mode: str, stops: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """In planned maintenance what runs may finish; in an emergency it is ended."""
    with worker.jobs.track("export"):
        assert not worker.jobs.stopping()
        assert worker.jobs.grace_left() is None

        worker.enable(reason="breach", mode=mode, actor="anna")

        assert worker.jobs.stopping() is stops
    worker.disable(actor="anna")
    assert not worker.jobs.stopping()


def test_the_grace_period_runs_out(make_service: MakeService, clock: FakeClock) -> None:
    """A job can tell whether one more step is worth beginning."""
    service = make_service(job_grace_period=timedelta(seconds=30))
    service.enable(reason="breach", mode="emergency", actor="anna")

    left = []
    for _ in range(4):
        left.append(service.jobs.grace_left())
        clock.advance(12)

    assert left == [timedelta(seconds=seconds) for seconds in (30, 18, 6, 0)]
    assert clock.now() > NOON


def test_jobs_see_an_emergency_that_another_process_opens(worker: Service, operator: Service) -> None:
    """At the very next question, as requests do."""
    with worker.jobs.track("export"):
        operator.enable(reason="breach", mode="emergency", actor="anna")

        assert worker.jobs.stopping()


def test_a_forked_child_has_none_of_its_parents_jobs(worker: Service) -> None:
    """Servers fork; the parent's jobs are not the child's to count."""
    with worker.jobs.track("export"):
        pid = os.fork()
        if pid == 0:
            os._exit(len(worker.jobs.running()))

        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert len(worker.jobs.running()) == 1


@pytest.mark.parametrize("kind", ["", "a b", "x" * 65, "naïve", 7, None])
def test_a_kind_that_could_not_be_shown_is_refused(service: Service, kind: Any) -> None:
    """It stands in reports and on terminals."""
    with pytest.raises(InvalidValueError, match="kind"):
        service.jobs.track(kind)
    with pytest.raises(InvalidValueError):
        service.jobs.track("export", operation="nonsense")
