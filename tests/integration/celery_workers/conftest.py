"""Real Celery workers on a real Redis, and an operator beside them."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
from celery import Celery

import quiesce_celery
from quiesce import EnhancedMaintenanceModeService, JobHold, JobRecord, JobStop, Settings
from quiesce.plugins import PluginManager
from quiesce.testing import eventually

if TYPE_CHECKING:
    from tests.nursery.client import Nursery

HOLD, RELEASE = JobHold(is_on=True, window_ids=frozenset({"w"}), reason="r"), JobHold(is_on=False)
KEPT = {"quiesce:celery:workers", "quiesce:celery:seen", "unacked", "unacked_index"}


class Fleet:
    """Workers on one broker, which the plugin in this process is told of.

    Attributes:
        app: an application like theirs, which sends them tasks.
        connection: to their Redis.
        workers: the main process of each, by its name.
    """

    def __init__(self, url: str, folder: Path, nursery: Nursery) -> None:
        self._nursery = nursery
        self._url = url
        self._folder = folder
        self.connection = redis.Redis.from_url(url, socket_timeout=5)
        self.app = Celery("operator", broker=url, backend=url, set_as_current=False)
        self.app.conf.update(task_default_queue="default", broker_connection_retry_on_startup=True)
        # A result takes leave of its Redis at its end, which may be after that of the Redis.
        self.app.conf.result_backend_transport_options = {"retry_policy": {"max_retries": 0}}
        self.workers: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def names(self) -> set[str]:
        """The workers that have told of themselves and are ready for tasks."""
        found = self.connection.smembers("_kombu.binding.celery.pidbox")
        return {text(each).rpartition("\x16")[2].partition("@")[0] for each in found}

    def begin(self, name: str, *options: str, **environment: str) -> None:
        """Start a worker."""
        here = str(Path(__file__).parent)
        environ = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([here, os.environ.get("PYTHONPATH", "")]),
            "QUIESCE_TEST_CELERY": self._url,
            **environment,
        }
        command = [sys.executable, "-m", "celery", "-A", "quiesce_celery_jobs:app", "worker", "-n", f"{name}@test"]
        command += ["--concurrency", "2", "--loglevel", "INFO", "--without-mingle", "--without-gossip", *options]
        with (self._folder / f"{name}.log").open("ab") as log:
            self.workers[name] = self._nursery.start(
                command, env=environ, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, cwd=self._folder
            )

    def start(self, name: str, *options: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a worker, and return it when it takes tasks."""
        self.begin(name, *options, **environment)
        eventually(lambda: name in self.names, within=30)
        return self.workers[name]

    def kill(self, name: str) -> None:
        """End a worker and its children as a crash of the machine would."""
        process = self.workers.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def send(self, task: str, name: str, *arguments: Any, **options: Any) -> None:
        """Send a task whose id is its name, and whose result nobody waits for unless the options say so."""
        self.app.send_task(task, (name, *arguments), task_id=name, **{"ignore_result": True, **options})

    def start_task(self, task: str, name: str, *arguments: Any, **options: Any) -> None:
        """Send a task, and wait until it runs."""
        self.send(task, name, *arguments, **options)
        eventually(lambda: self.tally("began").get(name) == 1, within=20)

    def tally(self, key: str) -> dict[str, int]:
        """Return how often each task began, ended or stopped."""
        return {text(name): int(count) for name, count in self.connection.hgetall(key).items()}

    def finish(self) -> None:
        """Let every task that runs, now or later, come to its end at once."""
        self.connection.set("quick", 1)

    def reset(self) -> None:
        """Let everything end, and forget it."""
        quiesce_celery.hold_jobs(RELEASE)
        self.finish()
        eventually(self._is_idle, within=20)
        for key in map(text, self.connection.keys("*")):
            if key not in KEPT and not key.startswith("_kombu"):
                self.connection.delete(key)

    def _is_idle(self) -> bool:
        found = quiesce_celery.job_counts()
        assert found is not None
        return (found.running, found.queued, self.connection.hlen("unacked")) == (0, 0, 0)

    def close(self) -> None:
        """End all workers."""
        for name in list(self.workers):
            self.kill(name)
        self.connection.close()
        self.app.close()


def text(raw: bytes | str) -> str:
    """Return what Redis gave as text."""
    return raw.decode() if isinstance(raw, bytes) else raw


def counts() -> tuple[int | None, int | None, int | None]:
    """Return running, reserved and queued."""
    found = quiesce_celery.job_counts()
    assert found is not None
    return found.running, found.reserved, found.queued


def stop(*, window_id: str = "w", grace_seconds: float = 0.0) -> list[JobRecord]:
    """End what runs."""
    return quiesce_celery.stop_jobs(JobStop(window_id=window_id, grace_seconds=grace_seconds)) or []


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    """Let go of Celery's results while their Redis is there: at their end they take leave of it."""
    gc.collect()


@pytest.fixture(scope="module")
def two_workers(shared_redis: Any, tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> Iterator[Fleet]:
    """Two workers of two processes each, for all tests of a module."""
    made = Fleet(shared_redis.url, tmp_path_factory.mktemp("workers"), nursery)
    for name in ("a", "b"):
        made.begin(name, "--queues", f"default,{name}")
    eventually(lambda: made.names == {"a", "b"}, within=60)
    yield made
    made.close()


@pytest.fixture
def workers(two_workers: Fleet) -> Iterator[Fleet]:
    """The two workers, which have nothing to do."""
    quiesce_celery.configure(app=two_workers.app)
    yield two_workers
    two_workers.reset()
    quiesce_celery.configure(app=None)


@pytest.fixture
def fleet(redis_server: Any, tmp_path: Path, nursery: Nursery) -> Iterator[Fleet]:
    """No worker yet, on a Redis of its own."""
    made = Fleet(redis_server.url, tmp_path, nursery)
    quiesce_celery.configure(app=made.app)
    yield made
    quiesce_celery.configure(app=None)
    made.close()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[EnhancedMaintenanceModeService]:
    """A service whose one plugin is Celery's."""
    plugins = PluginManager()
    plugins.register(quiesce_celery, "celery")
    made = EnhancedMaintenanceModeService(Settings(store_url=f"sqlite:///{tmp_path}/maintenance.db"), plugins=plugins)
    yield made
    made.close()


@pytest.fixture
def operator() -> Operator:
    """What tests do through the hooks."""
    return Operator()


class Operator:
    """Uses the hooks as the leading worker and the commands do."""

    counts = staticmethod(counts)
    stop = staticmethod(stop)

    def hold(self) -> None:
        """Hold work back."""
        quiesce_celery.hold_jobs(HOLD)

    def release(self) -> None:
        """Let it go."""
        quiesce_celery.hold_jobs(RELEASE)

    def detail(self) -> str:
        """Return what the counts say besides."""
        found = quiesce_celery.job_counts()
        assert found is not None
        return found.detail
