"""From what is known of a task that was to end to what stands in the ledger."""

from __future__ import annotations

from quiesce import JobFate, JobRecord

from .looking import SOURCE
from .notes import KILLING_POOLS, Run

_MESSAGE = "message "
_ENDED = {"killed": JobFate.TERMINATED, "stopped": JobFate.STOPPED}
_BY_ITSELF = {
    "SUCCESS": (JobFate.FINISHED, ""),
    "FAILURE": (JobFate.FINISHED, "failed by itself"),
    "REJECTED": (JobFate.FINISHED, "rejected its message"),
    "RETRY": (JobFate.STOPPED, "it failed, and Celery itself will run it again"),
    "gone": (JobFate.LOST, "its process ended without a word"),
    "": (JobFate.LOST, "nobody wrote down how it ended"),
}


def fate_of(run: Run, outcome: str, *, is_running: bool, is_silent: bool) -> JobRecord:
    """Return the record of a task; pure.

    Args:
        run: what was written down before it began.
        outcome: what was written down in the end; empty: nothing.
        is_running: whether it has not ended, as far as anybody knows.
        is_silent: whether its worker is not heard of.
    """
    if is_running:
        return _record(run, *_still(run, is_silent=is_silent))
    if outcome in _ENDED and run.list:
        return _record(run, _ENDED[outcome], f"{_MESSAGE}{run.tag}", is_restorable=True)
    if outcome in _ENDED:
        return _record(run, _ENDED[outcome], "its message cannot be copied, so it is not put back")
    fate, why = _BY_ITSELF.get(outcome, (JobFate.FINISHED, f"Celery calls it {outcome}"))
    if fate is JobFate.LOST and run.is_late:
        why += ", and Celery may deliver its message again"
    return _record(run, fate, why)


def tag_of(record: JobRecord) -> str:
    """Return the tag of a restorable record's message."""
    return record.detail.removeprefix(_MESSAGE)


def _still(run: Run, *, is_silent: bool) -> tuple[JobFate, str]:
    if is_silent:
        return JobFate.LOST, f"its worker {run.node} fell silent"
    if run.pool in KILLING_POOLS:
        return JobFate.RUNNING, "its worker did not end it"
    return JobFate.RUNNING, f"a worker with the pool {run.pool!r} cannot end a task"


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
