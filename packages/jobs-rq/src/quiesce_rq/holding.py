"""Suspending RQ so that no worker takes another job, idle ones included, and resuming it.

RQ's workers look whether they are suspended between two jobs only. One that waits for a job takes the next that comes,
however long after; so each of them is given one that does nothing.
"""

from __future__ import annotations

import os
import time

from redis import Redis
from rq import Queue
from rq.job import Job
from rq.suspension import is_suspended, resume, suspend

from .looking import workers

HELD_KEY = "quiesce:rq:held"
STOPPING_KEY = "quiesce:rq:stopping"
WAKE_PREFIX = "quiesce-wake-"

_OURS, _OTHERS = b"ours", b"others"
_WAIT_SECONDS = 5.0
_STEP_SECONDS = 0.05
_WAKE_TTL_SECONDS = 10
_MOST_WAKE_UPS = 100
_WAKE_FUNCTION = "time.time"  # every worker can import it, also one that knows nothing of Quiesce


def suspend_all(redis: Redis) -> None:
    """Suspend RQ and bring idle workers to notice; may be repeated. Gives up waiting for them after some seconds."""
    by_whom = _OTHERS if is_suspended(redis) else _OURS
    redis.set(HELD_KEY, by_whom, nx=True)
    suspend(redis)
    deadline = time.monotonic() + _WAIT_SECONDS
    while wake_idle(redis) and time.monotonic() < deadline:
        time.sleep(_STEP_SECONDS)


def resume_all(redis: Redis) -> None:
    """Resume RQ, unless somebody else had suspended it before; may be repeated."""
    by_whom = redis.get(HELD_KEY)
    if by_whom is None:
        return
    if by_whom in {_OURS, _OURS.decode()}:
        resume(redis)
    for queue, id_ in wake_ups(redis):
        queue.remove(id_)
    redis.delete(HELD_KEY, STOPPING_KEY)


def is_held(redis: Redis) -> bool:
    """Whether RQ is suspended on behalf of Quiesce."""
    return bool(redis.exists(HELD_KEY))


def is_wake_up(job_id: str) -> bool:
    """Whether this is one of the jobs that do nothing."""
    return job_id.startswith(WAKE_PREFIX)


def wake_ups(redis: Redis) -> list[tuple[Queue, str]]:
    """Return the jobs that do nothing and that nobody took; they stand in front, so that no whole queue is read."""
    return [
        (queue, str(id_))
        for queue in Queue.all(connection=redis)
        for id_ in queue.get_job_ids(0, _MOST_WAKE_UPS)
        if is_wake_up(str(id_))
    ]


def wake_idle(redis: Redis) -> int:
    """Give each idle worker a job that does nothing, unless one waits for it already; return how many are idle."""
    idle = [worker for worker in workers(redis) if worker.state in {"idle", "started"} and worker.queues]
    for worker in idle:
        queue = Queue(worker.queues[0], connection=redis)
        # One at a time for each worker, so that a worker that died does not fill a queue.
        if worker.state == "idle" and redis.set(f"quiesce:rq:waking:{worker.name}", 1, nx=True, ex=_WAKE_TTL_SECONDS):
            job = Job.create(
                _WAKE_FUNCTION,
                connection=redis,
                id=f"{WAKE_PREFIX}{os.urandom(8).hex()}",
                result_ttl=0,
                ttl=_WAKE_TTL_SECONDS,
                failure_ttl=0,
                description="Lets an idle worker notice that RQ is suspended",
            )
            queue.enqueue_job(job, at_front=True)
    return len(idle)
