"""Values as the JSON documents of the guide: names, types and units stay, times are RFC 3339 in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ..control import MaintenanceStatus
from ..model import MaintenanceWindow, QuiescenceReport, WorkerReport


def status_document(status: MaintenanceStatus) -> dict[str, Any]:
    """Return the guide's status; with no window open its fields hold the guide's defaults."""
    return {
        "is_active": status.is_active,
        "mode": str(status.mode or "normal"),
        "reason": status.reason,
        "estimated_duration": status.estimated_duration,
        "started_at": format_time(status.started_at),
        "estimated_completion": format_time(status.estimated_completion),
        "blocked_operations": [operation.name for operation in status.blocked_operations],
        "active_jobs_count": status.active_jobs_count,
        "message": status.message,
        "ends_at": format_time(status.ends_at),
        "revision": status.revision,
        "is_stale": status.is_stale,
        "windows": [{"id": window.id, "mode": str(window.mode)} for window in status.windows],
    }


def window_document(window: MaintenanceWindow) -> dict[str, Any]:
    """Return a window whole, for administrators."""
    estimate = window.estimated_duration
    return {
        "id": window.id,
        "mode": str(window.mode),
        "reason": window.reason,
        "owner": window.owner,
        "starts_at": format_time(window.starts_at),
        "estimated_duration": 0 if estimate is None else estimate.total_seconds(),
        "ends_at": format_time(window.closes_at),
        "operations": None if window.operations is None else sorted(window.operations),
        "notify_users": window.notify_users,
    }


def quiescence_document(report: QuiescenceReport) -> dict[str, Any]:
    """Return the proof, or what stands in its way, for administrators."""
    return {
        "quiesced": report.quiesced,
        "revision": report.revision,
        "at": format_time(report.at),
        "holds_until": format_time(report.holds_until),
        "confirmed": list(report.confirmed),
        "unconfirmed": list(report.unconfirmed),
        "in_flight": dict(report.in_flight),
        "obstacles": list(report.obstacles),
        "workers": [_worker_document(worker) for worker in report.workers],
    }


def format_time(at: datetime | None) -> str:
    """Return RFC 3339 with seconds, or an empty text."""
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _worker_document(report: WorkerReport) -> dict[str, Any]:
    acknowledgement = report.acknowledgement
    oldest = acknowledgement.oldest if acknowledgement else None
    return {
        "id": report.worker.id,
        "host": report.worker.host,
        "pid": report.worker.pid,
        "framework": report.worker.framework,
        "started_at": format_time(report.worker.started_at),
        "heartbeat_age": round(min(report.heartbeat_age, 1e9), 3),
        "acknowledged_revision": acknowledgement.revision if acknowledgement else None,
        "in_flight": dict(acknowledgement.in_flight) if acknowledgement else {},
        "bypassing": acknowledgement.bypassing if acknowledgement else 0,
        "oldest": None
        if oldest is None
        else {"method": oldest.method, "path": oldest.path, "age": round(oldest.age, 3)},
    }
