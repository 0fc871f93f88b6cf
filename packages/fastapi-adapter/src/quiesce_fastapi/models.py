"""The status, the commands and their answers as pydantic models, for OpenAPI."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from .documents import Document, ModeName
from .emergency_models import RecoveryCheck
from .window_models import NextWindow, SessionPolicyName, Window


class OpenWindow(Document):
    """A window that is open, as the public may know it."""

    id: str
    mode: ModeName


class Status(Document):
    """Whether maintenance is on, and what it blocks; times are RFC 3339 in UTC or empty, durations are seconds."""

    is_active: bool
    mode: ModeName
    reason: str
    estimated_duration: float
    started_at: str
    estimated_completion: str
    blocked_operations: list[str]
    active_jobs_count: int
    message: str
    ends_at: str
    revision: int
    is_stale: bool
    windows: list[OpenWindow]
    next_window: NextWindow | None
    alerts: list[str]


class Changed(Status):
    """The status after a command, and the windows that it opened, ended or moved."""

    changed: list[Window]


class BlockedOperation(Document):
    """A type that is refused now."""

    operation_type: str
    description: str
    blocked_since: str
    attempt_count: int


class BlockedOperations(Document):
    """Every type that is refused now, and how often it was."""

    blocked_operations: list[BlockedOperation]


class Message(Document):
    """What to tell users; the two optional fields stand there when an operation was asked about."""

    is_active: bool
    message: str
    reason: str
    operation_type: str | None = None
    is_blocked: bool | None = None


class Health(Document):
    """Whether maintenance mode itself works in this process."""

    status: Literal["ok", "degraded"]
    is_active: bool
    is_enforcing: bool
    is_stale: bool
    revision: int


class OldestRequest(Document):
    """The oldest request in flight that is refused now; its age in seconds."""

    method: str
    path: str
    age: float


class Worker(Document):
    """What one process reported last; ages are seconds."""

    id: str
    host: str
    pid: int
    framework: str
    started_at: str
    heartbeat_age: float
    acknowledged_revision: int | None
    in_flight: dict[str, int]
    bypassing: int
    oldest: OldestRequest | None


class JobCounts(Document):
    """What one job queue has; null is not known."""

    source: str
    running: int | None
    reserved: int | None
    queued: int | None
    detail: str


class Quiescence(Document):
    """The proof that the system is quiet, or what stands in its way."""

    quiesced: bool
    revision: int
    at: str
    holds_until: str
    confirmed: list[str]
    unconfirmed: list[str]
    in_flight: dict[str, int]
    jobs: dict[str, int]
    job_counts: list[JobCounts]
    obstacles: list[str]
    workers: list[Worker]


class Enable(Document):
    """Opens a window now."""

    reason: str = Field(min_length=1, max_length=1000)
    mode: ModeName = "normal"
    duration: float | None = Field(None, description="Estimate in seconds; ends nothing.")
    timeout: float | None = Field(None, description="Seconds after which the window is over by itself.")
    operations: list[str] | None = Field(None, description="Types to cover; left out: the mode's default.")
    allow: list[str] | None = Field(None, description="Types that pass all the same.")
    notify_users: bool = True
    ticket: str | None = Field(None, max_length=500, description="A link or number.")
    overlap: bool = Field(default=False, description="Although another window of the mode is open.")
    sessions: SessionPolicyName | None = Field(None, description="What becomes of those of everyone but admins.")
    proof: str | None = Field(None, description="For an emergency: the code of the authenticator, or the admin token.")


class Disable(Document):
    """Ends the open window, the one named, or all."""

    window_id: str | None = None
    all: bool = False


class Extend(Document):
    """Moves the estimate and the timeout of the open window, or of the one named."""

    by: float = Field(description="Seconds.")
    window_id: str | None = None


class SessionStats(Document):
    """How many sessions were active within so many seconds; null is not known."""

    users: int | None
    admins: int | None
    within: float
    is_estimate: bool
    is_tracked: bool


class Session(Document):
    """One session that was active `idle` seconds ago."""

    id: str = Field(description="A keyed hash; no cookie can be made of it.")
    user_id: str
    is_admin: bool
    idle: float
    is_over: bool


class SessionDeletion(Document):
    """How far a plugin is with what is stored of sessions that are over; null is not known, or everyone."""

    plugin: str
    generation: int
    user_id: str | None
    looked_at: int
    deleted: int
    expected: int | None
    is_done: bool
    idle: float


class Sessions(Document):
    """How many sessions were active lately, and which, the one that was active last first; what becomes of old ones."""

    stats: SessionStats
    sessions: list[Session]
    deletions: list[SessionDeletion]


class EndSessions(Document):
    """Ends the sessions of one user, or of everyone but admins: one of the two."""

    user_id: str | None = Field(None, min_length=1, max_length=200)
    all: bool = False


class SessionsEnding(Document):
    """Sessions of a lower generation are over."""

    user_id: str | None
    generation: int
    at: str


class EndedSessions(Document):
    """What was ended."""

    ended: SessionsEnding


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    field: str | None = Field(None, description="What was not valid (400).")
    proof: Literal["code", "token"] | None = Field(None, description="The second proof that is asked for.")
    tries_left: int | None = Field(None, description="Wrong proofs before a silence (403).")
    checks: list[RecoveryCheck] | None = Field(None, description="The checklist of an emergency's end (409).")
