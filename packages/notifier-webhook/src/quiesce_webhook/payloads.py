"""The body of a Standard Webhook: what happened, and the window as it is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from quiesce import Alert, MaintenanceEvent, MaintenanceWindow, Notice

LONGEST_TEXT = 2_000
"""In characters; longer ones are cut, so that a body stays far below what receivers take."""
MOST_NAMES = 100


def standard_body(notice: Notice) -> bytes:
    """Return the JSON; the same event has the same type, time and id at every attempt."""
    event = notice.event
    document = {
        "type": f"maintenance.{event.kind}",
        "timestamp": format_time(event.at),
        "data": {
            "service": notice.service_name,
            "is_test": notice.is_test,
            "audience": str(notice.audience),
            "event": _event(event),
            "window": None if notice.window is None else _window(notice.window),
        },
    }
    return json.dumps(document, separators=(",", ":")).encode()


def format_time(at: datetime) -> str:
    """Return RFC 3339 in UTC, with seconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def cut(text: str, *, longest: int = LONGEST_TEXT) -> str:
    """Return a text of so many characters at most."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _event(event: MaintenanceEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "kind": str(event.kind),
        "at": format_time(event.at),
        "window_id": event.window_id,
        "mode": event.mode,
        "reason": cut(event.reason),
        "actor": cut(event.actor),
        "detail": cut(event.detail),
        "alert": None if event.alert is None else _alert(event.alert),
    }


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "name": cut(alert.name),
        "rule": str(alert.rule),
        "subject": cut(alert.subject),
        "since": format_time(alert.since),
        "opened_at": format_time(alert.opened_at),
    }


def _window(window: MaintenanceWindow) -> dict[str, Any]:
    return {
        "id": window.id,
        "mode": str(window.mode),
        "reason": cut(window.reason),
        "owner": cut(window.owner),
        "starts_at": format_time(window.starts_at),
        "ends_at": _time(window.closes_at),
        "estimated_duration": _seconds(window.estimated_duration),
        "estimated_completion": _time(window.estimated_completion),
        "operations": None if window.operations is None else _names(window.operations),
        "allowed_operations": _names(window.allowed_operations),
        "notify_users": window.notify_users,
        "ticket": cut(window.ticket),
        "schedule_id": window.schedule_id,
    }


def _names(names: Iterable[str]) -> list[str]:
    return sorted(names)[:MOST_NAMES]


def _time(at: datetime | None) -> str:
    return "" if at is None else format_time(at)


def _seconds(span: timedelta | None) -> float:
    return 0 if span is None else span.total_seconds()
