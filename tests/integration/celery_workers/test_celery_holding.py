"""Celery under a hold: nothing that was fetched, scheduled or delivered again begins, and it is counted."""

from __future__ import annotations

import time
from typing import Any

import pytest

import quiesce_celery
from quiesce import EnhancedMaintenanceModeService, JobCounts
from quiesce.control.job_queues import JobQueues
from quiesce.plugins import PluginManager
from quiesce.testing import eventually

pytestmark = pytest.mark.slow


def fill(workers: Any, *, more: int = 0) -> list[str]:
    """Have all four processes work, and so many more tasks fetched."""
    names = [f"task-{number}" for number in range(4 + more)]
    for name, queue in zip(names, "aabb", strict=False):
        workers.start_task("run", name, 60, queue=queue)
    for name in names[4:]:
        workers.send("run", name, 60)
    eventually(lambda: workers.connection.llen("default") == 0, within=20)
    return names


def consumed(workers: Any) -> set[str] | None:
    """Return the queues that Celery says the two workers consume, or that they did not both answer."""
    found = workers.app.control.inspect(timeout=5, limit=2).active_queues() or {}
    return {queue["name"] for queues in found.values() for queue in queues} if len(found) == 2 else None


def test_celery_alone_begins_what_was_fetched_although_consumers_are_cancelled(workers: Any) -> None:
    """The trap: without this, cancelling consumers would do, and we would like to know."""
    names = fill(workers, more=3)
    workers.app.control.cancel_consumer("default")
    eventually(lambda: consumed(workers) == {"a", "b"}, within=20)

    workers.finish()

    eventually(lambda: len(workers.tally("ended")) == len(names), within=20)
    workers.app.control.add_consumer("default")
    eventually(lambda: consumed(workers) == {"a", "b", "default"}, within=20)


def test_what_was_fetched_waits_in_its_queue_again(workers: Any, operator: Any) -> None:
    """A worker that is restarted in maintenance loses nothing then, and what runs is all there is."""
    names = fill(workers, more=3)

    operator.hold()

    eventually(lambda: operator.counts() == (4, 0, 3), within=20)
    assert workers.connection.llen("default") == 3
    workers.finish()
    eventually(lambda: operator.counts() == (0, 0, 3), within=20)
    assert len(workers.tally("began")) == 4
    operator.release()
    eventually(lambda: workers.tally("ended") == dict.fromkeys(names, 1), within=20)


def test_leader_proves_celery_quiet(workers: Any, service: EnhancedMaintenanceModeService) -> None:
    """The whole way: hold, count, obstacle, quiet."""
    plugins = PluginManager()
    plugins.register(quiesce_celery, "celery")
    workers.start_task("run", "long", 60)
    service.enable(reason="r", actor="a")
    leader = JobQueues(
        plugins=plugins, store=service.store, load=service.store.load, clock=service.clock, hook_timeout_seconds=10
    )

    def obstacles() -> list[str]:
        leader.step(service.store.load())
        found = service.quiescence(expected_workers=0).obstacles
        return [each for each in found if each.startswith("celery")]

    eventually(lambda: obstacles() == ["celery: 1 running"], within=20)
    workers.finish()
    eventually(lambda: obstacles() == [], within=20)
    assert [(c.running, c.reserved) for c in service.quiescence().job_counts] == [(0, 0)]
    service.disable(actor="a")
    eventually(lambda: obstacles() == [] and not workers.connection.exists("quiesce:celery:held"), within=20)
    leader.stop()


def test_held_workers_take_nothing_that_comes(workers: Any, operator: Any) -> None:
    """What the proof says is nothing that runs and nothing that is about to."""
    operator.hold()
    eventually(lambda: operator.counts() == (0, 0, 0), within=20)

    workers.send("run", "new")
    workers.send("run", "elsewhere", queue="default", priority=9)

    expected = JobCounts(source="celery", running=0, reserved=0, queued=2)
    eventually(lambda: quiesce_celery.job_counts() == expected, within=20)
    assert workers.tally("began") == {}
    operator.release()
    eventually(lambda: workers.tally("ended") == {"new": 1, "elsewhere": 1}, within=20)


def test_task_whose_time_comes_under_a_hold_does_not_begin(workers: Any, operator: Any) -> None:
    """It sits in a worker's memory, where no queue shows it."""
    for countdown in (0.8, 2.0, 5.0, 12.0):  # the hold comes too late where the machine stalls meanwhile
        name = f"timed-{countdown}"
        workers.send("run", name, countdown=countdown)
        eventually(lambda: workers.connection.hlen("unacked") == 1 or workers.tally("began"), within=20)
        operator.hold()
        if not workers.tally("began"):
            break
        workers.reset()
    eventually(lambda: operator.counts() == (0, 0, 1), within=20)

    due = time.monotonic() + countdown + 0.4
    eventually(lambda: time.monotonic() > due, within=20)

    eventually(lambda: operator.counts() == (0, 0, 1), within=20)
    assert workers.tally("began") == {}
    operator.release()
    eventually(lambda: workers.tally("ended") == {name: 1}, within=20)


def test_task_that_waits_for_its_turn_by_a_rate_limit_goes_back(workers: Any, operator: Any) -> None:
    """It is neither in the queue nor in the pool."""
    workers.app.control.rate_limit("run", "1/h", reply=True, timeout=5, limit=2)
    for name in ("x", "y", "z"):
        workers.send("run", name)
    eventually(lambda: workers.connection.llen("default") == 0, within=20)

    operator.hold()

    eventually(lambda: operator.counts()[:2] == (0, 0), within=20)
    began = len(workers.tally("began"))
    eventually(lambda: operator.counts() == (0, 0, 3 - began), within=20)
    workers.app.control.rate_limit("run", "0", reply=True, timeout=5, limit=2)
    operator.release()
    eventually(lambda: workers.tally("ended") == {"x": 1, "y": 1, "z": 1}, within=20)


def test_queue_that_an_operator_cancelled_stays_so(workers: Any, operator: Any) -> None:
    """Maintenance must not resume what somebody had a reason to stop."""
    workers.app.control.cancel_consumer("default")
    eventually(lambda: consumed(workers) == {"a", "b"}, within=20)
    operator.hold()
    eventually(lambda: consumed(workers) == set(), within=20)

    operator.release()

    eventually(lambda: consumed(workers) == {"a", "b"}, within=20)
    workers.send("run", "later")
    eventually(lambda: operator.counts() == (0, None, 1), within=20)
    workers.app.control.add_consumer("default")
    eventually(lambda: workers.tally("ended") == {"later": 1}, within=20)


def test_queue_that_an_operator_cancels_under_a_hold_stays_so(workers: Any, operator: Any) -> None:
    """The trap: what is to be consumed again was written down when the hold began."""
    operator.hold()
    eventually(lambda: consumed(workers) == set(), within=20)
    workers.app.control.cancel_consumer("default", reply=True, timeout=5, limit=2)

    operator.release()

    eventually(lambda: consumed(workers) == {"a", "b"}, within=20)
    workers.app.control.add_consumer("default", reply=True, timeout=5, limit=2)
    eventually(lambda: consumed(workers) == {"a", "b", "default"}, within=20)


def test_nothing_is_known_of_reservations_before_the_hold(workers: Any, operator: Any) -> None:
    """While work is not held back workers take tasks at any moment; that is not zero."""
    eventually(lambda: operator.counts() == (0, None, 0), within=20)


def test_hold_that_the_broker_lost_is_not_taken_for_one(workers: Any, operator: Any) -> None:
    """Then reservations are not known, and whoever asked holds anew."""
    operator.hold()
    workers.connection.delete("quiesce:celery:held")

    assert operator.counts()[1] is None
    operator.hold()
    eventually(lambda: operator.counts() == (0, 0, 0), within=20)


def test_worker_that_starts_under_a_hold_begins_nothing(workers: Any, operator: Any) -> None:
    """Deployments restart workers in the middle of maintenance."""
    operator.hold()
    workers.send("run", "waiting")

    workers.start("c")

    eventually(lambda: operator.counts() == (0, 0, 1), within=20)
    assert workers.tally("began") == {}
    operator.release()
    eventually(lambda: workers.tally("ended") == {"waiting": 1}, within=20)
    workers.workers["c"].terminate()
    workers.workers.pop("c").wait(20)
    eventually(lambda: "c@test" not in operator.detail(), within=20)


def test_worker_that_was_cut_off_stays_held(fleet: Any, operator: Any) -> None:
    """It connects anew and consumes all its queues, as if nothing had been."""
    fleet.start("alone")
    operator.hold()
    fleet.send("run", "waiting")

    fleet.connection.client_kill_filter(_type="normal", skipme=True)
    fleet.connection.client_kill_filter(_type="pubsub", skipme=True)

    eventually(lambda: operator.counts() == (0, 0, 1), within=20)
    assert fleet.tally("began") == {}
    operator.release()
    eventually(lambda: fleet.tally("ended") == {"waiting": 1}, within=20)
