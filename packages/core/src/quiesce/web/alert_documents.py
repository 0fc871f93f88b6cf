"""Alerts as JSON documents, for operators."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..model import Alert
from .documents import format_time


def alerts_document(alerts: Iterable[Alert], *, is_stale: bool) -> dict[str, Any]:
    """Return the open alerts, the oldest first."""
    return {"is_stale": is_stale, "alerts": [alert_document(alert) for alert in alerts]}


def alert_document(alert: Alert) -> dict[str, Any]:
    """Return one alert whole."""
    return {
        "name": alert.name,
        "rule": str(alert.rule),
        "subject": alert.subject,
        "since": format_time(alert.since),
        "opened_at": format_time(alert.opened_at),
        "window_id": alert.window_id,
        "detail": alert.detail,
    }
