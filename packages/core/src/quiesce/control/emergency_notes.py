"""What the store keeps of emergencies beside their windows: how far each step is, and how the end was checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..model import (
    CheckKind,
    EmergencyProgress,
    EmergencyRecovery,
    EmergencyStep,
    RecoveryCheck,
    StepStatus,
    StoreCorruptError,
    StoreUnreachableError,
)

if TYPE_CHECKING:
    from ..stores.items import Items

COLLECTION = "emergencies"
MOST_KEPT = 1_000

_TRIES = 20
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


def read_progress(items: Items, window_id: str) -> EmergencyProgress | None:
    """Return how far the emergency's steps are; ``None``: nobody has noted any.

    Raises:
        StoreCorruptError: what is kept cannot be read.
        StoreError: the store does not answer.
    """
    body = items.get(COLLECTION, [window_id]).get(window_id)
    return None if body is None else _decode_progress(body)


def note_step(
    items: Items, window_id: str, name: str, change: Callable[[EmergencyStep], EmergencyStep]
) -> EmergencyProgress:
    """Note what has become of one step, whatever others note meanwhile; return all of them.

    Raises:
        StoreError: the store does not answer, or what it keeps cannot be read.
    """

    def changed(progress: EmergencyProgress) -> EmergencyProgress:
        steps = {step.name: step for step in progress.steps}
        steps[name] = change(steps.get(name, EmergencyStep(name=name)))
        return replace(progress, steps=tuple(steps.values()))

    return note_progress(items, window_id, changed)


def note_progress(
    items: Items, window_id: str, change: Callable[[EmergencyProgress], EmergencyProgress]
) -> EmergencyProgress:
    """Note what has become of the emergency's steps, whatever others note meanwhile; return it.

    Raises:
        StoreError: the store does not answer, or what it keeps cannot be read.
    """
    for _ in range(_TRIES):
        body = items.get(COLLECTION, [window_id]).get(window_id)
        known = EmergencyProgress(window_id=window_id, steps=()) if body is None else _decode_progress(body)
        progress = change(known)
        if progress == known and body is not None:
            return known
        written = _encode_progress(progress)
        if items.put(COLLECTION, {window_id: written}, expected={window_id: body}, keep=MOST_KEPT):
            return progress
    raise StoreUnreachableError(f"the notes of emergency {window_id} change too fast to be written")


def read_recoveries(items: Items, window_id: str) -> tuple[EmergencyRecovery, ...]:
    """Return every try to end the emergency by its checklist, the oldest first.

    Raises:
        StoreCorruptError: what is kept cannot be read.
        StoreError: the store does not answer.
    """
    key = _recoveries_key(window_id)
    body = items.get(COLLECTION, [key]).get(key)
    return () if body is None else _decode_recoveries(window_id, body)


def note_recovery(items: Items, recovery: EmergencyRecovery) -> None:
    """Add one try; of many the newest hundred are kept.

    Raises:
        StoreError: the store does not answer, or what it keeps cannot be read.
    """
    key = _recoveries_key(recovery.window_id)
    for _ in range(_TRIES):
        body = items.get(COLLECTION, [key]).get(key)
        known = () if body is None else _decode_recoveries(recovery.window_id, body)
        written = _dump([_recovery_members(each) for each in (*known, recovery)[-100:]])
        if items.put(COLLECTION, {key: written}, expected={key: body}, keep=MOST_KEPT):
            return
    raise StoreUnreachableError(f"the notes of emergency {recovery.window_id} change too fast to be written")


def _recoveries_key(window_id: str) -> str:
    return f"{window_id}:recoveries"


def _encode_progress(progress: EmergencyProgress) -> bytes:
    steps = [
        {
            "name": step.name,
            "status": str(step.status),
            "attempts": step.attempts,
            "count": step.count,
            "detail": step.detail[:2000],
            "problems": [problem[:500] for problem in step.problems[:100]],
            "started_at": None if step.started_at is None else step.started_at.isoformat(),
            "ended_at": None if step.ended_at is None else step.ended_at.isoformat(),
        }
        for step in progress.steps
    ]
    return _dump({"window_id": progress.window_id, "runner": progress.runner, "steps": steps})


def _decode_progress(body: bytes) -> EmergencyProgress:
    try:
        raw = json.loads(body)
        steps = tuple(
            EmergencyStep(
                name=str(each["name"]),
                status=StepStatus(each["status"]),
                attempts=int(each["attempts"]),
                count=None if each["count"] is None else int(each["count"]),
                detail=str(each["detail"]),
                problems=tuple(map(str, each["problems"])),
                started_at=_time(each["started_at"]),
                ended_at=_time(each["ended_at"]),
            )
            for each in raw["steps"]
        )
        return EmergencyProgress(window_id=str(raw["window_id"]), runner=str(raw["runner"]), steps=steps)
    except _UNREADABLE as exc:
        raise StoreCorruptError(f"stored steps of an emergency cannot be read: {exc!r:.200}") from exc


def _recovery_members(recovery: EmergencyRecovery) -> Mapping[str, Any]:
    checks = [[check.name, str(check.kind), check.is_ok, check.detail[:1000]] for check in recovery.checks]
    return {
        "at": recovery.at.isoformat(),
        "actor": recovery.actor,
        "checks": checks,
        "was_ended": recovery.was_ended,
        "was_forced": recovery.was_forced,
    }


def _decode_recoveries(window_id: str, body: bytes) -> tuple[EmergencyRecovery, ...]:
    try:
        tries = json.loads(body)
        if not isinstance(tries, list):
            raise TypeError(f"a {type(tries).__name__}")  # caught with all else that is wrong
        return tuple(
            EmergencyRecovery(
                window_id=window_id,
                at=datetime.fromisoformat(each["at"]),
                actor=str(each["actor"]),
                checks=tuple(
                    RecoveryCheck(name=str(name), kind=CheckKind(kind), is_ok=bool(is_ok), detail=str(detail))
                    for name, kind, is_ok, detail in each["checks"]
                ),
                was_ended=bool(each["was_ended"]),
                was_forced=bool(each["was_forced"]),
            )
            for each in tries
        )
    except _UNREADABLE as exc:
        raise StoreCorruptError(f"stored checks of an emergency cannot be read: {exc!r:.200}") from exc


def _time(value: object) -> datetime | None:
    return None if value is None else datetime.fromisoformat(str(value))


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
