"""The plugin for Celery keeps the contract of job queues."""

from __future__ import annotations

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
from quiesce import JobHold
from quiesce.testing import JobQueueContract, eventually

if TYPE_CHECKING:
    from tests.nursery.client import Nursery

JOBS = Path(__file__).parents[1] / "integration" / "celery_workers"


@pytest.fixture(scope="module")
def worker(shared_redis: Any, tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> Iterator[str]:
    """One worker for all tests of the contract."""
    path = os.pathsep.join([str(JOBS), os.environ.get("PYTHONPATH", "")])
    environ = {**os.environ, "PYTHONPATH": path, "QUIESCE_TEST_CELERY": shared_redis.url}
    command = [sys.executable, "-m", "celery", "-A", "quiesce_celery_jobs:app", "worker", "--concurrency", "1"]
    with (tmp_path_factory.mktemp("worker") / "worker.log").open("wb") as log:
        process = nursery.start(
            [*command, "--without-mingle", "--without-gossip", "--without-heartbeat"],
            env=environ,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    yield shared_redis.url
    os.killpg(process.pid, signal.SIGKILL)  # with the child in which a task runs
    process.wait()


@pytest.mark.slow
class TestCelery(JobQueueContract):
    plugin = quiesce_celery

    @pytest.fixture(autouse=True)
    def _idle_worker(self, worker: str) -> Iterator[None]:
        """An idle worker on an empty queue."""
        self.app = Celery("contract", broker=worker, set_as_current=False)
        self.app.conf.task_default_queue = "default"
        quiesce_celery.configure(app=self.app)
        with redis.Redis.from_url(worker) as self.connection:
            eventually(lambda: self.connection.exists("_kombu.binding.celery.pidbox"), within=60)
            yield
            quiesce_celery.hold_jobs(JobHold(is_on=False))
            self.finish()
            eventually(self._is_idle, within=60)
            self.connection.delete("began", "ended", "quick", "quiesce:celery:ended:contract")
        quiesce_celery.configure(app=None)
        self.app.close()

    def _is_idle(self) -> bool:
        return all((count.running, count.queued) == (0, 0) for count in self._counts())

    def enqueue(self, name: str) -> None:
        self.app.send_task("run", (name, 600), task_id=name)

    def finish(self) -> None:
        self.connection.set("quick", 1)

    def began(self, name: str) -> int:
        return int(self.connection.hget("began", name) or 0)

    def ended(self, name: str) -> int:
        return int(self.connection.hget("ended", name) or 0)

    connection: redis.Redis
    app: Celery
