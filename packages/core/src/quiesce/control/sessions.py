"""Sessions during maintenance: which count, who may log in, and ending them, whatever their number, by one write."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime, timedelta

from ..clock import SystemClock
from ..model import (
    ActiveSession,
    InvalidValueError,
    MaintenanceState,
    MaintenanceWindow,
    Mode,
    NoOpenWindowError,
    OperationType,
    SessionDeletion,
    SessionEpoch,
    SessionHealth,
    SessionPolicy,
    SessionStats,
    StoreError,
    WindowOpenError,
    effective,
)
from .commands import EnableCommand
from .journal import Journal
from .runtime import Runtime, settings_of
from .session_checks import SessionChecks
from .session_deletions import SessionDeletions
from .session_index import MOST_LISTED, SessionIndex
from .validation import check_actor, check_duration, check_reason, check_user
from .window_changes import enabled, ended
from .writing import CommandWriter

LATELY = timedelta(minutes=15)
"""Within which a session counts as active, unless something else is asked for."""

_LOGINS = frozenset({OperationType.AUTHENTICATION.name})


class MaintenanceSessionManager(SessionChecks):
    """Ends sessions, counts them, and says which count; reached as ``service.sessions``, or made from a configuration.

    Args:
        config: as of ``EnhancedMaintenanceModeService``; for one that is not reached by a service. Close it then.
        runtime: of the service.
        writer: of the service.
    """

    def __init__(
        self, config: object | None = None, *, runtime: Runtime | None = None, writer: CommandWriter | None = None
    ) -> None:
        runtime = runtime or Runtime(settings_of(config), clock=SystemClock(), framework="python")
        super().__init__(runtime)
        self._writer = writer or CommandWriter(runtime)
        self._index = SessionIndex(runtime.store.items)
        self._deletions = SessionDeletions(runtime.store.items)

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

    def end_user(self, user_id: str, *, actor: str, source: str = "api") -> SessionEpoch:
        """End the sessions of one user; of an admin they go on, as long as the application says that they are one."""
        return self.invalidate(user_id=user_id, actor=actor, source=source)

    def prevent_logins(
        self, *, reason: str, timeout: timedelta | float | None = None, actor: str, source: str = "api"
    ) -> MaintenanceWindow:
        """Let nobody but admins log in, and leave everything else alone; return the window that does it.

        Args:
            reason: what users and the audit trail are told.
            timeout: after which it is over by itself; ``MAINTENANCE_DEFAULT_TIMEOUT`` unless given.
            actor: who asks.
            source: through what.

        Raises:
            InvalidValueError: something asked for is not valid.
            WindowOpenError: a window that does just that is open already.
            StoreError: the store does not answer.
        """
        settings = self._runtime.settings
        command = EnableCommand(
            window_id=os.urandom(4).hex(),
            mode=Mode.NORMAL,
            reason=check_reason(reason),
            owner=check_actor(actor),
            duration=None,
            timeout=check_duration("timeout", timeout),
            default_timeout=settings.default_timeout,
            operations=_LOGINS,
            notify_users=True,
            may_overlap=True,
            sessions=SessionPolicy.KEEP,
        )

        def change(state: MaintenanceState, now: datetime, journal: Journal) -> MaintenanceState:
            for window in _login_windows(state, now):
                raise WindowOpenError(
                    f"logins are prevented already, by window {window.id}: {window.reason}", window.id
                )
            return enabled(state, command, now=now, journal=journal, keep_ended=settings.cleanup_interval)

        state = self._writer.commit(change, actor=command.owner, source=source, adds=True)
        return next(window for window in state.windows if window.id == command.window_id)

    def restore_logins(self, *, actor: str, source: str = "api") -> tuple[MaintenanceWindow, ...]:
        """End the windows that prevent logins and do nothing else; return them.

        Raises:
            NoOpenWindowError: there is none; says which other window refuses logins, if one does.
            StoreError: the store does not answer.
        """
        ids: list[str] = []

        def change(state: MaintenanceState, now: datetime, journal: Journal) -> MaintenanceState:
            ids[:] = [window.id for window in _login_windows(state, now)]
            if not ids:
                refusing = effective(state, now).refusing_logins
                other = "" if refusing is None else f"; {refusing.mode} window {refusing.id} refuses them: disable it"
                raise NoOpenWindowError(f"no window is open that only prevents logins{other}")
            for id_ in ids:
                state, _ = ended(state, window_id=id_, end_all=False, now=now, journal=journal)
            return state

        state = self._writer.commit(change, actor=check_actor(actor), source=source)
        return tuple(window for window in state.windows if window.id in ids)

    def stats(self, *, within: timedelta | float = LATELY) -> SessionStats:
        """Return how many sessions of users and of admins were active within this span, as the index has it.

        Raises:
            InvalidValueError: the span is not valid.
            StoreError: the store does not answer.
        """
        span = check_duration("within", within) or LATELY
        epoch = self._runtime.committer.load().sessions
        return self._index.stats(epoch, now=self._runtime.clock.now(), within=span)

    def list(self, *, limit: int = 100, skip: int = 0) -> tuple[ActiveSession, ...]:
        """Return the sessions of the index, the one that was active last first; those that were ended are marked.

        Args:
            limit: at most so many; up to 1,000.
            skip: leave out so many; the list reaches back 10,000.

        Raises:
            InvalidValueError: a number is out of range.
            StoreError: the store does not answer.
        """
        if not 1 <= limit <= 1000:
            raise InvalidValueError("limit", "must be a number of sessions from 1 to 1000")
        if not 0 <= skip <= MOST_LISTED - limit:
            raise InvalidValueError("skip", f"must be 0 or more, and end with the limit at {MOST_LISTED}")
        return self._index.list(self._runtime.committer.load().sessions, limit=limit, skip=skip)

    def note_deletion(self, deletion: SessionDeletion) -> None:
        """Say how far a plugin is with what it deletes in ``on_session_invalidate``, in place of what it said before.

        Raises:
            StoreError: the store does not answer.
        """
        self._deletions.note(deletion)

    def deletions(self) -> tuple[SessionDeletion, ...]:
        """Return how far each plugin said to be, the last of each.

        Raises:
            StoreError: the store does not answer.
        """
        return self._deletions.all()

    def health_check(self) -> SessionHealth:
        """Return whether the store answers, and what is known then; never raises for a store out of reach."""
        store = self._runtime.store
        is_stale = self._runtime.agent is not None and self._runtime.gate.is_stale
        try:
            epoch = self._runtime.committer.load().sessions
            return SessionHealth(
                is_ok=True,
                store=store.url,
                generation=epoch.generation,
                valid_after=epoch.valid_after,
                indexed=self._index.count(),
                is_tracked=self._index.is_tracked(),
                is_stale=is_stale,
                deletions=self._deletions.all(),
            )
        except StoreError as exc:
            return SessionHealth(is_ok=False, store=store.url, problem=str(exc), is_stale=is_stale)

    def close(self) -> None:
        """Release the store; only for a manager that was made from a configuration."""
        self._runtime.close()


def _login_windows(state: MaintenanceState, now: datetime) -> list[MaintenanceWindow]:
    """Return what is open to prevent logins, and for nothing else."""
    return [
        window
        for window in effective(state, now).windows
        if window.mode is Mode.NORMAL
        and window.operations == _LOGINS
        and window.session_policy is SessionPolicy.KEEP
        and window.lease is None
    ]
