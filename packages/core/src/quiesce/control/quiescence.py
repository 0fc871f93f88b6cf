"""The verdict: is anything that must not run still running anywhere? Pure (protocol rules 1, 6 and 9)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from ..gate import LEASE_SECONDS
from ..model import MaintenanceState, MaintenanceWindow, QuiescenceReport, WorkerReport, effective
from .job_sources import JobSources, judge_sources

LATE_SECONDS = 3.0
"""A worker that was not heard of for so long is unconfirmed: three heartbeats."""
SETTLE_SECONDS = 3.0
"""A store that lost its contents may not have heard from all workers yet; no verdict before."""


def judge_quiescence(
    state: MaintenanceState,
    workers: Sequence[WorkerReport],
    *,
    now: datetime,
    store_age: float,
    gone_after: float,
    expected_workers: int = 0,
    job_sources: JobSources | None = None,
) -> QuiescenceReport:
    """Return what the workers' reports prove about the state.

    Args:
        state: the committed state that is asked about.
        workers: every listed worker's last report.
        now: the operator's time (UTC).
        store_age: seconds since the store was created or lost its contents.
        gone_after: seconds of silence after which a worker is no longer waited for; never before its lease has ended.
        expected_workers: how many confirmed workers there must be at least.
        job_sources: what the leading worker heard of job queues.
    """
    judged = effective(state, now)
    windows = judged.enforced
    # Written so that an age that is no number counts as unknown, never as gone or fresh.
    patience = max(gone_after, LEASE_SECONDS)
    listed = [report for report in workers if not report.heartbeat_age >= patience]
    obstacles: list[str] = []
    confirmed: list[str] = []
    unconfirmed: list[str] = []
    in_flight: Counter[str] = Counter()
    jobs: Counter[str] = Counter()
    if not windows:
        obstacles.append("no window is open that refuses anything")
    if not store_age >= SETTLE_SECONDS:
        obstacles.append("the store is new or was emptied a moment ago; workers may not have registered yet")
    for report in listed:
        acknowledgement = report.acknowledgement
        if acknowledgement is not None:
            in_flight.update(acknowledgement.in_flight)
            jobs.update(acknowledgement.jobs)
        problem = _unconfirmed_because(report, state.revision, windows)
        if problem is not None:
            unconfirmed.append(report.worker.id)
            obstacles.append(f"{worker_name(report)} is unconfirmed: {problem}")
        elif running := _still_running(report):
            obstacles.append(f"{worker_name(report)} still runs {running}")
        else:
            confirmed.append(report.worker.id)
    if len(confirmed) < expected_workers:
        obstacles.append(f"{len(confirmed)} of {expected_workers} expected workers confirmed")
    job_obstacles, job_counts = judge_sources(job_sources or JobSources(), windows)
    obstacles.extend(job_obstacles)
    ends = [window.closes_at for window in windows if window.closes_at is not None]
    return QuiescenceReport(
        revision=state.revision,
        at=now,
        workers=tuple(listed),
        confirmed=tuple(confirmed),
        unconfirmed=tuple(unconfirmed),
        in_flight=dict(in_flight),
        quiesced=not obstacles,
        obstacles=tuple(obstacles),
        windows=windows,
        jobs=dict(jobs),
        holds_until=min(ends, default=None),
        job_counts=job_counts,
    )


def _unconfirmed_because(report: WorkerReport, revision: int, windows: Sequence[MaintenanceWindow]) -> str | None:
    acknowledgement = report.acknowledgement
    if acknowledgement is None:
        return "it has registered but not acknowledged anything yet"
    if report.heartbeat_age < 0:
        return "its heartbeat lies in the future of the store's clock, which was set back"
    if not report.heartbeat_age <= LATE_SECONDS:
        return f"not heard of for {report.heartbeat_age:.1f} s"
    if acknowledgement.revision < revision:
        return f"it applies revision {acknowledgement.revision}, not {revision}"
    missing = sorted(window.id for window in windows if window.id not in acknowledgement.windows)
    if missing:
        return f"it does not apply window {', '.join(missing)}; its clock or its MAINTENANCE_MODE_ENABLED may differ"
    return None


def _still_running(report: WorkerReport) -> str:
    acknowledgement = report.acknowledgement
    if acknowledgement is None or not any(acknowledgement.in_flight.values()):
        return ""
    running = ", ".join(f"{count} {name}" for name, count in sorted(acknowledgement.in_flight.items()))
    oldest = acknowledgement.oldest
    return (
        running
        if oldest is None
        else f"{running}; the oldest: {oldest.method} {oldest.path:.200} for {oldest.age:.1f} s"
    )


def worker_name(report: WorkerReport) -> str:
    """Return a worker by its id, process and host."""
    return f"worker {report.worker.id} (pid {report.worker.pid} on {report.worker.host})"
