"""Alerts to JSON and back."""

from __future__ import annotations

from typing import Any

from .alerts import Alert, AlertRule
from .plan_codec import time_of, time_text

_RULES = frozenset(AlertRule)


def alert_members(alert: Alert) -> dict[str, Any]:
    """Return what a state, or an event, holds of an alert."""
    return {
        "rule": str(alert.rule),
        "subject": alert.subject,
        "since": time_text(alert.since),
        "opened_at": time_text(alert.opened_at),
        "window_id": alert.window_id,
        "detail": alert.detail,
    }


def alert_of(raw: Any) -> Alert:
    """Return the alert of these members."""
    return Alert(
        rule=AlertRule(raw["rule"]),
        subject=str(raw["subject"]),
        since=time_of(raw["since"]),
        opened_at=time_of(raw["opened_at"]),
        window_id=str(raw["window_id"]),
        detail=str(raw["detail"]),
    )


def alerts_of(raw: Any) -> tuple[Alert, ...]:
    """Return the alerts of a state; rules of a later version are no reason to lose the windows beside them."""
    return tuple(alert_of(members) for members in raw if members["rule"] in _RULES)
