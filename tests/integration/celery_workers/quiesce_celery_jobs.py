"""Tasks that count their own runs in Redis, for real Celery workers."""

from __future__ import annotations

import os
import time
from typing import Any

import redis
from celery import Celery

import quiesce_celery

URL = os.environ.get("QUIESCE_TEST_CELERY", "redis://127.0.0.1:1/0")
app = Celery("quiesce_celery_jobs", broker=URL, backend=URL)
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": float(os.environ.get("QUIESCE_TEST_VISIBILITY", "3600"))},
    task_default_queue="default",
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    task_create_missing_queues=True,
)
if "QUIESCE_TEST_PLAIN" not in os.environ:
    quiesce_celery.init_app(app)


def client() -> redis.Redis:
    return redis.Redis.from_url(URL)


def work(name: str, seconds: float) -> None:
    with client() as connection:
        connection.hincrby("began", name)
        until = time.monotonic() + seconds
        while time.monotonic() < until and not connection.exists("quick"):
            time.sleep(0.02)
        connection.hincrby("ended", name)


def run(name: str, seconds: float = 0.0) -> str:
    """Begin, work for so long unless told not to by the key ``quick``, and end."""
    work(name, seconds)
    return name


def run_late(name: str, seconds: float = 0.0) -> None:
    """The same, acknowledged after the run, and given back by Celery when its process is lost."""
    work(name, seconds)


def retry(self: Any, name: str) -> None:
    """Fail while work is to stop, to be run again by Celery itself."""
    with client() as connection:
        connection.hincrby("began", name)
        while not connection.exists("quick"):
            if quiesce_celery.stopping():
                raise self.retry(countdown=0)
            time.sleep(0.02)
        connection.hincrby("ended", name)


def cooperate(name: str) -> None:
    """Run until asked to stop, or told to end by the key ``quick``."""
    with client() as connection:
        connection.hincrby("began", name)
        while not connection.exists("quick"):
            if quiesce_celery.stopping():
                connection.hincrby("stopped", name)
                raise quiesce_celery.StoppedForMaintenanceError("at a good place")
            time.sleep(0.02)
        connection.hincrby("ended", name)


def collect(names: list[str], name: str) -> None:
    """The end of a chord."""
    with client() as connection:
        connection.hset("ended", name, len(names))


for function, options in (
    (run, {}),
    (run_late, {"acks_late": True, "reject_on_worker_lost": True}),
    (retry, {"bind": True, "max_retries": 1}),
    (cooperate, {}),
    (collect, {}),
):
    app.task(name=function.__name__, **options)(function)
