"""From what is known of a task that was to end to what stands in the ledger."""

from __future__ import annotations

from quiesce import JobFate, JobRecord

from .looking import SOURCE
from .notes import KILLING_POOLS, Run

_DETAIL = "message "
_FINISHED = {"SUCCESS": "", "FAILURE": "failed by itself", "REJECTED": "rejected its message"}


def fate_of(run: Run, outcome: str, *, is_running: bool, is_silent: bool) -> JobRecord:
    """Return the record of a task; pure.

    Args:
        run: what was written down before it began.
        outcome: what was written down in the end; empty: nothing.
        is_running: whether it has not ended, as far as anybody knows.
        is_silent: whether its worker is not heard of.
    """
    if is_running and is_silent:
        return _record(run, JobFate.LOST, f"its worker {run.node} fell silent")
    if is_running:
        if run.pool in KILLING_POOLS:
            return _record(run, JobFate.RUNNING, "its worker did not end it")
        return _record(run, JobFate.RUNNING, f"a worker with the pool {run.pool!r} cannot end a task")
    if outcome in {"killed", "stopped"}:
        fate = JobFate.TERMINATED if outcome == "killed" else JobFate.STOPPED
        if not run.list:
            return _record(run, fate, "its message cannot be copied, so it is not put back")
        return _record(run, fate, f"{_DETAIL}{run.tag}", is_restorable=True)
    if outcome == "RETRY":
        return _record(run, JobFate.STOPPED, "it failed, and Celery itself will run it again")
    if outcome in {"", "gone"}:
        why = "its process ended without a word" if outcome else "nobody wrote down how it ended"
        again = ", and Celery may deliver its message again" if run.is_late else ""
        return _record(run, JobFate.LOST, f"{why}{again}")
    return _record(run, JobFate.FINISHED, _FINISHED.get(outcome, f"Celery calls it {outcome}"))


def tag_of(record: JobRecord) -> str:
    """Return the tag of a restorable record's message."""
    return record.detail.removeprefix(_DETAIL)


def _record(run: Run, fate: JobFate, detail: str, *, is_restorable: bool = False) -> JobRecord:
    return JobRecord(
        source=SOURCE,
        id=run.id,
        queue=run.queue,
        name=run.name[:200],
        fate=fate,
        detail=detail,
        is_restorable=is_restorable,
    )
