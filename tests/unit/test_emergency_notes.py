"""What is kept of emergencies: nothing that two processes note at once may get lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from quiesce.control.emergency_notes import (
    COLLECTION,
    note_progress,
    note_recovery,
    note_step,
    read_progress,
    read_recoveries,
)
from quiesce.model import CheckKind, EmergencyRecovery, EmergencyStep, RecoveryCheck, StepStatus, StoreCorruptError
from quiesce.stores.memory import MemoryStore

_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_what_was_noted_of_a_step_is_read_again() -> None:
    """A report that shows another fate than what was noted would be believed."""
    items = MemoryStore().items
    step = EmergencyStep(
        name="jobs",
        status=StepStatus.FAILED,
        attempts=2,
        count=7,
        detail="3 terminated",
        problems=("rq: cut off",),
        started_at=_AT,
        ended_at=_AT,
    )

    note_step(items, "w1", "jobs", lambda _: step)
    note_progress(items, "w1", lambda progress: replace(progress, runner="worker:a"))

    progress = read_progress(items, "w1")
    assert progress is not None
    assert progress.steps == (step,)
    assert progress.runner == "worker:a"
    assert not progress.is_settled
    assert read_progress(items, "w2") is None


def test_steps_that_are_noted_at_once_are_all_kept() -> None:
    """Each step runs on a thread of its own, and each notes what comes of it."""
    items = MemoryStore().items

    def count_up(name: str) -> None:
        for _ in range(10):
            note_step(items, "w1", name, lambda step: replace(step, attempts=step.attempts + 1))

    with ThreadPoolExecutor() as pool:
        list(pool.map(count_up, ["sessions", "jobs", "websockets"]))

    progress = read_progress(items, "w1")
    assert progress is not None
    assert {step.name: step.attempts for step in progress.steps} == {"sessions": 10, "jobs": 10, "websockets": 10}


def test_every_try_to_end_an_emergency_is_kept() -> None:
    """Who ended it against which open line of the checklist is what is asked afterwards."""
    items = MemoryStore().items
    check = RecoveryCheck(name="threat_resolved", kind=CheckKind.ACKNOWLEDGED, is_ok=False, detail="nobody said so")
    first = EmergencyRecovery(window_id="w1", at=_AT, actor="alice", checks=(check,), was_ended=False)
    second = replace(first, actor="bob", was_ended=True, was_forced=True)

    note_recovery(items, first)
    note_recovery(items, second)

    assert read_recoveries(items, "w1") == (first, second)
    assert read_recoveries(items, "w2") == ()


@pytest.mark.parametrize("body", [b"", b"7", b"[7]", b'{"":0}', b"\xff", b'{"window_id":1,"runner":"","steps":[{}]}'])
def test_notes_that_cannot_be_read_are_said_to_be_so(body: bytes) -> None:
    """To take them for none would tell an operator that nothing had been begun."""
    items = MemoryStore().items
    items.put(COLLECTION, {"w1": body, "w1:recoveries": body})

    with pytest.raises(StoreCorruptError, match="cannot be read"):
        read_progress(items, "w1")
    with pytest.raises(StoreCorruptError, match="cannot be read"):
        read_recoveries(items, "w1")
