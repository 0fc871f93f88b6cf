"""The documents about emergencies as pydantic models, for OpenAPI."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .documents import Document
from .window_models import SessionPolicyName, Window


class EmergencyStep(Document):
    """One of the things that an emergency does besides refusing requests; a count of null is not known."""

    name: str
    status: Literal["waiting", "running", "done", "failed", "skipped"]
    attempts: int
    count: int | None
    detail: str
    problems: list[str]
    started_at: str
    ended_at: str


class EmergencyProgress(Document):
    """How far the steps of one emergency are, and who carries them out."""

    window_id: str
    runner: str
    is_settled: bool
    steps: list[EmergencyStep]


class Emergency(Document):
    """How far the steps of the emergency are; null when none is on."""

    emergency: EmergencyProgress | None


class BegunEmergency(Document):
    """The window that refuses everything by now, and the steps that follow."""

    window: Window
    emergency: EmergencyProgress


class RecoveryCheck(Document):
    """One line of the checklist: looked at, or a person's word."""

    name: str
    kind: Literal["checked", "acknowledged"]
    is_ok: bool
    detail: str


class Recovery(Document):
    """The end of an emergency by its checklist."""

    window_id: str
    at: str
    actor: str
    was_ended: bool
    was_forced: bool


class Recovered(Document):
    """What was seen, and how the emergency was ended; null when only the checklist was asked for."""

    recovery: Recovery | None
    checks: list[RecoveryCheck]


class BeginEmergency(Document):
    """Begins an emergency."""

    reason: str = Field(min_length=1, max_length=1000)
    duration: float | None = Field(None, description="Estimate in seconds; ends nothing.")
    timeout: float | None = Field(None, description="Seconds after which it is over by itself; left out: never.")
    operations: list[str] | None = Field(None, description="Types to refuse; left out: all but those of admins.")
    allow: list[str] | None = Field(None, description="Types that pass all the same.")
    notify_users: bool = True
    ticket: str | None = Field(None, max_length=500, description="A link or number.")
    overlap: bool = Field(default=False, description="Although another emergency is on.")
    sessions: SessionPolicyName | None = Field(None, description="What becomes of those of everyone but admins.")
    proof: str | None = Field(None, description="The code of the authenticator, or the admin token.")


class Recover(Document):
    """Ends an emergency by its checklist."""

    window_id: str | None = Field(None, description="Left out: the only one.")
    threat_resolved: str | None = Field(None, max_length=1000, description="What was done about the threat.")
    is_ledger_reviewed: bool = Field(default=False, description="A person has looked at the jobs that were ended.")
    force: bool = Field(default=False, description="Although a line is not ok.")
    check_only: bool = Field(default=False, description="Only go through the checklist.")
