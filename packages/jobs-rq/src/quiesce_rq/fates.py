"""From what RQ says of a job that was to end to what stands in the ledger."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Self

from redis import Redis
from rq.exceptions import NoSuchJobError
from rq.job import Job, JobStatus

from quiesce import JobFate, JobRecord

from .looking import SOURCE

_ASKED = "StoppedForMaintenanceError"
_WAITING = {JobStatus.QUEUED, JobStatus.SCHEDULED, JobStatus.DEFERRED}


@dataclass(frozen=True, slots=True)
class Seen:
    """A job that ran when jobs were to end.

    Attributes:
        id: RQ's.
        queue: where it came from.
        was_killed: whether its worker was told to kill it.
    """

    id: str
    queue: str
    was_killed: bool

    @classmethod
    def read(cls, id_: bytes | str, body: bytes | str) -> Self:
        """Return what was written down of a job."""
        raw = json.loads(body)
        return cls(id_.decode() if isinstance(id_, bytes) else id_, str(raw["queue"]), bool(raw["killed"]))


def fate_of(redis: Redis, seen: Seen, *, is_running: bool) -> JobRecord:
    """Return the record of a job.

    Args:
        redis: RQ's.
        seen: what was written down of it.
        is_running: whether its worker still says that it runs.
    """
    try:
        job = Job.fetch(seen.id, connection=redis)
    except NoSuchJobError:
        why = "RQ kept nothing of it, as after a success with result_ttl=0"
        return _record(seen, "", JobFate.LOST, detail=why)
    name = (job.description or "").partition("(")[0]
    status = job.get_status(refresh=False)
    if is_running:
        return _record(seen, name, JobFate.RUNNING, detail="its worker did not end it")
    if status == JobStatus.FAILED:
        return _failed(seen, name, _error_of(job), run=_run_of(job))
    if status in _WAITING:
        return _record(seen, name, JobFate.STOPPED, detail="it failed, and RQ itself will run it again")
    if status in {JobStatus.FINISHED, JobStatus.STOPPED}:
        was_stopped = status == JobStatus.STOPPED
        fate = JobFate.TERMINATED if was_stopped else JobFate.FINISHED
        return _record(seen, name, fate, detail=_run_of(job), is_restorable=was_stopped)
    why = "its worker fell silent" if status == JobStatus.STARTED else f"RQ calls it {status}"
    return _record(seen, name, JobFate.LOST, detail=why)


def _failed(seen: Seen, name: str, error: str, *, run: str) -> JobRecord:
    if _ASKED in error:
        return _record(seen, name, JobFate.STOPPED, detail=run, is_restorable=True)
    if "Work-horse" in error or "AbandonedJobError" in error:
        return _record(seen, name, JobFate.LOST, detail="its process ended without a word")
    return _record(seen, name, JobFate.FINISHED, detail=f"failed: {error[:200]}")


def _run_of(job: Job) -> str:
    """Return what tells this run from others of the same id, which schedulers use again and again."""
    return "" if job.started_at is None else f"began at {job.started_at.isoformat()}"


def _error_of(job: Job) -> str:
    result = job.latest_result()
    text = (result.exc_string if result is not None else "") or ""
    return text.strip().rpartition("\n")[2]


def _record(seen: Seen, name: str, fate: JobFate, *, detail: str = "", is_restorable: bool = False) -> JobRecord:
    return JobRecord(
        source=SOURCE,
        id=seen.id,
        queue=seen.queue,
        name=name[:200],
        fate=fate,
        detail=detail,
        is_restorable=is_restorable,
    )
