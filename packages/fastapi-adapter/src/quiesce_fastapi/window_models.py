"""The documents about windows, schedules and events as pydantic models, for OpenAPI."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from .documents import Document, ModeName

SessionPolicyName: TypeAlias = Literal["revoke", "suspend", "keep"]


class NextWindow(Document):
    """The next window to open, as the public may know it."""

    id: str
    mode: ModeName
    reason: str
    starts_at: str
    ends_at: str
    estimated_duration: float


class Lease(Document):
    """Which program holds a window, and what becomes of it when that is lost."""

    holder: str
    seconds: float
    releases: bool


class Terms(Document):
    """What a window and a schedule have in common; durations are seconds."""

    mode: ModeName
    reason: str
    owner: str
    estimated_duration: float
    operations: list[str] | None
    allowed_operations: list[str]
    announce: list[float]
    notify_users: bool
    ticket: str
    sessions: SessionPolicyName = Field(description="What becomes of those of everyone but admins.")


class Window(Terms):
    """A window whole, for administrators."""

    id: str
    state: Literal["planned", "open", "over", "cancelled"]
    starts_at: str
    ends_at: str
    schedule_id: str | None
    lease: Lease | None


class Schedule(Terms):
    """Windows that recur by a rule, for administrators."""

    id: str
    rrule: str
    zone: str
    first: str = Field(description="Start of the first window, as local time in the zone.")
    length: float = Field(description="Seconds from each start to its timeout.")
    next: list[str] = Field(description="The next few starts that the rule gives.")


class Agenda(Document):
    """What is open and what is planned; the windows that the schedules add stand among the windows."""

    windows: list[Window]
    schedules: list[Schedule]


class Planned(Document):
    """A window, or a schedule: one of the two."""

    window: Window | None = None
    schedule: Schedule | None = None


class Event(Document):
    """One thing that happened to a window or schedule."""

    id: str
    kind: str
    at: str
    revision: int
    window_id: str
    mode: str
    reason: str
    actor: str
    detail: str
    alert: str


class Events(Document):
    """The oldest events after the one asked for, in the order of what happened."""

    events: list[Event]


class _PlanFields(Document):
    zone: str | None = Field(None, description="IANA time zone of local times and of the rule; a new plan's is UTC.")
    mode: ModeName | None = Field(None, description="A new plan's is normal.")
    duration: float | None = Field(None, description="Estimate in seconds; ends nothing.")
    timeout: float | None = Field(None, description="Seconds from the start after which the window is over by itself.")
    end: str | None = Field(None, description="The same as a time, like `start`; excludes `timeout`.")
    rrule: str | None = Field(None, description="An RFC 5545 recurrence rule of at least daily frequency.")
    operations: list[str] | None = Field(None, description="Types to cover; without them the mode's default.")
    allow: list[str] | None = Field(None, description="Types that pass all the same.")
    announce: list[float] | None = Field(None, description="Seconds before the start at which it is announced.")
    notify_users: bool | None = Field(None, description="Whether users are told; of a new plan they are.")
    ticket: str | None = Field(None, max_length=500, description="A link or number.")
    owner: str | None = Field(None, max_length=200, description="Whose window it is; a new plan's is who asks.")
    sessions: SessionPolicyName | None = Field(None, description="What becomes of those of everyone but admins.")
    overlap: bool = Field(default=False, description="Although another window of the mode is open or planned then.")
    proof: str | None = Field(None, description="For an emergency: the code of the authenticator, or the admin token.")


class Plan(_PlanFields):
    """Plans a window, or with a rule many."""

    reason: str = Field(min_length=1, max_length=1000)
    start: str = Field(description="ISO 8601; without an offset it is local time in the zone.")
    id: str | None = Field(None, pattern="^[A-Za-z0-9_-]{1,40}$", description="Left out: made up.")


class PlanChange(_PlanFields):
    """Changes what is given; `null` clears `allow`, `announce`, `duration`, `operations`, `sessions` and `ticket`."""

    reason: str | None = Field(None, min_length=1, max_length=1000)
    start: str | None = Field(None, description="ISO 8601; without an offset it is local time in the zone.")
