"""What is known of jobs, and the commands on them, as pydantic models, for OpenAPI."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .documents import Document
from .models import JobCounts


class JobRecord(Document):
    """A job that was ended, and how."""

    source: str
    id: str
    queue: str
    name: str
    fate: Literal["finished", "stopped", "terminated", "lost", "running"]
    is_restorable: bool
    put_back_as: str
    user: str
    detail: str


class LedgerEntry(JobRecord):
    """A job that was ended, and for which window."""

    window_id: str


class JobSource(Document):
    """What one plugin knows of its queues; with a problem nothing is known."""

    plugin: str
    problem: str
    counts: list[JobCounts]


class Jobs(Document):
    """The jobs that run, and those that were ended."""

    tracked: dict[str, int]
    queues: list[JobSource]
    ledger: list[LedgerEntry]


class Stopped(Document):
    """What came of ending the jobs of all queues."""

    window_id: str
    is_quiet: bool
    records: list[JobRecord]
    counts: list[JobCounts]
    problems: list[str]


class Restored(Document):
    """What came of putting jobs back."""

    window_id: str
    restored: list[JobRecord]
    left: list[JobRecord]
    problems: list[str]


class StopJobs(Document):
    """Ends the jobs of all queues."""

    window_id: str | None = Field(None, description="For which window; left out: the strictest that is open.")
    grace: float | None = Field(None, description="Seconds that jobs may take to end by themselves.")


class RestoreJobs(Document):
    """Puts back the jobs that were ended for a window."""

    window_id: str
