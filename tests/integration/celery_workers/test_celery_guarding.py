"""The ways to send a task, the setting, and the commands; no worker runs but where one is needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, chain, chord, group
from celery.beat import ScheduleEntry, Scheduler, SchedulingError

import quiesce_celery
from quiesce import (
    EnhancedMaintenanceModeService,
    Guard,
    JobHold,
    JobStop,
    OperationRefusedError,
    OperationType,
    SettingsError,
)
from quiesce.testing import eventually


def echo(name: str) -> str:
    return name


@pytest.fixture
def app(fleet: Any) -> Iterator[Celery]:
    """An application with one task."""
    made = Celery("guarded", broker=fleet.app.conf.broker_url, backend="cache+memory://", set_as_current=False)
    made.conf.task_default_queue = "default"
    made.task(name="run", shared=False)(echo)
    yield made
    made.close()


def test_no_way_to_send_a_task_leads_past_the_guard(
    app: Celery, fleet: Any, service: EnhancedMaintenanceModeService
) -> None:
    """A task that gets in by another door runs all the same."""
    quiesce_celery.init_app(app, service=service)
    run = app.tasks["run"]
    run.delay("before")
    service.enable(reason="r", actor="a")

    ways: list[Callable[[], object]] = [
        lambda: run.delay("x"),
        lambda: run.apply_async(("x",)),
        lambda: run.apply_async(("x",), countdown=60),
        lambda: run.s("x").apply_async(),
        lambda: app.send_task("run", ("x",)),
        lambda: group(run.s("x"), run.s("y"), app=app).apply_async(),
        lambda: chain(run.s("x"), run.s(), app=app).apply_async(),
        lambda: chord([run.s("x")], app=app)(run.si("y")),
    ]
    for send in ways:
        with pytest.raises(OperationRefusedError):
            send()

    assert fleet.connection.llen("default") == 1
    service.disable(actor="a")
    run.delay("after")
    assert fleet.connection.llen("default") == 2


def test_beat_sends_nothing_past_the_guard(app: Celery, fleet: Any, service: EnhancedMaintenanceModeService) -> None:
    """A scheduler is one more who creates jobs; it goes on, and leaves the run out."""
    quiesce_celery.init_app(app, service=service)
    service.enable(reason="r", actor="a")
    scheduler = Scheduler(app, lazy=True)
    entry = ScheduleEntry("each minute", "run", schedule=60.0, args=("x",), app=app)

    with pytest.raises(SchedulingError, match="job_creation"):
        scheduler.apply_async(entry, advance=False)
    scheduler.apply_entry(entry)

    assert fleet.connection.llen("default") == 0


def test_guard_is_not_doubled(
    app: Celery, service: EnhancedMaintenanceModeService, fleet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks and application may both say it, and one task must not count as two operations."""
    for _ in range(2):
        quiesce_celery.init_app(app, service=service)
    seen: list[object] = []
    original = service.guard

    def count(operation: OperationType | str) -> Guard:
        seen.append(operation)
        return original(operation)

    monkeypatch.setattr(service, "guard", count)

    app.send_task("run", ("x",))

    assert len(seen) == 1


def test_what_a_running_task_sends_is_not_refused(
    app: Celery, service: EnhancedMaintenanceModeService, fleet: Any
) -> None:
    """A retry, or the next of a chain, belongs to work that was let in; it waits in its queue."""
    quiesce_celery.init_app(app, service=service)
    service.enable(reason="r", actor="a")

    def send() -> None:
        app.send_task("run", ("inner",))

    app.task(name="outer", shared=False)(send).apply(throw=True)

    assert fleet.connection.llen("default") == 1


def test_unconfigured_plugin_has_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may install everything there is."""
    quiesce_celery.configure(app=None)
    monkeypatch.delenv("MAINTENANCE_CELERY_APP", raising=False)

    assert quiesce_celery.job_counts() is None
    assert quiesce_celery.stop_jobs(JobStop(window_id="w", grace_seconds=0)) is None
    assert quiesce_celery.restore_jobs([]) is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("no_such_module_at_all:app", "cannot be imported"),
        ("json:no_such_name", "cannot be imported"),
        ("json:dumps", "is no Celery application"),
        ("not a name", "MAINTENANCE_CELERY_APP"),
    ],
)
def test_setting_that_names_no_application_is_a_clear_error(
    monkeypatch: pytest.MonkeyPatch, name: str, problem: str
) -> None:
    """An operator reads it in the worst hour of the month."""
    quiesce_celery.configure(app=None)
    monkeypatch.setenv("MAINTENANCE_CELERY_APP", name)

    with pytest.raises(SettingsError, match=problem):
        quiesce_celery.job_counts()


def test_other_broker_than_redis_is_a_clear_error() -> None:
    """Nothing of this works there, and nobody must think that it did."""
    quiesce_celery.configure(app=Celery("other", broker="memory://", set_as_current=False))
    try:
        with pytest.raises(Exception, match="only Redis can be held"):
            quiesce_celery.job_counts()
    finally:
        quiesce_celery.configure(app=None)


@pytest.mark.slow
def test_commands_list_stop_and_put_back(fleet: Any, shell: Any) -> None:
    """The whole way of an operator, who has only the setting."""
    here = str(Path(__file__).parent)
    shell.environment |= {
        "MAINTENANCE_CELERY_APP": "quiesce_celery_jobs:app",
        "QUIESCE_TEST_CELERY": fleet.app.conf.broker_url,
        "PYTHONPATH": os.pathsep.join([here, os.environ.get("PYTHONPATH", "")]),
    }
    fleet.start("alone")
    fleet.start_task("run", "long", 600)
    shell.document("enable", "--reason", "fire", "--mode", "emergency")

    stopped = shell.document("jobs", "stop", "--yes", "--grace", "0s")

    assert [(each["id"], each["fate"]) for each in stopped["records"]] == [("long", "terminated")]
    found = {answer["plugin"]: answer for answer in shell.document("jobs", "list")["queues"]}
    assert [(c["source"], c["running"], c["reserved"]) for c in found["celery"]["counts"]] == [("celery", 0, 0)]
    shell.document("disable")
    fleet.finish()
    quiesce_celery.hold_jobs(JobHold(is_on=False))  # as the leading worker of an application does
    shell.document("jobs", "restore", "--yes", stopped["window_id"])
    eventually(lambda: fleet.tally("ended") == {"long": 1}, within=20)
