"""Celery in an emergency: what runs is ended, stands in the ledger, and runs to its end once afterwards."""

from __future__ import annotations

import json
from typing import Any

import pytest
from celery import chord

import quiesce_celery
from quiesce import EnhancedMaintenanceModeService, JobFate, JobRecord
from quiesce.testing import eventually
from quiesce_celery.connecting import broker_of
from quiesce_celery.looking import look
from quiesce_celery.scripts import Scripts

pytestmark = pytest.mark.slow


def fates(records: Any) -> dict[str, tuple[JobFate, bool]]:
    return {record.id: (record.fate, record.is_restorable) for record in records}


def restore(records: list[JobRecord]) -> set[str]:
    """Put back, thrice, and return under which ids."""
    found = [quiesce_celery.restore_jobs(records) or [] for _ in range(3)]
    assert found[0] == found[1] == found[2]
    return {record.put_back_as for record in found[0] if record.put_back_as}


def test_after_an_emergency_under_load_each_task_ran_to_its_end_once(
    workers: Any, operator: Any, service: EnhancedMaintenanceModeService
) -> None:
    """The promise: nothing is forgotten, and nothing runs to its end twice; a worker dies on top of it."""
    workers.start_task("run", "stubborn", 600, queue="a")
    workers.start_task("run_late", "late", 600, queue="a")
    workers.start_task("cooperate", "polite", queue="b")
    workers.start_task("retry", "again", queue="b")
    waiting = [f"waiting-{number}" for number in range(12)]
    for number, name in enumerate(waiting):
        workers.send("run_late" if number % 2 else "run", name, countdown=600 if number == 5 else None)
    workers.send("run", "timed", countdown=0.5)
    window = service.enable(reason="fire", mode="emergency", actor="a")

    report = service.jobs.stop_all(grace=3.0, actor="a")

    assert report.problems == ()
    assert fates(report.records) == {
        "stubborn": (JobFate.TERMINATED, True),
        "late": (JobFate.TERMINATED, True),
        "polite": (JobFate.STOPPED, True),
        "again": (JobFate.STOPPED, False),
    }
    assert report.is_quiet, report.counts
    assert workers.tally("ended") == {}
    workers.kill("b")
    workers.start("b", "--queues", "default,b")
    eventually(lambda: operator.counts()[:2] == (0, 0), within=20)

    service.disable(actor="a")
    workers.finish()
    operator.release()
    for _ in range(3):
        restored = service.jobs.restore(window_id=window.id, actor="a")
        assert (restored.left, restored.problems) == ((), ())

    everything = {"stubborn", "late", "polite", "again", "timed", *waiting} - {"waiting-5"}
    eventually(lambda: set(workers.tally("ended")) == everything, within=30)
    eventually(lambda: operator.counts()[0] == 0, within=20)
    assert workers.tally("ended") == dict.fromkeys(everything, 1)
    assert {entry.record.put_back_as.rpartition("-")[0] for entry in service.jobs.ledger()} == {
        *("stubborn-restored", "late-restored", "polite-restored", ""),
    }
    workers.connection.delete("unacked", "unacked_index")  # the one that waits for ten minutes


def test_message_of_a_terminated_task_that_comes_back_does_not_run(workers: Any, operator: Any) -> None:
    """The trap: an unacknowledged message comes back after the visibility timeout, or a restart."""
    workers.start_task("run_late", "late", 600)
    ((_, kept),) = workers.connection.hgetall("unacked").items()
    operator.hold()
    records = operator.stop()
    assert fates(records) == {"late": (JobFate.TERMINATED, True)}

    message, _, _ = json.loads(kept)
    workers.connection.lpush("default", json.dumps(message))
    workers.finish()
    operator.release()
    eventually(lambda: operator.counts()[::2] == (0, 0), within=20)
    restore(records)

    eventually(lambda: workers.tally("ended") == {"late": 1}, within=20)
    workers.connection.lpush("default", json.dumps(message))
    eventually(lambda: operator.counts()[::2] == (0, 0), within=20)
    eventually(lambda: workers.connection.hlen("unacked") == 0, within=20)
    assert (workers.tally("began"), workers.tally("ended")) == ({"late": 2}, {"late": 1})


def test_caller_of_a_terminated_task_is_told(workers: Any, operator: Any) -> None:
    """Or it would wait for a result for ever."""
    workers.start_task("run", "ended", 600, ignore_result=False)
    operator.hold()

    operator.stop()

    assert workers.app.AsyncResult("ended").state == "REVOKED"


def test_chord_is_completed_by_the_copies_of_its_tasks(workers: Any, operator: Any) -> None:
    """A task that was ended for maintenance must not fail what waits for it."""
    app = workers.app
    header = [app.signature("run", (f"part-{number}", 600)) for number in range(2)]
    chord(header, app=app)(app.signature("collect", ("whole",)))
    eventually(lambda: len(workers.tally("began")) == 2, within=20)
    operator.hold()
    records = operator.stop()
    workers.finish()
    operator.release()

    restore(records)

    eventually(lambda: workers.tally("ended") == {"part-0": 1, "part-1": 1, "whole": 2}, within=20)


def test_process_that_is_about_to_be_killed_takes_no_other_task(workers: Any, operator: Any) -> None:
    """The trap: a signal hits a process, whichever task that has come to by then."""
    workers.start_task("run", "meant", 600)
    broker = broker_of(workers.app)
    scripts = Scripts(broker)
    (run,) = look(broker).runs

    assert scripts.claim(run)
    assert scripts.end(run, "SUCCESS") == "doomed"

    assert not scripts.claim(run)
    assert scripts.restore(f"{run.id}-restored") == "unknown"
    assert workers.connection.get(f"quiesce:celery:outcome:{run.key}") == b"SUCCESS"
    workers.connection.delete("quiesce:celery:killing")  # or the process would wait for the signal
    workers.finish()
    eventually(lambda: workers.tally("ended") == {"meant": 1}, within=20)  # nothing counts it any more


def test_who_stops_again_after_a_crash_halfway_tells_the_same(workers: Any, operator: Any) -> None:
    """The leader may have died just after the processes were killed, and before the ledger was written."""
    workers.start_task("run", "ended", 600)
    operator.hold()

    first, second = operator.stop(), operator.stop()

    assert first == second
    assert fates(first) == {"ended": (JobFate.TERMINATED, True)}


def test_same_task_is_put_back_again_in_the_next_emergency(workers: Any, operator: Any) -> None:
    """Each run that was ended is a run to be put back, whatever was put back under a like id before."""
    ids = set()
    for number in range(2):
        workers.send("run", "nightly", 600)
        eventually(lambda number=number: workers.tally("began").get("nightly") == 2 * number + 1, within=20)  # type: ignore[misc]  # bound now
        operator.hold()
        records = operator.stop(window_id=f"w{number}")
        workers.finish()
        operator.release()
        ids |= restore(records)
        eventually(lambda number=number: workers.tally("ended") == {"nightly": number + 1}, within=20)  # type: ignore[misc]  # bound now
        workers.connection.delete("quick")

    assert len(ids) == 2


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_pool_that_cannot_end_a_task_says_so(fleet: Any, operator: Any, pool: str) -> None:
    """Such a task is asked; what does not listen goes on, nobody calls that quiet, and nothing begins after it."""
    fleet.start("odd", "--pool", pool, "--concurrency", "1")
    fleet.start_task("run", "stubborn", 600)
    fleet.send("run", "behind-it")
    fleet.send("run_late", "late-behind-it")
    operator.hold()

    records = operator.stop(grace_seconds=0.1)

    assert fates(records) == {"stubborn": (JobFate.RUNNING, False)}
    assert operator.counts()[0] == 1
    fleet.finish()
    eventually(lambda: operator.counts() == (0, 0, 2), within=20)
    assert fleet.tally("ended") == {"stubborn": 1}
    operator.release()
    everything = {"stubborn": 1, "behind-it": 1, "late-behind-it": 1}
    eventually(lambda: fleet.tally("ended") == everything, within=20)
    eventually(lambda: operator.counts()[::2] == (0, 0), within=20)
    assert fleet.tally("began") == everything
