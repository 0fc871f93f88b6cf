"""Putting jobs back: a copy under an id that follows from the job's, enqueued in one step with the note that it was."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from redis import Redis, WatchError
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.registry import FailedJobRegistry

from quiesce import JobRecord

from .ending import KEPT_SECONDS
from .looking import SOURCE

_OF_THE_RUN = frozenset(
    (
        *("status", "started_at", "ended_at", "enqueued_at", "worker_name", "last_heartbeat", "exc_info", "result"),
        *("dependency_id", "dependency_ids"),
    )
)
"""What RQ keeps of a run, and what a job waited for that has run already."""
_TRIES = 5


def restore(redis: Redis, ledger: Iterable[JobRecord]) -> list[JobRecord]:
    """Return RQ's records, with the ids under which their jobs were put back, now or before."""
    return [_put_back(redis, record) for record in ledger if record.source == SOURCE]


def _put_back(redis: Redis, record: JobRecord) -> JobRecord:
    if not record.is_restorable:
        return record
    id_ = f"{record.id}-restored-{_digest(record)}"
    mark = f"quiesce:rq:restored:{id_}"
    for _ in range(_TRIES):
        with redis.pipeline() as pipeline:
            pipeline.watch(mark)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
            if pipeline.exists(mark):
                return replace(record, put_back_as=id_)
            job = _copy(redis, record.id, id_)
            if job is None:
                return replace(record, detail="RQ does not know it any more")
            pipeline.multi()
            pipeline.set(mark, id_, ex=KEPT_SECONDS)
            FailedJobRegistry(record.queue, connection=redis).remove(record.id, pipeline=pipeline)
            try:
                Queue(record.queue, connection=redis).enqueue_job(job, pipeline=pipeline)
                pipeline.execute()
            except WatchError:
                continue
            except ValueError as exc:  # such as one with a rate limit, which RQ takes in no transaction
                return replace(record, detail=f"RQ does not take it: {exc}"[:300])
            return replace(record, put_back_as=id_)
    return record


def _digest(record: JobRecord) -> str:
    """Return what tells this run, whose start is in the record, from others of the same id."""
    return hashlib.sha256(f"{record.id}\x00{record.detail}".encode()).hexdigest()[:10]


def _copy(redis: Redis, id_: str, copy: str) -> Job | None:
    """Return a job like the one that RQ keeps, but for its last run, without reading its arguments."""
    kept = {
        name: value
        for name, value in redis.hgetall(Job.key_for(id_)).items()
        if (name.decode() if isinstance(name, bytes) else name) not in _OF_THE_RUN
    }
    job = Job(copy, connection=redis)
    try:
        job.restore(kept)
    except NoSuchJobError:
        return None
    return job
