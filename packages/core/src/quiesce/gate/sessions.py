"""Judges sessions by what this process applies; no I/O, and next to nothing where no session was ever ended."""

from __future__ import annotations

from datetime import datetime

from ..model import (
    Decision,
    MaintenanceWindow,
    OperationType,
    Outcome,
    Principal,
    SessionEpoch,
    SessionVerdict,
)
from ..model.sessions import FIRST_EPOCH
from .gate import Gate
from .replica import Snapshot


class SessionJudge:
    """Says which sessions count; an adapter asks after the request has been entered at the gate."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._snapshot: Snapshot | None = None
        self._epoch: SessionEpoch = FIRST_EPOCH
        self._is_suspending = False
        self._refusing: MaintenanceWindow | None = None
        self._is_locked = False
        self._is_idle = True
        self._settled: int | None = None

    @property
    def is_idle(self) -> bool:
        """Whether every session counts and everybody may log in, so that nobody need look at one."""
        if self._gate.snapshot is not self._snapshot:
            self._look()
        return self._is_idle

    @property
    def generation(self) -> int:
        """What a session is stamped with when somebody logs in; 0 need not be written down."""
        if self._gate.snapshot is not self._snapshot:
            self._look()
        return self._epoch.generation

    @property
    def is_refusing_logins(self) -> bool:
        """Whether nobody but admins may log in now."""
        if self._gate.snapshot is not self._snapshot:
            self._look()
        return self._refusing is not None

    def is_settled(self, stamp: int) -> bool:
        """Whether a session of this stamp is the newest there is, counts whosever it is, and anybody may log in."""
        if self._gate.snapshot is not self._snapshot:
            self._look()
        return stamp == self._settled

    def must_be_judged(self, stamp: int) -> bool:
        """Whether it depends on whose it is if a session with this stamp counts; one without a stamp has 0."""
        if self._gate.snapshot is not self._snapshot:
            self._look()
        return self._is_suspending or self._epoch.may_be_over(stamp)

    def token_counts(self, *, stamp: int | None = None, issued_at: datetime | None = None) -> bool:
        """Whether a token counts whosever it is, so that nobody need be asked; what it says need not be verified yet.

        Args:
            stamp: the generation in it; ``None``: it has none, and the time of its issue decides.
            issued_at: when it was issued (UTC); ``None``: not known.
        """
        if self.is_idle:
            return True
        if self._is_suspending or self._is_locked:
            return False
        if stamp is not None:
            return not self._epoch.may_be_over(stamp)
        latest = self._epoch.latest
        return latest is None or (issued_at is not None and issued_at.timestamp() > latest.timestamp())

    def judge(
        self, principal: Principal, *, stamp: int | None = None, issued_at: datetime | None = None
    ) -> SessionVerdict:
        """Return what is true of a session or token of this user now; one of an admin always counts.

        Args:
            principal: as the application says at this moment.
            stamp: the generation in it; ``None``: it has none, and the time of its issue decides.
            issued_at: when it was issued (UTC); ``None``: ``principal.authenticated_at``.
        """
        if self.is_idle or principal.is_admin:
            return SessionVerdict.VALID
        at = issued_at or principal.authenticated_at
        if self._epoch.is_over(principal.user_id, stamp=stamp, issued_at=at):
            return SessionVerdict.REVOKED
        if self._is_locked and principal.is_interactive:
            # Only an admin can have logged in since, so this is somebody who is none any more, or came in elsewhere.
            return SessionVerdict.REVOKED
        return SessionVerdict.SUSPENDED if self._is_suspending else SessionVerdict.VALID

    def refuse_login(self, principal: Principal, *, path: str) -> Decision | None:
        """Return the counted refusal of somebody who has just logged in, or ``None``: they may.

        Args:
            principal: who they are now.
            path: of the request by which they did.
        """
        if self.is_idle or principal.is_admin or self._refusing is None:
            return None
        operation, revision = OperationType.AUTHENTICATION, self._gate.snapshot.revision
        decision = Decision(Outcome.REFUSED, operation, "only administrators may log in", self._refusing, revision)
        self._gate.tally.add(decision, path, principal.user_id)
        return decision

    def _look(self) -> None:
        snapshot = self._gate.snapshot
        is_enabled = self._gate.policy.is_enabled
        self._epoch = snapshot.state.sessions if is_enabled else FIRST_EPOCH
        self._is_suspending = is_enabled and snapshot.effective.suspends_sessions
        self._refusing = snapshot.effective.refusing_logins if is_enabled else None
        self._is_locked = is_enabled and snapshot.effective.locks_sessions_out
        self._is_idle = self._epoch == FIRST_EPOCH and not self._is_suspending and self._refusing is None
        is_open = not self._is_suspending and self._refusing is None
        self._settled = self._epoch.generation if is_open else None
        self._snapshot = snapshot  # last: until then another thread looks for itself
