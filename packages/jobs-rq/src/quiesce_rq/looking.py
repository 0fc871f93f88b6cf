"""Reading what RQ's workers and registries hold, without moving anything: RQ's own getters clean up as they read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from redis import Redis
from rq import Queue, Worker
from rq.intermediate_queue import IntermediateQueue
from rq.registry import StartedJobRegistry

SOURCE = "rq"


@dataclass(frozen=True, slots=True)
class SeenWorker:
    """A worker that RQ lists."""

    name: str
    state: str
    queues: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StartedJob:
    """A job in a registry of started ones.

    Attributes:
        id: RQ's.
        queue: name of its queue.
        is_silent: whether its worker has not said for too long that it still runs.
    """

    id: str
    queue: str
    is_silent: bool


def workers(redis: Redis) -> list[SeenWorker]:
    """Return all workers, in one round trip more than their names take."""
    keys = sorted(Worker.all_keys(connection=redis))
    with redis.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.hmget(key, "state", "queues")
        found = pipeline.execute()
    seen = []
    for key, (state, queues) in zip(keys, found, strict=True):
        if state is not None:
            names = tuple(filter(None, _text(queues).split(",")))
            seen.append(SeenWorker(key.rpartition(":")[2], _text(state), names))
    return seen


def started(redis: Redis) -> Iterator[StartedJob]:
    """Yield the jobs that are in the registries of started jobs, also those whose worker fell silent."""
    now = time.time()
    for queue in Queue.all(connection=redis):
        registry = StartedJobRegistry(queue.name, connection=redis)
        members: list[tuple[bytes, float]] = redis.zrange(registry.key, 0, -1, withscores=True)  # type: ignore[assignment]  # what it is with scores
        for member, score in members:
            yield StartedJob(registry.parse_job_id(_text(member)), queue.name, is_silent=0 <= score < now)


def in_between(redis: Redis) -> set[str]:
    """Return the ids of jobs that a worker has taken off a queue and not begun."""
    found: set[str] = set()
    for queue in Queue.all(connection=redis):
        found |= {_text(id_) for id_ in redis.lrange(IntermediateQueue.get_intermediate_queue_key(queue.key), 0, -1)}
    return found


def _text(raw: object) -> str:
    if raw is None:
        return ""
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
