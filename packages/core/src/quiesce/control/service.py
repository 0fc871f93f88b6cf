"""The service: every command on maintenance, and the only writer of the state."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ..model import (
    InvalidValueError,
    Lease,
    MaintenanceState,
    MaintenanceWindow,
    Mode,
    OperationType,
    QuiescenceReport,
    SessionPolicy,
    WorkerReport,
)
from .commands import EnableCommand, sessions_of
from .journal import Journal
from .questions import ServiceQuestions
from .roster import forget_worker
from .validation import (
    check_actor,
    check_duration,
    check_lease,
    check_mode,
    check_reason,
    check_session_policy,
    check_ticket,
)
from .window_changes import enabled, ended, extended, noted_quiesced

if TYPE_CHECKING:
    from .emergency import EmergencyMaintenanceHandler
    from .holding import HeldWindow


class EnhancedMaintenanceModeService(ServiceQuestions):
    """Commands on maintenance, and questions about it; safe to share between threads; made as ``ServiceParts`` says."""

    def enable(
        self,
        *,
        reason: str,
        mode: Mode | str = Mode.NORMAL,
        duration: timedelta | float | None = None,
        timeout: timedelta | float | None = None,
        operations: Iterable[OperationType | str] | None = None,
        allow: Iterable[OperationType | str] | None = None,
        actor: str,
        source: str = "api",
        notify_users: bool = True,
        ticket: str = "",
        overlap: bool = False,
        sessions: SessionPolicy | str | None = None,
        lease: Lease | None = None,
    ) -> MaintenanceWindow:
        """Open a window now, and return it once it is committed and shown to this machine.

        Args:
            reason: what users and the audit trail are told; 1 to 1,000 printable characters.
            mode: ``normal``, ``emergency`` or ``test``.
            duration: estimate, as a span or in seconds; ends nothing.
            timeout: after which the window is over by itself; not before the estimate. Without one it is
                ``MAINTENANCE_DEFAULT_TIMEOUT``, or none at all for an emergency and for what a program holds.
            operations: the types to cover; ``None``: the mode's default.
            allow: types that pass all the same.
            actor: who asks.
            source: through what: ``cli``, ``http``, ``api``.
            notify_users: whether users are told.
            ticket: a link or number.
            overlap: open it although another window of this mode is open.
            sessions: ``revoke``, ``suspend`` or ``keep`` those of everyone but admins; ``None``: revoke, or keep
                them if only chosen operations are covered, or in an emergency if
                ``EMERGENCY_MODE_SESSION_CLEANUP`` is false.
            lease: for a program that holds the window; see ``hold``.

        Raises:
            InvalidValueError: something asked for is not valid; nothing changed.
            WindowOpenError: a window of this mode is open already, and no overlap was asked for.
            StoreError: the store does not answer.
        """
        checked_mode = check_mode(mode)
        command = EnableCommand(
            window_id=os.urandom(4).hex(),
            mode=checked_mode,
            reason=check_reason(reason),
            owner=check_actor(actor),
            duration=check_duration("duration", duration),
            timeout=check_duration("timeout", timeout),
            default_timeout=self.settings.default_timeout,
            operations=self._writer.check_operations(operations, "operations"),
            notify_users=notify_users,
            allowed_operations=self._writer.check_operations(allow, "allow") or frozenset(),
            ticket=check_ticket(ticket),
            lease=None if lease is None else check_lease(lease),
            may_overlap=overlap,
            sessions=sessions_of(
                checked_mode,
                check_session_policy(sessions),
                emergencies_end_sessions=self.settings.emergency_session_cleanup,
            ),
        )

        keep = self.settings.cleanup_interval
        state = self._writer.commit(
            lambda state, now, journal: enabled(state, command, now=now, journal=journal, keep_ended=keep),
            actor=command.owner,
            source=source,
            adds=True,
            is_urgent=checked_mode is Mode.EMERGENCY,
        )
        return _named(state, [command.window_id])[0]

    @property
    def emergency(self) -> EmergencyMaintenanceHandler:
        """Begins emergencies, tells how far their steps are, and ends them by their checklist."""
        from .emergency import EmergencyMaintenanceHandler  # noqa: PLC0415 - few commands are about an emergency

        return EmergencyMaintenanceHandler(self._runtime, writer=self._writer, enable=self.enable)

    def hold(
        self,
        *,
        reason: str,
        mode: Mode | str = Mode.NORMAL,
        duration: timedelta | float | None = None,
        operations: Iterable[OperationType | str] | None = None,
        allow: Iterable[OperationType | str] | None = None,
        ticket: str = "",
        overlap: bool = False,
        sessions: SessionPolicy | str | None = None,
        notify_users: bool = True,
        lease_seconds: float = 30.0,
        release_on_failure: bool = False,
        holder: str | None = None,
        actor: str,
        source: str = "api",
    ) -> HeldWindow:
        """Open a window that this program holds; raises what ``enable`` raises.

        The window has no timeout. When its holder is lost it stays, announced, unless it is to be released.

        Args:
            reason: what users and the audit trail are told.
            mode: ``normal`` or ``emergency``; a ``test`` window refuses nothing.
            duration: estimate, as a span or in seconds; ends nothing.
            operations: the types to cover; ``None``: the mode's default.
            allow: types that pass all the same.
            ticket: a link or number.
            overlap: open it although another window of this mode is open.
            sessions: what becomes of the sessions of everyone but admins; ``None``: they are kept.
            notify_users: whether users are told.
            lease_seconds: after so long without a renewal the holder is taken for lost; at least 6.
            release_on_failure: whether the window ends when the holder fails or is lost.
            holder: what others are told of who holds it; ``None``: the actor and this process.
            actor: who asks.
            source: through what: ``cli``, ``http``, ``api``.
        """
        from .holding import HeldWindow, describe_holder  # noqa: PLC0415 - few processes hold a window

        name = describe_holder(check_actor(actor)) if holder is None else holder
        window = self.enable(
            reason=reason,
            mode=mode,
            duration=duration,
            operations=operations,
            allow=allow,
            ticket=ticket,
            overlap=overlap,
            sessions=sessions,
            notify_users=notify_users,
            lease=Lease(holder=name, seconds=lease_seconds, releases=release_on_failure),
            actor=actor,
            source=source,
        )
        return HeldWindow(self._runtime, self._writer, window=window, actor=window.owner, source=source)

    def disable(
        self, *, window_id: str | None = None, end_all: bool = False, actor: str, source: str = "api"
    ) -> tuple[MaintenanceWindow, ...]:
        """End the open window, the one named, or all; return those that were ended.

        Raises:
            NoOpenWindowError: none is open, or not the one named.
            AmbiguousWindowError: several are open, and none was named.
            StoreError: the store does not answer.
        """
        ids: list[str] = []

        def change(state: MaintenanceState, now: datetime, journal: Journal) -> MaintenanceState:
            state, ids[:] = ended(state, window_id=window_id, end_all=end_all, now=now, journal=journal)
            return state

        return _named(self._writer.commit(change, actor=check_actor(actor), source=source), ids)

    def extend(
        self, *, by: timedelta | float, window_id: str | None = None, actor: str, source: str = "api"
    ) -> MaintenanceWindow:
        """Move the estimate and the timeout of the open window, or of the one named; return it.

        Raises:
            InvalidValueError: the span is not valid, or the window has nothing to move.
            NoOpenWindowError: none is open, or not the one named.
            AmbiguousWindowError: several are open, and none was named.
            StoreError: the store does not answer.
        """
        span = check_duration("by", by)
        if span is None:
            raise InvalidValueError("by", "must be given")
        ids: list[str] = []

        def change(state: MaintenanceState, now: datetime, journal: Journal) -> MaintenanceState:
            state, ids[:] = extended(state, window_id=window_id, by=span, now=now, journal=journal)
            return state

        return _named(self._writer.commit(change, actor=check_actor(actor), source=source), ids)[0]

    def forget_worker(self, worker_id: str, *, actor: str, source: str = "api") -> WorkerReport:
        """Take a worker that fell silent off the list, and return its last report.

        Raises:
            ConflictError: no such worker is listed, or it was heard of lately.
            StoreError: the store does not answer.
        """
        actor = check_actor(actor)
        return forget_worker(self._runtime, self._writer, worker_id=worker_id, actor=actor, source=source)

    def note_quiesced(self, report: QuiescenceReport, *, actor: str, source: str = "api") -> None:
        """Raise ``quiesced`` for the windows that this proof is about, unless that was done already.

        Raises:
            InvalidValueError: the report does not say quiesced.
            StoreError: the store does not answer.
        """
        if not report.quiesced:
            raise InvalidValueError("report", "does not say that the system is quiet")
        quiet = {window.id for window in report.windows}
        self._writer.commit(
            lambda state, now, journal: noted_quiesced(state, quiet=quiet, now=now, journal=journal),
            actor=check_actor(actor),
            source=source,
        )


def _named(state: MaintenanceState, ids: Sequence[str]) -> tuple[MaintenanceWindow, ...]:
    return tuple(window for window in state.windows if window.id in ids)
