"""Another client of the same Redis, and how long it has to wait for each answer."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import redis


@contextmanager
def pinging(redis_url: str) -> Iterator[Callable[[], list[float]]]:
    """Ping without rest from a process of its own; yield what returns the milliseconds of each afterwards."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_ping, args=(redis_url, theirs), daemon=True)
    process.start()
    found: list[float] = []
    try:
        ours.recv()
        yield lambda: found
        ours.send("enough")
        found += ours.recv()
    finally:
        process.kill()
        process.join()


def _ping(redis_url: str, connection: Connection) -> None:
    samples = []
    with redis.Redis.from_url(redis_url) as server:
        server.ping()
        connection.send("ready")
        while not connection.poll():
            began = time.perf_counter()
            server.ping()
            samples.append((time.perf_counter() - began) * 1000)
            time.sleep(0.0005)
    connection.send(samples)
