"""What adapters ask and tell about sessions during a request: no input or output."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from ..model import Decision, Principal, SessionVerdict
from .runtime import Runtime
from .session_notes import SessionNotes

if TYPE_CHECKING:
    from ..gate.sessions import SessionJudge

MAINTENANCE = "maintenance_activation"
"""Why a session is over that a window ended."""
OPERATOR = "ended_by_operator"
"""Why a session is over that a command ended."""


class SessionChecks:
    """The part of the session manager that is for adapters."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    @property
    def is_idle(self) -> bool:
        """Whether every session counts and everybody may log in, so that nobody need look at one."""
        return self._judge.is_idle

    @property
    def generation(self) -> int:
        """What a session is stamped with when somebody logs in; 0 need not be written down."""
        return self._judge.generation

    @property
    def is_refusing_logins(self) -> bool:
        """Whether nobody but admins may log in now."""
        return self._judge.is_refusing_logins

    def is_settled(self, stamp: int) -> bool:
        """Whether a session of this stamp is the newest there is, counts whosever it is, and anybody may log in.

        Then the request need not be looked at again, unless it logs somebody in.
        """
        return self._judge.is_settled(stamp)

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

    def note_activity(self, principal: Principal | None, session_key: str) -> None:
        """Note that a session that counts was used, for the numbers and the list of sessions.

        Args:
            principal: as the application says at this moment; ``None``: nobody was asked, and it is whose it was
                when it was last noted. One that never was is not counted, and the numbers say that there are more.
            session_key: tells the session from all others, e.g. its id; only a keyed hash of it is kept. Empty,
                and no principal: there is a session of which nothing is known.
        """
        generation = self._judge.generation
        if principal is None:
            notes = self._notes
            if (session_key, None, False, generation) not in notes.remembered:
                notes.note(session_key, user_id=None, is_admin=False, generation=generation)
        else:
            self._notes.note(session_key, user_id=principal.user_id, is_admin=principal.is_admin, generation=generation)

    def log_invalidated(self, principal: Principal, *, reason: str | None = None) -> None:
        """Log that a session of this user was found to be over; at most 100 lines a second, the rest is summed up.

        Args:
            principal: whose session it was.
            reason: why, in a word; ``None``: ``maintenance_activation``, or ``ended_by_operator`` if no window did it.
        """
        self._notes.log_invalidated(principal.user_id, reason or self._reason(principal.user_id))

    def _reason(self, user_id: str) -> str:
        epoch = self._runtime.gate.snapshot.state.sessions
        if any(user.user_id == user_id for user in epoch.users):
            return OPERATOR
        return OPERATOR if epoch.valid_after is not None and epoch.window_id is None else MAINTENANCE

    @cached_property
    def _judge(self) -> SessionJudge:
        from ..gate.sessions import SessionJudge  # noqa: PLC0415 - a command judges no session

        return SessionJudge(self._runtime.gate)

    @cached_property
    def _notes(self) -> SessionNotes:
        runtime, gate = self._runtime, self._runtime.gate
        settings = runtime.settings
        notes = SessionNotes(
            items=runtime.store.items,
            secret=next(iter(settings.secret_keys), f"sessions of {settings.service_name}").encode()[:64],
            epoch=lambda: gate.snapshot.state.sessions,
            worker_id=lambda: (
                None if runtime.agent is None or runtime.agent.worker is None else runtime.agent.worker.id
            ),
            monotonic=runtime.clock.monotonic,
        )
        if runtime.agent is not None:
            runtime.agent.on_turn, runtime.agent.on_stop = notes.turn, notes.flush
        return notes
