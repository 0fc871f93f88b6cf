"""The plugin for RQ keeps the contract of job queues."""

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
from rq import Queue, Worker

import quiesce_rq
from quiesce.testing import JobQueueContract, eventually

if TYPE_CHECKING:
    from tests.nursery.client import Nursery

JOBS = Path(__file__).parents[1] / "integration" / "rq_jobs"


class TestRQ(JobQueueContract):
    plugin = quiesce_rq

    @pytest.fixture(autouse=True)
    def _worker(self, redis_server: Any, tmp_path: Path, nursery: Nursery) -> Iterator[None]:
        """One idle worker on an empty queue of a Redis of one's own."""
        path = os.pathsep.join([str(JOBS), os.environ.get("PYTHONPATH", "")])
        environ = {**os.environ, "PYTHONPATH": path, "QUIESCE_TEST_RQ": redis_server.url}
        command = [sys.executable, "-m", "rq.cli", "worker", "--url", redis_server.url]
        with redis_server.client() as self.connection, (tmp_path / "worker.log").open("wb") as log:
            quiesce_rq.configure(connection=self.connection)
            worker = nursery.start(command, env=environ, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
            eventually(self._is_idle, within=60)
            yield
            quiesce_rq.configure(connection=None)
            os.killpg(worker.pid, signal.SIGKILL)  # with the child in which a job runs
            worker.wait()

    def _is_idle(self) -> bool:
        return [worker.get_state() for worker in Worker.all(connection=self.connection)] == ["idle"]

    def enqueue(self, name: str) -> None:
        queue = Queue(connection=self.connection)
        queue.enqueue("quiesce_rq_jobs.run", args=(name,), kwargs={"seconds": 600}, job_id=name)

    def finish(self) -> None:
        self.connection.set("quick", 1)

    def began(self, name: str) -> int:
        return int(self.connection.hget("began", name) or 0)

    def ended(self, name: str) -> int:
        return int(self.connection.hget("ended", name) or 0)

    connection: redis.Redis
