"""A recurring window: a rule, and the instants that were worked out from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .modes import Mode
from .sessions import SessionPolicy
from .windows import MaintenanceWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Windows that recur by an RFC 5545 rule.

    The instants are committed with the rule, so that each process opens the same windows whatever time zone data its
    machine has, also one that cannot read the rule at all.

    Attributes:
        id: unique among windows and schedules.
        mode: of each window.
        reason: of each window.
        owner: who made the schedule.
        rule: the RRULE, without that name.
        zone: the IANA time zone in which ``first`` and the rule are meant.
        first: start of the first window, as local time without a zone.
        length: from each start to its timeout.
        occurrences: starts (UTC, ascending) that are known; those that are over go, later ones are added.
        is_exhausted: whether the rule gives none after the last of them.
        estimated_duration: how long the work should take.
        operations: names of the types covered; ``None``: the mode's default.
        allowed_operations: names of types that are not covered whatever else is said.
        notify_users: whether users are told.
        ticket: a link or number.
        announce: how long before each start people are told.
        created_in: id of the commit that brought it.
        sessions: what each window does to sessions; ``None``: as a window that says nothing.
    """

    id: str
    mode: Mode
    reason: str
    owner: str
    rule: str
    zone: str
    first: datetime
    length: timedelta
    occurrences: tuple[datetime, ...] = ()
    is_exhausted: bool = False
    estimated_duration: timedelta | None = None
    operations: frozenset[str] | None = None
    allowed_operations: frozenset[str] = frozenset()
    notify_users: bool = True
    ticket: str = ""
    announce: tuple[timedelta, ...] = ()
    created_in: str = ""
    sessions: SessionPolicy | None = None

    @property
    def session_policy(self) -> SessionPolicy:
        """What each window does to sessions, also where it was left to it."""
        return self.window(datetime.min.replace(tzinfo=UTC)).session_policy

    def window_id(self, start: datetime) -> str:
        """Return the id of the window that starts then: the same in every process."""
        return f"{self.id}.{start.astimezone(UTC):%Y%m%dT%H%M%SZ}"

    def window(self, start: datetime) -> MaintenanceWindow:
        """Return the window that starts then, as nobody has changed it."""
        return MaintenanceWindow(
            id=self.window_id(start),
            mode=self.mode,
            reason=self.reason,
            owner=self.owner,
            starts_at=start,
            estimated_duration=self.estimated_duration,
            ends_at=start + self.length,
            operations=self.operations,
            allowed_operations=self.allowed_operations,
            notify_users=self.notify_users,
            ticket=self.ticket,
            announce=self.announce,
            schedule_id=self.id,
            sessions=self.sessions,
        )

    def windows(self) -> Iterator[MaintenanceWindow]:
        """Return all known windows, the earliest first."""
        return map(self.window, self.occurrences)
