"""Values as the JSON documents of the guide: names, types and units stay, times are RFC 3339 in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ..control import MaintenanceStatus
from ..model import (
    BypassPass,
    JobCounts,
    Lease,
    MaintenanceEvent,
    MaintenanceWindow,
    QuiescenceReport,
    Schedule,
    WorkerReport,
)

_STARTS_SHOWN = 5


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
        "next_window": _announcement(status.next_window),
        "alerts": list(dict.fromkeys(str(alert.rule) for alert in status.alerts)),
    }


def window_document(window: MaintenanceWindow, *, now: datetime) -> dict[str, Any]:
    """Return a window whole, for administrators."""
    return {
        "id": window.id,
        "state": _state(window, now),
        "starts_at": format_time(window.starts_at),
        "ends_at": format_time(window.closes_at),
        **_terms(window),
        "schedule_id": window.schedule_id,
        "lease": _lease_document(window.lease),
    }


def schedule_document(schedule: Schedule, *, now: datetime) -> dict[str, Any]:
    """Return a schedule whole, for administrators.

    Its ``next`` starts are those that the rule gives, whether or not a window of them was cancelled or moved.
    """
    coming = [start for start in schedule.occurrences if start > now]
    return {
        "id": schedule.id,
        "rrule": schedule.rule,
        "zone": schedule.zone,
        "first": schedule.first.isoformat(timespec="seconds"),
        "length": schedule.length.total_seconds(),
        **_terms(schedule),
        "next": [format_time(start) for start in coming[:_STARTS_SHOWN]],
    }


def pass_document(one: BypassPass) -> dict[str, Any]:
    """Return a bypass pass, for administrators; nothing of it opens anything."""
    return {
        "id": one.id,
        "name": one.name,
        "expires_at": format_time(one.expires_at),
        "window_id": one.window_id,
        "opens_emergencies": one.opens_emergencies,
    }


def event_document(event: MaintenanceEvent) -> dict[str, Any]:
    """Return an event whole, for administrators."""
    return {
        "id": event.id,
        "kind": str(event.kind),
        "at": format_time(event.at),
        "revision": event.revision,
        "window_id": event.window_id,
        "mode": event.mode,
        "reason": event.reason,
        "actor": event.actor,
        "detail": event.detail,
        "alert": "" if event.alert is None else event.alert.name,
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
        "jobs": dict(report.jobs),
        "job_counts": [job_counts_document(counts) for counts in report.job_counts],
        "obstacles": list(report.obstacles),
        "workers": [_worker_document(worker) for worker in report.workers],
    }


def job_counts_document(counts: JobCounts) -> dict[str, Any]:
    """Return what one source of jobs has; ``null`` is not known."""
    return {
        "source": counts.source,
        "running": counts.running,
        "reserved": counts.reserved,
        "queued": counts.queued,
        "detail": counts.detail,
    }


def format_time(at: datetime | None) -> str:
    """Return RFC 3339 with seconds, or an empty text."""
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _announcement(window: MaintenanceWindow | None) -> dict[str, Any] | None:
    """Return what the public may know of a window to come."""
    if window is None:
        return None
    return {
        "id": window.id,
        "mode": str(window.mode),
        "reason": window.reason,
        "starts_at": format_time(window.starts_at),
        "ends_at": format_time(window.closes_at),
        "estimated_duration": _seconds(window.estimated_duration),
    }


def _terms(planned: MaintenanceWindow | Schedule) -> dict[str, Any]:
    return {
        "mode": str(planned.mode),
        "reason": planned.reason,
        "owner": planned.owner,
        "estimated_duration": _seconds(planned.estimated_duration),
        "operations": None if planned.operations is None else sorted(planned.operations),
        "allowed_operations": sorted(planned.allowed_operations),
        "announce": [before.total_seconds() for before in planned.announce],
        "notify_users": planned.notify_users,
        "ticket": planned.ticket,
        "sessions": str(planned.session_policy),
    }


def _state(window: MaintenanceWindow, now: datetime) -> str:
    if window.is_cancelled:
        return "cancelled"
    if window.is_over(now):
        return "over"
    return "open" if window.is_open(now) else "planned"


def _lease_document(lease: Lease | None) -> dict[str, Any] | None:
    return None if lease is None else {"holder": lease.holder, "seconds": lease.seconds, "releases": lease.releases}


def _seconds(span: timedelta | None) -> float:
    return 0 if span is None else span.total_seconds()


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
