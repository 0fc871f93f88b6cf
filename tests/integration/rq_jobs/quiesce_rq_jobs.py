"""Jobs that count their own runs in Redis, for real RQ workers."""

from __future__ import annotations

import os
import time

import redis

import quiesce_rq


def client() -> redis.Redis:
    return redis.Redis.from_url(os.environ["QUIESCE_TEST_RQ"])


def run(name: str, *, seconds: float = 0.0) -> None:
    """Begin, work for so long unless told not to by the key ``quick``, and end."""
    with client() as connection:
        connection.hincrby("began", name)
        until = time.monotonic() + seconds
        while time.monotonic() < until and not connection.exists("quick"):
            time.sleep(0.02)
        connection.hincrby("ended", name)


def cooperate(name: str) -> None:
    """Run until asked to stop, or told to end by the key ``quick``."""
    with client() as connection:
        connection.hincrby("began", name)
        while not connection.exists("quick"):
            if quiesce_rq.stopping():
                connection.hincrby("stopped", name)
                raise quiesce_rq.StoppedForMaintenanceError("at a good place")
            time.sleep(0.02)
        connection.hincrby("ended", name)
