"""The maintenance window: the one concept behind everything that is on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from .events import EventKind
from .leases import Lease
from .modes import Mode
from .operations import OperationType
from .sessions import SessionPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceWindow:
    """A span of time in which some operations are refused; judged against the clock, never switched by a timer.

    What a command opens or ends takes effect with its commit; what is scheduled, and every timeout, by the clock.

    Attributes:
        id: unique, short, printable.
        mode: how it treats the operations it covers.
        reason: what users and the audit trail are told.
        owner: who opened it.
        starts_at: first instant at which it is open (UTC).
        estimated_duration: how long the work should take; an estimate, ends nothing.
        ends_at: the timeout (UTC): from this instant the window is over by itself; ``None``: it has none.
        operations: names of the types it covers; ``None``: the default of its mode.
        allowed_operations: names of types that it does not cover, whatever else is said.
        notify_users: whether users are told.
        ticket: a link or number; empty: none.
        announce: how long before its start people are told, each once.
        schedule_id: the schedule that it comes from, if any.
        lease: who holds it, if a program does.
        is_immediate: opened by a command: open from its commit on, also where a machine's clock is behind.
        ended_at: when an operator ended it (UTC): over from that commit on, whatever a clock says; ``None``: nobody
            has.
        hooks_run: names of the hooks that have run for it, so that a new leader runs only the others.
        raised: the events that have been raised for it, so that none is raised twice.
        created_in: id of the commit that brought it; a state that contains that and not the window has dropped it.
        sessions: what it does to sessions; ``None``: see ``session_policy``.
    """

    id: str
    mode: Mode
    reason: str
    owner: str
    starts_at: datetime
    estimated_duration: timedelta | None = None
    ends_at: datetime | None = None
    operations: frozenset[str] | None = None
    allowed_operations: frozenset[str] = frozenset()
    notify_users: bool = True
    ticket: str = ""
    announce: tuple[timedelta, ...] = ()
    schedule_id: str | None = None
    lease: Lease | None = None
    is_immediate: bool = False
    ended_at: datetime | None = None
    hooks_run: frozenset[str] = frozenset()
    raised: frozenset[str] = frozenset()
    created_in: str = ""
    sessions: SessionPolicy | None = None

    @property
    def session_policy(self) -> SessionPolicy:
        """What it does to sessions.

        Unless it says so itself, one that covers its mode's operations revokes them. One that covers chosen operations
        only, is held by a program, or refuses nothing, keeps them.
        """
        if self.sessions is not None:
            return self.sessions
        is_whole = self.mode.is_enforced and self.operations is None and self.lease is None
        return SessionPolicy.REVOKE if is_whole else SessionPolicy.KEEP

    @property
    def has_revoked_sessions(self) -> bool:
        """Whether the commit that noted its start has been made, and with it sessions were revoked."""
        return EventKind.STARTED in self.raised

    @property
    def refuses_logins(self) -> bool:
        """Whether nobody but admins may log in while it is open."""
        name = OperationType.AUTHENTICATION.name
        if name in self.allowed_operations:
            return False
        if self.operations is not None and name in self.operations:
            return True
        return self.operations is None or self.session_policy is not SessionPolicy.KEEP

    @property
    def closes_at(self) -> datetime | None:
        """First instant at which it is over (UTC), or ``None`` when only an operator ends it."""
        ends = [at for at in (self.ends_at, self.ended_at) if at is not None]
        return min(ends) if ends else None

    @property
    def estimated_completion(self) -> datetime | None:
        """Start plus estimate (UTC), or ``None`` without an estimate."""
        return None if self.estimated_duration is None else self.starts_at + self.estimated_duration

    def is_open(self, now: datetime) -> bool:
        """Whether it is open at this instant: the start belongs to it, the end does not."""
        return (self.is_immediate or self.starts_at <= now) and not self.is_over(now)

    @property
    def is_cancelled(self) -> bool:
        """Whether it was ended before it could begin."""
        return self.ended_at is not None and not self.is_immediate and self.ended_at < self.starts_at

    def is_over(self, now: datetime) -> bool:
        """Whether it has ended, by an operator or by its timeout."""
        return self.ended_at is not None or (self.ends_at is not None and self.ends_at <= now)

    def covers(self, operation: OperationType) -> bool:
        """Whether it is about this type of operation, open or not.

        Never about logging in: an administrator must be able to. ``refuses_logins`` says what becomes of others.
        """
        if operation.name == OperationType.AUTHENTICATION.name:
            return False
        if operation.name in self.allowed_operations:
            return False
        if self.operations is None:
            return operation.is_blocked_by_default(self.mode)
        return operation.name in self.operations
