"""Sessions during maintenance: which count, who may log in, and ending them, whatever their number, by one write."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from ..gate.sessions import SessionJudge
from ..model import Decision, MaintenanceState, Principal, SessionEpoch, SessionVerdict
from .journal import Journal
from .runtime import Runtime
from .validation import check_actor, check_user
from .writing import CommandWriter


class MaintenanceSessionManager:
    """Reached as ``service.sessions``; the first four are for adapters, about each request, and do no I/O."""

    def __init__(self, runtime: Runtime, *, writer: CommandWriter) -> None:
        self._runtime = runtime
        self._writer = writer
        self._judge = SessionJudge(runtime.gate)

    @property
    def is_idle(self) -> bool:
        """Whether every session counts and everybody may log in, so that nobody need look at one."""
        return self._judge.is_idle

    @property
    def generation(self) -> int:
        """What a session is stamped with when somebody logs in; 0 need not be written down."""
        return self._judge.generation

    def must_be_judged(self, stamp: int) -> bool:
        """Whether it depends on whose it is if a session with this stamp counts; one without a stamp has 0."""
        return self._judge.must_be_judged(stamp)

    def token_counts(self, *, stamp: int | None = None, issued_at: datetime | None = None) -> bool:
        """Whether a token counts whosever it is, so that nobody need be asked; what it says need not be verified yet.

        Args:
            stamp: the generation in it; ``None``: it has none, and the time of its issue decides.
            issued_at: when it was issued (UTC); ``None``: not known.
        """
        return self._judge.token_counts(stamp=stamp, issued_at=issued_at)

    def judge(
        self, principal: Principal, *, stamp: int | None = None, issued_at: datetime | None = None
    ) -> SessionVerdict:
        """Return what is true of a session or token of this user now; one of an admin always counts.

        Args:
            principal: as the application says at this moment.
            stamp: the generation in it; ``None``: it has none, and the time of its issue decides.
            issued_at: when it was issued (UTC); ``None``: ``principal.authenticated_at``.
        """
        return self._judge.judge(principal, stamp=stamp, issued_at=issued_at)

    def refuse_login(self, principal: Principal, *, path: str) -> Decision | None:
        """Return the counted refusal of somebody who has just logged in, or ``None``: they may."""
        return self._judge.refuse_login(principal, path=path)

    def invalidate(self, *, user_id: str | None = None, actor: str, source: str = "api") -> SessionEpoch:
        """End the sessions of everyone but admins, or of one user; return the epoch in which they are over.

        Args:
            user_id: whose; ``None``: everyone's but the admins'.
            actor: who asks.
            source: through what.

        Raises:
            InvalidValueError: the user's id is not fit, or too many were ended one by one.
            StoreError: the store does not answer.
        """
        user = None if user_id is None else check_user(user_id)

        def change(state: MaintenanceState, now: datetime, journal: Journal) -> MaintenanceState:
            if user is None:
                sessions = state.sessions.revoked(at=now)
                journal.note("sessions.revoked", detail=f"every session older than {sessions.generation}")
            else:
                sessions = state.sessions.revoked_for(user, at=now)
                journal.note("sessions.revoked", detail=f"sessions of user {user} older than {sessions.generation}")
            return replace(state, sessions=sessions)

        return self._writer.commit(change, actor=check_actor(actor), source=source, adds=True).sessions
