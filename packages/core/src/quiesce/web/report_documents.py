"""Reports as JSON documents; durations are seconds, ``null`` is not known."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ..model import (
    EmergencyProgress,
    EmergencyRecovery,
    IncidentReport,
    Outcome,
    ReportCount,
    ReportEntry,
    ReportHeading,
)
from .documents import format_time
from .job_documents import record_document

_CALLERS = {
    (Outcome.REFUSED, ""): "not identified",
    (Outcome.REFUSED, "user"): "identified",
    (Outcome.BYPASSED, ""): "administrator",
    (Outcome.BYPASSED, "pass"): "bypass pass",
}


def heading_document(heading: ReportHeading) -> dict[str, Any]:
    """Return which window a report is about."""
    return {
        "window_id": heading.window_id,
        "mode": None if heading.mode is None else str(heading.mode),
        "reason": heading.reason,
        "owner": heading.owner,
        "opened_at": format_time(heading.opened_at),
        "ended_at": format_time(heading.ended_at),
        "is_open": heading.is_open,
    }


def report_document(report: IncidentReport) -> dict[str, Any]:
    """Return a report whole, for administrators."""
    return {
        **heading_document(report.heading),
        "made_at": format_time(report.made_at),
        "duration": _seconds(report.duration),
        "estimated_duration": _seconds(report.estimated_duration),
        "ended_by": report.ended_by,
        "people": list(report.people),
        "timeline": [_entry_document(entry) for entry in report.timeline],
        "omitted_entries": report.omitted_entries,
        "totals": {str(outcome): report.total(outcome) for outcome in _COUNTED},
        "counts": [_count_document(line) for line in report.counts],
        "paths": [{"operation": line.operation, "path": line.path, "count": line.count} for line in report.paths],
        "omitted_paths": report.omitted_paths,
        "sessions": {
            "policy": None if report.session_policy is None else str(report.session_policy),
            "ended": report.sessions_ended,
        },
        "steps": [] if report.progress is None else _step_documents(report.progress),
        "recoveries": [_recovery_document(recovery) for recovery in report.recoveries],
        "jobs": [record_document(record) for record in report.jobs],
        "omitted_jobs": report.omitted_jobs,
        "job_fates": dict(report.job_fates),
        "notifications": list(report.notifications),
        "failures": list(report.failures),
        "workers": [
            {"id": worker.id, "host": worker.host, "pid": worker.pid, "framework": worker.framework}
            for worker in report.workers
        ],
        "gaps": list(report.gaps),
    }


def describe_caller(line: ReportCount) -> str:
    """Return for whom a count is, in words; empty: not told apart."""
    return _CALLERS.get((line.outcome, str(line.caller)), "")


_COUNTED = (Outcome.REFUSED, Outcome.BYPASSED, Outcome.WOULD_BLOCK)


def _entry_document(entry: ReportEntry) -> dict[str, Any]:
    return {
        "at": format_time(entry.at),
        "action": entry.action,
        "actor": entry.actor,
        "source": entry.source,
        "detail": entry.detail,
    }


def _count_document(line: ReportCount) -> dict[str, Any]:
    return {
        "operation": line.operation,
        "outcome": str(line.outcome),
        "caller": describe_caller(line),
        "count": line.count,
    }


def _step_documents(progress: EmergencyProgress) -> list[dict[str, Any]]:
    return [
        {
            "name": step.name,
            "status": str(step.status),
            "attempts": step.attempts,
            "count": step.count,
            "detail": step.detail,
            "problems": list(step.problems),
            "started_at": format_time(step.started_at),
            "ended_at": format_time(step.ended_at),
        }
        for step in progress.steps
    ]


def _recovery_document(recovery: EmergencyRecovery) -> dict[str, Any]:
    return {
        "at": format_time(recovery.at),
        "actor": recovery.actor,
        "was_ended": recovery.was_ended,
        "was_forced": recovery.was_forced,
        "checks": [
            {"name": check.name, "kind": str(check.kind), "is_ok": check.is_ok, "detail": check.detail}
            for check in recovery.checks
        ],
    }


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()
