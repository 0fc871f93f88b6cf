"""The report on one window: what happened, who did it, whom it hit, what came of sessions and jobs, what failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .decisions import Outcome
from .emergency import EmergencyProgress, EmergencyRecovery
from .jobs import JobRecord
from .modes import Mode
from .records import CallerKind
from .sessions import SessionPolicy
from .workers import WorkerInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportHeading:
    """Which window a report is about.

    Attributes:
        window_id: of the window.
        mode: its mode; ``None``: not known any more.
        reason: its reason.
        owner: whose window it is, or of one that the state has forgotten who opened or planned it; empty: not known.
        opened_at: when it opened (UTC); ``None``: it has not, or that is not known any more.
        ended_at: when it was over (UTC); ``None``: it is not, or that is not known.
        is_open: whether it is open still.
    """

    window_id: str
    mode: Mode | None
    reason: str
    owner: str
    opened_at: datetime | None
    ended_at: datetime | None
    is_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportEntry:
    """One line of the timeline.

    Attributes:
        at: when it became true (UTC).
        action: what, as in the audit trail.
        actor: who did it, or the worker that noted it.
        source: through what.
        detail: the facts, as a short text.
    """

    at: datetime
    action: str
    actor: str
    source: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportCount:
    """How many requests of one type and of one kind of caller met one end.

    Attributes:
        operation: name of the type.
        outcome: what became of them.
        caller: who sent them, as far as that is told apart.
        count: how many, as of the workers' last heartbeats.
        path: of those that a test window would have refused; empty: not told apart.
    """

    operation: str
    outcome: Outcome
    caller: CallerKind
    count: int
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentReport:
    """All that is known of one window, open or over, at one moment.

    Attributes:
        heading: which window.
        made_at: when the report was made (UTC).
        duration: from its opening to its end, or until now; ``None``: not known.
        estimated_duration: how long it should have taken; ``None``: nobody said, or that is not known any more.
        ended_by: who ended it, or which worker noted its end; empty: nobody yet.
        people: everybody who did something about it, in order of appearance; workers are not among them.
        timeline: what happened, the oldest first; of a very long one the beginning and the end.
        omitted_entries: how many lines in the middle were left out of it.
        counts: what became of requests; test windows' by type only.
        paths: what a test window would have refused, by path, the most frequent first.
        omitted_paths: how many requests of further paths there were.
        session_policy: what it did to sessions; ``None``: not known any more.
        sessions_ended: how many were ended; ``None``: not known.
        progress: the steps of an emergency; ``None``: none were noted.
        recoveries: tries to end it by its checklist.
        jobs: jobs that were ended for it, the newest first.
        omitted_jobs: how many more there were.
        job_fates: how many jobs met which fate, all of them.
        notifications: what was sent to whom, a line each.
        failures: what failed or could not be ended, in words.
        workers: those that were listed when the report was made and had started before the window's end.
        gaps: what is not known, and why.
    """

    heading: ReportHeading
    made_at: datetime
    duration: timedelta | None
    estimated_duration: timedelta | None = None
    ended_by: str = ""
    people: tuple[str, ...] = ()
    timeline: tuple[ReportEntry, ...] = ()
    omitted_entries: int = 0
    counts: tuple[ReportCount, ...] = ()
    paths: tuple[ReportCount, ...] = ()
    omitted_paths: int = 0
    session_policy: SessionPolicy | None = None
    sessions_ended: int | None = None
    progress: EmergencyProgress | None = None
    recoveries: tuple[EmergencyRecovery, ...] = ()
    jobs: tuple[JobRecord, ...] = ()
    omitted_jobs: int = 0
    job_fates: Mapping[str, int] = field(default_factory=dict)
    notifications: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    workers: tuple[WorkerInfo, ...] = ()
    gaps: tuple[str, ...] = ()

    def total(self, outcome: Outcome) -> int:
        """Return how many requests met this end."""
        return sum(line.count for line in self.counts if line.outcome is outcome)
