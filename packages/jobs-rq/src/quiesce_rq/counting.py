"""How many jobs RQ runs, has reserved and has waiting."""

from __future__ import annotations

from redis import Redis
from rq import Queue
from rq.suspension import is_suspended

from quiesce import JobCounts

from .holding import is_held, is_wake_up, wake_idle, wake_ups
from .looking import SOURCE, in_between, started, workers


def count(redis: Redis) -> JobCounts:
    """Return the counts.

    An idle worker counts as a reservation: one that waits for a job takes the next even when RQ is suspended. Workers
    are looked at before the registries: what one of them begins in between is then in both, never in neither. RQ's
    versions tell differently what a busy worker is busy with, so the larger of the two numbers is the one that run.
    """
    suspended = bool(is_suspended(redis))
    if suspended and is_held(redis):
        wake_idle(redis)
    seen = workers(redis)
    taken = {id_ for id_ in in_between(redis) if not is_wake_up(id_)}
    jobs = {job.id: job for job in started(redis) if not is_wake_up(job.id)}
    busy = sum(1 for worker in seen if worker.state == "busy")
    idle = [w.name for w in seen if w.state not in {"busy", "suspended"}]
    queued = sum(queue.count for queue in Queue.all(connection=redis)) - len(wake_ups(redis))
    notes = []
    silent = sorted(job.id for job in jobs.values() if job.is_silent)
    if silent:
        notes.append(f"the workers of {_few(silent)} fell silent")
    if not suspended:
        notes.append("RQ is not suspended, so workers take new jobs at any time")
    elif idle:
        notes.append(f"idle workers that may take one more job: {_few(sorted(idle))}")
    reserved = len(taken - jobs.keys()) + len(idle) if suspended else None
    return JobCounts(
        source=SOURCE, running=max(len(jobs), busy), reserved=reserved, queued=max(queued, 0), detail="; ".join(notes)
    )


def _few(names: list[str], *, most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
