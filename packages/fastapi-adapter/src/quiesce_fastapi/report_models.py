"""Reports as pydantic models, for OpenAPI."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .documents import Document, ModeName
from .job_models import JobRecord
from .window_models import SessionPolicyName


class ReportHeading(Document):
    """Which window a report is about; an empty text: it is not known, or has not happened."""

    window_id: str
    mode: ModeName | None = Field(description="Null: not known any more.")
    reason: str
    owner: str
    opened_at: str
    ended_at: str
    is_open: bool


class Reports(Document):
    """The windows that have opened and can be reported on, the newest first."""

    reports: list[ReportHeading]


class TimelineEntry(Document):
    """One thing that happened, as in the audit trail."""

    at: str
    action: str
    actor: str
    source: str
    detail: str


class RequestCount(Document):
    """How many requests of one type and of one kind of caller met one end."""

    operation: str
    outcome: Literal["refused", "bypassed", "would_block"]
    caller: Literal["not identified", "identified", "administrator", "bypass pass", ""]
    count: int


class PathCount(Document):
    """How many requests of a path a test window would have refused."""

    operation: str
    path: str
    count: int


class RequestTotals(Document):
    """How many requests met which end."""

    refused: int
    bypassed: int
    would_block: int


class ReportedSessions(Document):
    """What became of the sessions of everyone but admins; null is not known."""

    policy: SessionPolicyName | None
    ended: int | None


class ReportedStep(Document):
    """One step of an emergency."""

    name: str
    status: Literal["waiting", "running", "done", "failed", "skipped"]
    attempts: int
    count: int | None = Field(description="Null: not known.")
    detail: str
    problems: list[str]
    started_at: str
    ended_at: str


class ReportedCheck(Document):
    """One line of the checklist at the end of an emergency."""

    name: str
    kind: Literal["checked", "acknowledged"]
    is_ok: bool
    detail: str


class ReportedRecovery(Document):
    """One try to end an emergency by its checklist."""

    at: str
    actor: str
    was_ended: bool
    was_forced: bool
    checks: list[ReportedCheck]


class ReportedWorker(Document):
    """A worker that was listed when the report was made."""

    id: str
    host: str
    pid: int
    framework: str


class Report(ReportHeading):
    """All that is known of one window; durations are seconds, null is not known."""

    made_at: str
    duration: float | None = Field(description="Until now while it is open.")
    estimated_duration: float | None
    ended_by: str
    people: list[str]
    timeline: list[TimelineEntry]
    omitted_entries: int = Field(description="Lines left out in the middle of the timeline.")
    totals: RequestTotals
    counts: list[RequestCount]
    paths: list[PathCount]
    omitted_paths: int = Field(description="Requests of further paths.")
    sessions: ReportedSessions
    steps: list[ReportedStep]
    recoveries: list[ReportedRecovery]
    jobs: list[JobRecord]
    omitted_jobs: int
    job_fates: dict[str, int]
    notifications: list[str]
    failures: list[str]
    workers: list[ReportedWorker]
    gaps: list[str] = Field(description="What is not known, and why.")
