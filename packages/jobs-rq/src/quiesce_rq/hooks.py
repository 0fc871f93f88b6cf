"""The hooks of Quiesce that this plugin implements."""

from __future__ import annotations

from collections.abc import Sequence

from quiesce import JobCounts, JobHold, JobRecord, JobStop, hookimpl

from . import counting, ending, holding, restoring
from .connecting import connection


@hookimpl
def job_counts() -> JobCounts | None:
    """Count what runs, what is reserved and what waits in all queues of RQ; ``None``: RQ is not configured."""
    redis = connection()
    return None if redis is None else counting.count(redis)


@hookimpl
def hold_jobs(hold: JobHold) -> None:
    """Suspend RQ's workers, idle ones included, or resume them."""
    redis = connection()
    if redis is None:
        return
    if hold.is_on:
        holding.suspend_all(redis)
    else:
        holding.resume_all(redis)


@hookimpl
def stop_jobs(request: JobStop) -> list[JobRecord] | None:
    """Ask the jobs that run to end, then have their workers kill them; say what became of each."""
    redis = connection()
    return None if redis is None else ending.stop(redis, request)


@hookimpl
def restore_jobs(ledger: Sequence[JobRecord]) -> list[JobRecord] | None:
    """Enqueue copies of RQ's jobs in the ledger, each once."""
    redis = connection()
    return None if redis is None else restoring.restore(redis, ledger)
