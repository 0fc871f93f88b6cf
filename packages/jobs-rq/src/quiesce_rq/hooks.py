"""The hooks of Quiesce that this plugin implements; RQ is imported once somebody has said where its Redis is."""

from __future__ import annotations

from collections.abc import Sequence

from quiesce import JobCounts, JobHold, JobRecord, JobStop, hookimpl

from .connecting import connection


@hookimpl
def job_counts() -> JobCounts | None:
    """Count what runs, what is reserved and what waits in all queues of RQ; ``None``: RQ is not configured."""
    redis = connection()
    if redis is None:
        return None
    from .counting import count  # noqa: PLC0415 - only who has RQ pays for it

    return count(redis)


@hookimpl
def hold_jobs(hold: JobHold) -> None:
    """Suspend RQ's workers, idle ones included, or resume them."""
    redis = connection()
    if redis is None:
        return
    from .holding import resume_all, suspend_all  # noqa: PLC0415 - only who has RQ pays for it

    if hold.is_on:
        suspend_all(redis)
    else:
        resume_all(redis)


@hookimpl
def stop_jobs(request: JobStop) -> list[JobRecord] | None:
    """Ask the jobs that run to end, then have their workers kill them; say what became of each."""
    redis = connection()
    if redis is None:
        return None
    from .ending import stop  # noqa: PLC0415 - only who has RQ pays for it

    return stop(redis, request)


@hookimpl
def restore_jobs(ledger: Sequence[JobRecord]) -> list[JobRecord] | None:
    """Enqueue copies of RQ's jobs in the ledger, each once."""
    redis = connection()
    if redis is None:
        return None
    from .restoring import restore  # noqa: PLC0415 - only who has RQ pays for it

    return restore(redis, ledger)
