"""RQ under maintenance, with real workers and a real Redis: held, counted, ended, put back, each job once."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
from rq import Queue, Worker
from rq.registry import FailedJobRegistry, StartedJobRegistry
from rq.suspension import is_suspended, suspend

import quiesce_rq
from quiesce import (
    EnhancedMaintenanceModeService,
    JobCounts,
    JobFate,
    JobHold,
    JobStop,
    OperationRefusedError,
    Settings,
)
from quiesce.control.job_queues import JobQueues
from quiesce.plugins import PluginManager
from quiesce.testing import eventually

if TYPE_CHECKING:
    from tests.nursery.client import Nursery

JOBS = Path(__file__).with_name("rq_jobs")
HOLD, RELEASE = JobHold(is_on=True, window_ids=frozenset({"w"}), reason="r"), JobHold(is_on=False)
StartWorker = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def connection(redis_server: Any) -> Iterator[redis.Redis]:
    """RQ's Redis, which the plugin is told of too."""
    with redis_server.client() as client:
        quiesce_rq.configure(connection=client)
        yield client
        quiesce_rq.configure(connection=None)


@pytest.fixture
def start_worker(redis_server: Any, connection: redis.Redis, tmp_path: Path, nursery: Nursery) -> Iterator[StartWorker]:
    """Start RQ workers; they end with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*queues: str) -> subprocess.Popen[bytes]:
        name = f"worker-{len(started)}"
        command = [sys.executable, "-m", "rq.cli", "worker", "--url", redis_server.url, "--name", name, *queues]
        path = os.pathsep.join([str(JOBS), os.environ.get("PYTHONPATH", "")])
        environ = {
            **os.environ,
            "PYTHONPATH": path,
            "QUIESCE_TEST_RQ": redis_server.url,
        }
        with (tmp_path / f"{name}.log").open("wb") as log:
            process = nursery.start(command, env=environ, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        started.append(process)
        eventually(lambda: name in {worker.name for worker in Worker.all(connection=connection)}, within=30)
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the session, because a job runs in a child of its worker
        process.wait()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[EnhancedMaintenanceModeService]:
    """A service whose one plugin is RQ's."""
    plugins = PluginManager()
    plugins.register(quiesce_rq, "rq")
    made = EnhancedMaintenanceModeService(Settings(store_url=f"sqlite:///{tmp_path}/maintenance.db"), plugins=plugins)
    yield made
    made.close()


def enqueue(connection: redis.Redis, function: str, name: str, *, queue: str = "default", **options: Any) -> Any:
    arguments = {"seconds": options.pop("seconds")} if "seconds" in options else {}
    return Queue(queue, connection=connection).enqueue(
        f"quiesce_rq_jobs.{function}", args=(name,), kwargs=arguments, job_id=name, **options
    )


def tally(connection: redis.Redis, key: str) -> dict[str, int]:
    return {
        str(name, "utf-8"): int(count) for name, count in connection.hgetall(key).items() if isinstance(name, bytes)
    }


def states(connection: redis.Redis) -> list[str]:
    return sorted(str(worker.get_state()) for worker in Worker.all(connection=connection))


def counts() -> tuple[int | None, int | None, int | None]:
    found = quiesce_rq.job_counts()
    assert found is not None
    return found.running, found.reserved, found.queued


def test_rq_alone_lets_an_idle_worker_take_one_more_job(connection: redis.Redis, start_worker: StartWorker) -> None:
    """The trap: without this there would be no need to wake anybody, and we would like to know."""
    start_worker("default")
    eventually(lambda: states(connection) == ["idle"], within=20)
    suspend(connection)

    enqueue(connection, "run", "one-more")

    eventually(lambda: tally(connection, "ended") == {"one-more": 1}, within=20)


def test_idle_workers_take_no_more_jobs_once_held(connection: redis.Redis, start_worker: StartWorker) -> None:
    """What the proof says is nothing that runs and nothing that is about to."""
    start_worker("default")
    start_worker("default", "other")
    eventually(lambda: states(connection) == ["idle", "idle"], within=20)

    quiesce_rq.hold_jobs(HOLD)
    eventually(lambda: counts() == (0, 0, 0), within=20)
    enqueue(connection, "run", "a")
    enqueue(connection, "run", "b", queue="other")

    assert states(connection) == ["suspended", "suspended"]
    assert counts() == (0, 0, 2)
    assert tally(connection, "began") == {}
    quiesce_rq.hold_jobs(RELEASE)
    eventually(lambda: tally(connection, "ended") == {"a": 1, "b": 1}, within=20)
    assert quiesce_rq.job_counts() is not None
    assert connection.exists("rq:suspended") == 0


def test_nothing_is_known_of_reservations_before_the_hold(connection: redis.Redis, start_worker: StartWorker) -> None:
    """While RQ is not suspended its workers take jobs at any moment; that is not zero."""
    start_worker("default")
    eventually(lambda: states(connection) == ["idle"], within=20)

    assert counts() == (0, None, 0)


def test_running_job_is_counted_until_it_ends(connection: redis.Redis, start_worker: StartWorker) -> None:
    """A held queue is not a quiet one."""
    start_worker("default")
    enqueue(connection, "run", "long", seconds=60)
    eventually(lambda: tally(connection, "began") == {"long": 1}, within=20)
    quiesce_rq.hold_jobs(HOLD)

    assert quiesce_rq.job_counts() == JobCounts(source="rq", running=1, reserved=0, queued=0)
    connection.set("quick", 1)

    eventually(lambda: counts() == (0, 0, 0), within=20)
    assert tally(connection, "ended") == {"long": 1}


def test_counting_moves_nothing(connection: redis.Redis) -> None:
    """The trap: RQ's own getters clean up, and move a job whose worker fell silent to the failed ones."""
    job = enqueue(connection, "run", "silent")
    registry = StartedJobRegistry("default", connection=connection)
    connection.zadd(registry.key, {f"{job.id}:execution": 1.0})
    before = connection.zrange(registry.key, 0, -1, withscores=True)

    found = quiesce_rq.job_counts()

    assert found is not None
    assert found.running == 1
    assert "the workers of silent fell silent" in found.detail
    assert connection.zrange(registry.key, 0, -1, withscores=True) == before
    assert FailedJobRegistry("default", connection=connection).get_job_ids(cleanup=False) == []


def test_hold_and_release_may_be_repeated(connection: redis.Redis) -> None:
    """A new leader holds what is held already, and lets go what is free."""
    for _ in range(2):
        quiesce_rq.hold_jobs(HOLD)
        assert is_suspended(connection)
    for _ in range(2):
        quiesce_rq.hold_jobs(RELEASE)
        assert not is_suspended(connection)


def test_what_an_operator_suspended_stays_suspended(connection: redis.Redis) -> None:
    """Maintenance must not resume what somebody had a reason to stop."""
    suspend(connection)
    quiesce_rq.hold_jobs(HOLD)
    quiesce_rq.hold_jobs(HOLD)

    quiesce_rq.hold_jobs(RELEASE)

    assert is_suspended(connection)


def test_unconfigured_plugin_has_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may install everything there is."""
    quiesce_rq.configure(connection=None)
    monkeypatch.delenv("MAINTENANCE_RQ_URL", raising=False)

    assert quiesce_rq.job_counts() is None
    assert quiesce_rq.stop_jobs(JobStop(window_id="w", grace_seconds=0)) is None
    assert quiesce_rq.restore_jobs([]) is None


def test_setting_names_the_redis(redis_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line has no application that could configure anything."""
    quiesce_rq.configure(connection=None)
    monkeypatch.setenv("MAINTENANCE_RQ_URL", redis_server.url)

    assert counts() == (0, None, 0)


def test_redis_out_of_reach_is_an_error_and_not_zero(redis_server: Any, connection: redis.Redis) -> None:
    """Nobody answered: that is not nothing."""
    redis_server.kill()

    with pytest.raises(redis.ConnectionError):
        quiesce_rq.job_counts()


def test_guarded_queue_refuses_at_every_entry(connection: redis.Redis, service: EnhancedMaintenanceModeService) -> None:
    """A job that gets in by another door runs all the same."""
    from datetime import UTC, datetime, timedelta

    queue = quiesce_rq.GuardedQueue("default", service=service, connection=connection)
    queue.enqueue("time.time")
    service.enable(reason="r", actor="a")
    later = datetime.now(UTC) + timedelta(hours=1)

    for enter in (
        lambda: queue.enqueue("time.time"),
        lambda: queue.enqueue_call("time.time"),
        lambda: queue.enqueue_many([Queue.prepare_data("time.time")]),
        lambda: queue.enqueue_at(later, "time.time"),
        lambda: queue.enqueue_in(timedelta(hours=1), "time.time"),
    ):
        with pytest.raises(OperationRefusedError):
            enter()

    assert len(queue.get_job_ids()) == 1
    assert queue.scheduled_job_registry.get_job_ids(cleanup=False) == []


def test_leader_proves_rq_quiet(
    connection: redis.Redis, start_worker: StartWorker, service: EnhancedMaintenanceModeService
) -> None:
    """The whole way: hold, count, obstacle, quiet."""
    plugins = PluginManager()
    plugins.register(quiesce_rq, "rq")
    start_worker("default")
    enqueue(connection, "run", "long", seconds=60)
    eventually(lambda: tally(connection, "began") == {"long": 1}, within=20)
    service.enable(reason="r", actor="a")
    leader = JobQueues(
        plugins=plugins, store=service.store, load=service.store.load, clock=service.clock, hook_timeout_seconds=10
    )

    def obstacles() -> list[str]:
        leader.step(service.store.load())
        found = service.quiescence(expected_workers=0).obstacles
        return [each for each in found if each.startswith("rq")]

    eventually(lambda: obstacles() == ["rq: 1 running"], within=20)
    connection.set("quick", 1)
    eventually(lambda: obstacles() == [], within=20)
    assert [(c.running, c.reserved) for c in service.quiescence().job_counts] == [(0, 0)]


def test_after_an_emergency_each_job_ran_once_or_stands_in_the_ledger(
    connection: redis.Redis, start_worker: StartWorker, service: EnhancedMaintenanceModeService
) -> None:
    """The promise: nothing is forgotten, and nothing runs to its end twice."""
    for _ in range(3):
        start_worker("default")
    enqueue(connection, "run", "stubborn", seconds=600)
    enqueue(connection, "cooperate", "polite")
    enqueue(connection, "run", "nearly-done", seconds=600)
    eventually(lambda: len(tally(connection, "began")) == 3, within=30)
    enqueue(connection, "run", "waiting")
    window = service.enable(reason="fire", mode="emergency", actor="a")

    report = service.jobs.stop_all(grace=1, actor="a")

    assert report.problems == ()
    fates = {record.id: (record.fate, record.is_restorable) for record in report.records}
    assert fates == {
        "stubborn": (JobFate.TERMINATED, True),
        "nearly-done": (JobFate.TERMINATED, True),
        "polite": (JobFate.STOPPED, True),
    }
    eventually(lambda: counts()[:2] == (0, 0), within=20)
    assert tally(connection, "ended") == {}

    service.disable(actor="a")
    connection.set("quick", 1)
    quiesce_rq.hold_jobs(RELEASE)
    for _ in range(3):
        restored = service.jobs.restore(window_id=window.id, actor="a")
        assert (restored.left, restored.problems) == ((), ())

    everything = {"stubborn": 1, "polite": 1, "nearly-done": 1, "waiting": 1}
    eventually(lambda: tally(connection, "ended") == everything, within=30)
    eventually(lambda: states(connection) == ["idle"] * 3, within=20)
    assert tally(connection, "ended") == everything
    put_back_as = {entry.record.put_back_as for entry in service.jobs.ledger()}
    assert {id_.rpartition("-")[0] for id_ in put_back_as} == {
        "stubborn-restored",
        "polite-restored",
        "nearly-done-restored",
    }


def test_job_that_ends_within_the_grace_period_is_left_alone(
    connection: redis.Redis, start_worker: StartWorker
) -> None:
    """Soft before hard."""
    start_worker("default")
    enqueue(connection, "run", "quick-enough", seconds=1.0)
    eventually(lambda: tally(connection, "began") == {"quick-enough": 1}, within=20)
    quiesce_rq.hold_jobs(HOLD)

    records = quiesce_rq.stop_jobs(JobStop(window_id="w", grace_seconds=30))

    assert [(record.id, record.fate) for record in records or ()] == [("quick-enough", JobFate.FINISHED)]
    assert tally(connection, "ended") == {"quick-enough": 1}


def test_job_whose_process_was_killed_is_lost(connection: redis.Redis, start_worker: StartWorker) -> None:
    """Nobody can say how far it came, so a person decides."""
    process = start_worker("default")
    enqueue(connection, "run", "victim", seconds=600)
    eventually(lambda: tally(connection, "began") == {"victim": 1}, within=20)
    quiesce_rq.hold_jobs(HOLD)
    horse = int(subprocess.check_output(["pgrep", "-P", str(process.pid)]).split()[0])
    from quiesce_rq import ending

    ending._note_running(connection, "quiesce:rq:ended:w")  # the leader died just after it had written this
    os.kill(horse, signal.SIGKILL)
    eventually(lambda: StartedJobRegistry("default", connection=connection).get_job_ids(cleanup=False) == [], within=30)

    records = quiesce_rq.stop_jobs(JobStop(window_id="w", grace_seconds=0))

    assert [(record.id, record.fate, record.is_restorable) for record in records or ()] == [
        ("victim", JobFate.LOST, False)
    ]


def test_copy_is_enqueued_once_though_the_first_run_is_forgotten(
    connection: redis.Redis, start_worker: StartWorker
) -> None:
    """A crash between enqueueing and the ledger may be mended when the copy has long run and RQ has dropped it."""
    start_worker("default")
    enqueue(connection, "run", "again", seconds=600, result_ttl=0)
    eventually(lambda: tally(connection, "began") == {"again": 1}, within=20)
    quiesce_rq.hold_jobs(HOLD)
    records = quiesce_rq.stop_jobs(JobStop(window_id="w", grace_seconds=0)) or []
    connection.set("quick", 1)
    quiesce_rq.hold_jobs(RELEASE)
    (first,) = quiesce_rq.restore_jobs(records) or []
    eventually(lambda: tally(connection, "ended") == {"again": 1}, within=20)
    eventually(lambda: not connection.exists(f"rq:job:{first.put_back_as}"), within=20)

    (second,) = quiesce_rq.restore_jobs(records) or []

    assert second.put_back_as == first.put_back_as
    assert Queue("default", connection=connection).get_job_ids() == []


def test_id_that_is_used_again_is_put_back_again(connection: redis.Redis, start_worker: StartWorker) -> None:
    """Schedulers enqueue under one id every night; each run that was ended is a run to be put back."""
    start_worker("default")
    ids = []
    for run in (1, 2):
        enqueue(connection, "run", "nightly", seconds=600)
        eventually(lambda run=run: tally(connection, "began").get("nightly") == 2 * run - 1, within=20)  # type: ignore[misc]  # bound now
        quiesce_rq.hold_jobs(HOLD)
        records = quiesce_rq.stop_jobs(JobStop(window_id=f"w{run}", grace_seconds=0)) or []
        connection.set("quick", 1)
        quiesce_rq.hold_jobs(RELEASE)
        ids += [record.put_back_as for record in quiesce_rq.restore_jobs(records) or []]
        eventually(lambda run=run: tally(connection, "ended") == {"nightly": run}, within=20)  # type: ignore[misc]  # bound now
        connection.delete("quick")

    assert len(set(ids)) == 2


def test_long_queue_is_not_read_whole(connection: redis.Redis) -> None:
    """Counting once a second must not carry a hundred thousand ids through the network each time."""
    connection.sadd("rq:queues", "rq:queue:long")
    for _ in range(10):
        connection.rpush("rq:queue:long", *(f"job-{number}" for number in range(1000)))
    before = int(connection.info("stats")["total_net_output_bytes"])

    found = quiesce_rq.job_counts()

    assert found is not None
    assert found.queued == 10_000
    assert int(connection.info("stats")["total_net_output_bytes"]) - before < 30_000


def test_worker_that_was_killed_idle_is_a_reservation(connection: redis.Redis, start_worker: StartWorker) -> None:
    """RQ lists it for minutes; nobody knows whether it will take a job, so nothing is quiet, and its name is told."""
    process = start_worker("default")
    eventually(lambda: states(connection) == ["idle"], within=20)
    process.kill()
    process.wait()

    quiesce_rq.hold_jobs(HOLD)

    found = quiesce_rq.job_counts()
    assert found is not None
    assert (found.running, found.reserved) == (0, 1)
    assert "worker-0" in found.detail
