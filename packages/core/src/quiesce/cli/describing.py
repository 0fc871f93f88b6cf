"""Windows and verdicts in words, a fact a line."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..model import (
    Alert,
    EmergencyStep,
    JobCounts,
    MaintenanceWindow,
    Mode,
    QuiescenceReport,
    Schedule,
    SessionPolicy,
    WorkerReport,
)
from .terminal import format_instant, format_span

_MOST_STRAGGLERS = 3

_SESSIONS = {
    SessionPolicy.REVOKE: "end, except those of admins",
    SessionPolicy.SUSPEND: "count again afterwards; until then only those of admins do",
    SessionPolicy.KEEP: "stay",
}
COLOURS = {Mode.EMERGENCY: "red", Mode.NORMAL: "yellow", Mode.TEST: "cyan"}
TITLES = {
    Mode.EMERGENCY: "Emergency maintenance is on",
    Mode.NORMAL: "Normal maintenance is on",
    Mode.TEST: "A test window is open; it refuses nothing",
}


def window_lines(window: MaintenanceWindow, *, now: datetime) -> Iterator[str]:
    """Yield what there is to know about one window."""
    yield f"window    {window.id} ({window.mode})"
    yield f"reason    {window.reason}"
    if window.is_immediate or window.starts_at <= now:
        yield f"opened    {format_instant(window.starts_at)} by {window.owner}"
    else:
        yield f"starts    {format_instant(window.starts_at)}, planned by {window.owner}"
    if window.estimated_duration is not None and window.estimated_completion is not None:
        overrun = now - window.estimated_completion
        note = f", overrun by {format_span(overrun)}" if overrun.total_seconds() > 0 else ""
        span = format_span(window.estimated_duration)
        yield f"estimate  {span}, until {format_instant(window.estimated_completion)}{note}"
    if window.ended_at is not None:
        yield f"ended     {format_instant(window.ended_at)}"
    elif window.ends_at is None:
        who = "an operator" if window.lease is None else "its holder or an operator"
        yield f"ends      when {who} ends it; it has no timeout"
    else:
        yield f"ends      {format_instant(window.ends_at)} at the latest"
    if window.operations is not None:
        yield f"covers    {', '.join(sorted(window.operations))}"
    if window.allowed_operations:
        yield f"allows    {', '.join(sorted(window.allowed_operations))}"
    if window.mode.is_enforced:
        yield sessions_line(window)
    if window.ticket:
        yield f"ticket    {window.ticket}"
    if window.lease is not None:
        lost = "ends" if window.lease.releases else "stays"
        yield f"held by   {window.lease.holder}; if that is lost, the window {lost}"


def sessions_line(planned: MaintenanceWindow | Schedule) -> str:
    """Return what becomes of sessions."""
    return f"sessions  {_SESSIONS[planned.session_policy]}"


def count_of_workers(count: int) -> str:
    """Return the number with its noun."""
    return "1 worker" if count == 1 else f"{count} workers"


def proof_title(report: QuiescenceReport) -> str:
    """Return the verdict of a report that says quiesced."""
    workers = count_of_workers(len(report.workers))
    return f"Quiesced at revision {report.revision}: {len(report.confirmed)} of {workers} confirmed"


def proof_lines(report: QuiescenceReport) -> Iterator[str]:
    """Yield how long the verdict holds."""
    if report.holds_until is None:
        yield "holds until an operator ends the window"
    else:
        yield f"holds until {format_instant(report.holds_until)}, when a window ends by itself"


def progress_line(report: QuiescenceReport, *, elapsed_seconds: float) -> str:
    """Return one line on who is confirmed, what is in flight, and who is waited for."""
    parts = [f"{elapsed_seconds:.1f} s: {len(report.confirmed)} of {count_of_workers(len(report.workers))} confirmed"]
    running = ", ".join(f"{count} {name}" for name, count in sorted(report.in_flight.items()) if count)
    if running:
        parts.append(f"in flight: {running}")
    parts += [describe_counts(counts) for counts in report.job_counts if not counts.is_quiet]
    waited_for = stragglers(report)
    if waited_for:
        shown = ", ".join(_straggler(report, worker) for worker in waited_for[:_MOST_STRAGGLERS])
        more = len(waited_for) - _MOST_STRAGGLERS
        parts.append(f"waiting for {shown}" + (f" and {more} more" if more > 0 else ""))
    elif report.obstacles:
        parts.append(report.obstacles[0])
    return "; ".join(parts)


def step_line(step: EmergencyStep) -> str:
    """Return how far a step of an emergency is."""
    said = "; ".join(filter(None, (step.detail, *step.problems)))
    again = f" (attempt {step.attempts})" if step.attempts > 1 and not step.is_settled else ""
    return f"{step.name:<10} {step.status}{again}" + (f": {said}" if said else "")


def alert_line(alert: Alert) -> str:
    """Return what is to be looked at, and since when it is so."""
    return f"{alert.name:<19} since {format_instant(alert.since)}: {alert.detail}"


def describe_counts(counts: JobCounts) -> str:
    """Return what one source of jobs has; what is not known is said."""
    said = ", ".join(
        f"{'unknown' if number is None else number} {name}"
        for name in ("running", "reserved", "queued")
        if (number := getattr(counts, name)) != 0
    )
    return f"{counts.source}: {said or 'none'}" + (f" ({counts.detail})" if counts.detail else "")


def stragglers(report: QuiescenceReport) -> list[WorkerReport]:
    """Return the workers that are not confirmed."""
    confirmed = frozenset(report.confirmed)
    return [worker for worker in report.workers if worker.worker.id not in confirmed]


def _straggler(report: QuiescenceReport, worker: WorkerReport) -> str:
    acknowledgement = worker.acknowledgement
    if worker.worker.id in report.unconfirmed or acknowledgement is None:
        why = f"unconfirmed, heard of {worker.heartbeat_age:.1f} s ago"
    elif acknowledgement.oldest is not None:
        oldest = acknowledgement.oldest
        why = f"{oldest.method:.20} {oldest.path:.60} for {oldest.age:.1f} s"
    else:
        why = "requests in flight"
    return f"pid {worker.worker.pid} on {worker.worker.host} ({why})"
