"""Emergencies as JSON documents: how far their steps are, and how their end was checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..model import EmergencyProgress, EmergencyRecovery, EmergencyStep, RecoveryCheck
from .documents import format_time


def progress_document(progress: EmergencyProgress) -> dict[str, Any]:
    """Return how far the steps are; a count of ``null`` is not known."""
    return {
        "window_id": progress.window_id,
        "runner": progress.runner,
        "is_settled": progress.is_settled,
        "steps": [_step_document(step) for step in progress.steps],
    }


def recovery_document(recovery: EmergencyRecovery) -> dict[str, Any]:
    """Return one try to end an emergency by its checklist."""
    return {
        "window_id": recovery.window_id,
        "at": format_time(recovery.at),
        "actor": recovery.actor,
        "was_ended": recovery.was_ended,
        "was_forced": recovery.was_forced,
    }


def checks_document(checks: Iterable[RecoveryCheck]) -> list[dict[str, Any]]:
    """Return the lines of a checklist."""
    return [
        {"name": check.name, "kind": str(check.kind), "is_ok": check.is_ok, "detail": check.detail} for check in checks
    ]


def _step_document(step: EmergencyStep) -> dict[str, Any]:
    return {
        "name": step.name,
        "status": str(step.status),
        "attempts": step.attempts,
        "count": step.count,
        "detail": step.detail,
        "problems": list(step.problems),
        "started_at": format_time(step.started_at),
        "ended_at": format_time(step.ended_at),
    }
