"""Gathers the report on one window from all that the store keeps of it, also when the state has forgotten it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from ..model import (
    CountKey,
    EmergencyProgress,
    EmergencyRecovery,
    EventKind,
    IncidentReport,
    JobFate,
    JobRecord,
    MaintenanceEvent,
    MaintenanceState,
    MaintenanceWindow,
    Mode,
    NoSuchWindowError,
    Outcome,
    ReportCount,
    ReportHeading,
    StoreCorruptError,
)
from .emergency_notes import read_progress, read_recoveries
from .job_ledger import JobLedger
from .outbox_told import tell_of_telling
from .report_trail import Trail, read_events, read_trail
from .runtime import Runtime

if TYPE_CHECKING:
    from ..stores import Store

_MOST_PATHS = 100
_MOST_JOBS = 500
_MOST_WORKERS = 500
_ID = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_REPORTED = (Outcome.REFUSED, Outcome.BYPASSED, Outcome.WOULD_BLOCK)
_UNENDED = {
    JobFate.RUNNING: "could not be ended",
    JobFate.LOST: "ended, or may have, and nobody can say how",
}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Jobs:
    records: tuple[JobRecord, ...] = ()
    fates: Counter[str] = field(default_factory=Counter)
    failures: tuple[str, ...] = ()


def gather_report(runtime: Runtime, *, window_id: str) -> IncidentReport:
    """Return the report.

    Raises:
        NoSuchWindowError: nothing is known of such a window.
        StoreError: the store does not answer; of what it cannot read the report says so.
    """
    if not _ID.fullmatch(window_id):
        raise NoSuchWindowError(window_id)
    now, store = runtime.clock.now(), runtime.store
    state = runtime.committer.load()
    window = state.find(window_id)
    if window is None and state.find_schedule(window_id) is not None:
        raise NoSuchWindowError(window_id)
    gaps: list[str] = []
    events: tuple[MaintenanceEvent, ...] = ()
    events = _or_gap(gaps, "the events", lambda: _events_of(store, window_id), events)
    trail = Trail()
    _or_gap(gaps, "the audit trail", lambda: read_trail(store.audit_of(window_id), events, into=trail), None)
    if window is None and not trail.entries:
        if gaps:
            raise StoreCorruptError(gaps[-1])
        raise NoSuchWindowError(window_id)
    heading = _heading_of(window, now=now) if window is not None else _remembered(window_id, trail, gaps)
    counts, paths, omitted_paths = _counts(store.counts(), window_id)
    progress = _or_gap(gaps, "the steps of the emergency", lambda: read_progress(store.items, window_id), None)
    recoveries: tuple[EmergencyRecovery, ...] = ()
    recoveries = _or_gap(gaps, "the checks of its end", lambda: read_recoveries(store.items, window_id), recoveries)
    jobs = _or_gap(gaps, "the ledger of jobs", lambda: _jobs(runtime, window_id), _Jobs())
    if progress is None and heading.mode is Mode.EMERGENCY:
        gaps.append("no steps of the emergency were noted")
    until = heading.ended_at or now
    return IncidentReport(
        heading=heading,
        made_at=now,
        duration=None if heading.opened_at is None else max(until, heading.opened_at) - heading.opened_at,
        estimated_duration=None if window is None else window.estimated_duration,
        ended_by=trail.ended_by,
        people=tuple(trail.people),
        timeline=trail.timeline,
        omitted_entries=trail.omitted,
        counts=counts,
        paths=paths,
        omitted_paths=omitted_paths,
        session_policy=trail.policy if window is None else window.session_policy,
        sessions_ended=_count_of("sessions", progress),
        progress=progress,
        recoveries=recoveries,
        jobs=jobs.records,
        omitted_jobs=jobs.fates.total() - len(jobs.records),
        job_fates=dict(sorted(jobs.fates.items())),
        notifications=_or_gap(gaps, "who was notified", lambda: tell_of_telling(store, events), ()),
        failures=(*trail.failures, *jobs.failures, *_failures(progress, recoveries)),
        workers=tuple(report.worker for report in store.workers()[:_MOST_WORKERS] if report.worker.started_at <= until),
        gaps=tuple(gaps),
    )


def list_headings(runtime: Runtime, *, limit: int) -> tuple[ReportHeading, ...]:
    """Return the windows that have opened and of which there are reports, the newest first.

    Of those that the state has forgotten, these are as many as the store's events go back.

    Raises:
        StoreError: the store does not answer.
    """
    state, now = runtime.committer.load(), runtime.clock.now()
    found = {window.id: _heading_of(window, now=now) for window in state.all_windows() if _has_opened(window, now)}
    found |= {id_: heading for id_, heading in _told(runtime, state).items() if id_ not in found}
    headings = sorted(found.values(), key=lambda each: (each.opened_at or now, each.window_id), reverse=True)
    return tuple(headings[: max(limit, 0)])


def _events_of(store: Store, window_id: str) -> tuple[MaintenanceEvent, ...]:
    return tuple(event for event in read_events(store) if event.window_id == window_id)


def _told(runtime: Runtime, state: MaintenanceState) -> dict[str, ReportHeading]:
    """Return the windows of which the events tell that they have opened, by id; cancelled and planned ones are none."""
    planned: dict[str, str] = {}
    started: dict[str, MaintenanceEvent] = {}
    ended: dict[str, datetime] = {}
    for event in read_events(runtime.store):
        if event.kind is EventKind.SCHEDULED:
            planned[event.window_id] = event.actor
        elif event.kind is EventKind.STARTED:
            started[event.window_id] = event
        elif event.kind is EventKind.ENDED:
            ended[event.window_id] = event.at
    return {
        id_: ReportHeading(
            window_id=id_,
            mode=next((mode for mode in Mode if mode == event.mode), None),
            reason=event.reason,
            owner=planned.get(id_, "" if event.actor.startswith("worker:") else event.actor),
            opened_at=event.at,
            ended_at=ended.get(id_),
            is_open=False,
        )
        for id_, event in started.items()
        if state.find(id_) is None
    }


def _has_opened(window: MaintenanceWindow, now: datetime) -> bool:
    return not window.is_cancelled and (window.is_open(now) or window.is_over(now))


def _heading_of(window: MaintenanceWindow, *, now: datetime) -> ReportHeading:
    return ReportHeading(
        window_id=window.id,
        mode=window.mode,
        reason=window.reason,
        owner=window.owner,
        opened_at=window.starts_at if _has_opened(window, now) else None,
        ended_at=window.closes_at if window.is_over(now) else None,
        is_open=window.is_open(now),
    )


def _remembered(window_id: str, trail: Trail, gaps: list[str]) -> ReportHeading:
    gaps.append("the state has forgotten the window; this is from the audit trail and the events")
    if trail.mode is None:
        gaps.append("its mode and its reason are not known any more")
    if trail.opened_at is not None and trail.ended_at is None:
        gaps.append("when it ended is not known")
    return ReportHeading(
        window_id=window_id,
        mode=trail.mode,
        reason=trail.reason,
        owner=trail.owner,
        opened_at=trail.opened_at,
        ended_at=trail.ended_at,
        is_open=False,
    )


def _counts(
    all_counts: Mapping[CountKey, int], window_id: str
) -> tuple[tuple[ReportCount, ...], tuple[ReportCount, ...], int]:
    """Return the counts of the window without paths, those by path, and how many requests of further paths it had."""
    lines, by_path = Counter[CountKey](), Counter[CountKey]()
    for key, count in all_counts.items():
        if key.window_id != window_id or key.outcome not in _REPORTED:
            continue
        lines[CountKey(window_id, key.operation, key.outcome, caller=key.caller)] += count
        if key.path:
            by_path[key] += count
    counts = sorted(map(_line, lines.items()), key=lambda line: (line.outcome, -line.count, line.operation))
    ranked = sorted(map(_line, by_path.items()), key=lambda line: (-line.count, line.path, line.operation))
    omitted = sum(line.count for line in ranked[_MOST_PATHS:])
    return tuple(counts), tuple(ranked[:_MOST_PATHS]), omitted


def _line(counted: tuple[CountKey, int]) -> ReportCount:
    key, count = counted
    return ReportCount(operation=key.operation, outcome=key.outcome, caller=key.caller, count=count, path=key.path)


def _jobs(runtime: Runtime, window_id: str) -> _Jobs:
    records: list[JobRecord] = []
    failures: list[str] = []
    fates = Counter[str]()
    for line in JobLedger(runtime.store.items).lines(window_id):
        record = line.entry.record
        fates[str(record.fate)] += 1
        if len(records) < _MOST_JOBS:
            records.append(record)
            if record.fate in _UNENDED:
                failures.append(f"job {record.id} of {record.source}: {_UNENDED[record.fate]}")
    return _Jobs(tuple(records), fates, tuple(failures))


def _count_of(name: str, progress: EmergencyProgress | None) -> int | None:
    return None if progress is None else next((step.count for step in progress.steps if step.name == name), None)


def _failures(progress: EmergencyProgress | None, recoveries: tuple[EmergencyRecovery, ...]) -> list[str]:
    found = [] if progress is None else [f"{step.name}: {p}" for step in progress.steps for p in step.problems]
    for recovery in recoveries:
        became = "ended although" if recovery.was_forced else "not ended:"
        failed = [check for check in recovery.checks if not check.is_ok]
        found += [f"recovery by {recovery.actor}, {became} {check.name} failed: {check.detail}" for check in failed]
    return found


def _or_gap(gaps: list[str], what: str, read: Callable[[], T], otherwise: T) -> T:
    """Return what is read; if it cannot be read, note that, because the rest of the report is needed all the same."""
    try:
        return read()
    except StoreCorruptError as exc:
        gaps.append(f"{what} cannot be read: {exc}"[:500])
        return otherwise
