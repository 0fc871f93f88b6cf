"""The hooks of Quiesce that this plugin implements; Celery is imported once somebody has named its application."""

from __future__ import annotations

from collections.abc import Sequence

from quiesce import JobCounts, JobHold, JobRecord, JobStop, hookimpl

from .connecting import configured_broker


@hookimpl
def job_counts() -> JobCounts | None:
    """Count what runs, what is reserved and what waits in Celery's broker; ``None``: no application is configured."""
    broker = configured_broker()
    if broker is None:
        return None
    from .counting import count  # noqa: PLC0415 - only who has Celery pays for it

    return count(broker)


@hookimpl
def hold_jobs(hold: JobHold) -> None:
    """Have Celery's workers begin no task, fetched ones included, or let them go on."""
    broker = configured_broker()
    if broker is None:
        return
    from .holding import close, open_  # noqa: PLC0415 - only who has Celery pays for it

    if hold.is_on:
        close(broker)
    else:
        open_(broker)


@hookimpl
def stop_jobs(request: JobStop) -> list[JobRecord] | None:
    """Ask the tasks that run to end, then have their workers kill them; say what became of each."""
    broker = configured_broker()
    if broker is None:
        return None
    from .ending import stop  # noqa: PLC0415 - only who has Celery pays for it

    return stop(broker, request)


@hookimpl
def restore_jobs(ledger: Sequence[JobRecord]) -> list[JobRecord] | None:
    """Put copies of Celery's tasks in the ledger into their queues, each once."""
    broker = configured_broker()
    if broker is None:
        return None
    from .restoring import restore  # noqa: PLC0415 - only who has Celery pays for it

    return restore(broker, ledger)
