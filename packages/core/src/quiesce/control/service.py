"""The service: every command on maintenance, and the only writer of the state."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

from ..clock import Clock, SystemClock
from ..gate import Gate, Guard, MaintenanceOperationClassifier
from ..model import (
    AuditRecord,
    CountKey,
    Decision,
    InvalidValueError,
    MaintenanceState,
    MaintenanceWindow,
    Mode,
    OperationType,
    QuiescenceReport,
)
from ..plugins import PluginManager
from ..settings import Settings
from ..stores import Store
from .audit import record_command, record_opening
from .commands import EnableCommand, choose_open, extend_window, open_window, with_windows
from .committing import SPARE_BYTES, Change
from .lifecycle import forgettable
from .proof import prove, wait_for_proof
from .runtime import Runtime
from .status import MaintenanceStatus, describe_status
from .validation import check_actor, check_duration, check_mode, check_operations, check_reason


class EnhancedMaintenanceModeService:
    """Commands on maintenance, and questions about it; safe to share between threads.

    Args:
        config: ``Settings``, or any object or mapping that holds settings under their environment names; ``None``:
            the environment and the TOML file.
        store: instead of the one that the settings name.
        plugins: instead of the installed ones.
        clock: for tests.
        framework: what this process runs, shown in reports.

    Raises:
        SettingsError: settings are wrong; every fault is listed.
        StoreURLError: the store's address names no store that can work.
    """

    def __init__(
        self,
        config: object | None = None,
        *,
        store: Store | None = None,
        plugins: PluginManager | None = None,
        clock: Clock | None = None,
        framework: str = "python",
    ) -> None:
        if config is None:
            settings = Settings.load()
        else:
            settings = config if isinstance(config, Settings) else Settings.from_config(config)
        self._runtime = Runtime(
            settings, clock=clock or SystemClock(), store=store, plugins=plugins, framework=framework
        )

    # -- parts

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._runtime.settings

    @property
    def store(self) -> Store:
        """The store that this service writes to."""
        return self._runtime.store

    @property
    def gate(self) -> Gate:
        """The gate of this process, for adapters."""
        return self._runtime.gate

    @property
    def classifier(self) -> MaintenanceOperationClassifier:
        """The classifier, to which an application adds its rules."""
        return self._runtime.classifier

    def adopt_framework(self, framework: str) -> None:
        """Say what this process runs; for adapters, before the first request."""
        self._runtime.adopt_framework(framework)

    def start(self) -> None:
        """Register this process as a worker now rather than at its first request; may wait for the store, bounded."""
        self.gate.revive()

    def stop(self) -> None:
        """Take this process off the list of workers; it comes back with its next request."""
        if self._runtime.agent is not None:
            self._runtime.agent.stop()

    # -- commands

    def enable(
        self,
        *,
        reason: str,
        mode: Mode | str = Mode.NORMAL,
        duration: timedelta | float | None = None,
        timeout: timedelta | float | None = None,
        operations: Iterable[OperationType | str] | None = None,
        actor: str,
        source: str = "api",
        notify_users: bool = True,
    ) -> MaintenanceWindow:
        """Open a window now, and return it once it is committed and shown to this machine.

        Args:
            reason: what users and the audit trail are told; 1 to 1,000 printable characters.
            mode: ``normal``, ``emergency`` or ``test``.
            duration: estimate, as a span or in seconds; ends nothing.
            timeout: after which the window is over by itself; not before the estimate. Without one it is
                ``MAINTENANCE_DEFAULT_TIMEOUT``, or none at all for an emergency.
            operations: the types to cover; ``None``: the mode's default.
            actor: who asks.
            source: through what: ``cli``, ``http``, ``api``.
            notify_users: whether users are told.

        Raises:
            InvalidValueError: something asked for is not valid; nothing changed.
            WindowOpenError: a window of this mode is open already.
            StoreError: the store does not answer.
        """
        command = EnableCommand(
            window_id=secrets.token_hex(4),
            mode=check_mode(mode),
            reason=check_reason(reason),
            owner=check_actor(actor),
            duration=check_duration("duration", duration),
            timeout=check_duration("timeout", timeout),
            default_timeout=self.settings.default_timeout,
            operations=self._check_operations(operations),
            notify_users=notify_users,
        )

        def change(state: MaintenanceState) -> tuple[MaintenanceState, list[AuditRecord]]:
            now = self._runtime.clock.now()
            window = open_window(state, command, now=now)
            over = forgettable(state, now, keep_ended=self.settings.cleanup_interval)  # no worker may be there to do it
            kept = replace(state, windows=tuple(window for window in state.windows if window.id not in over))
            return with_windows(kept, [window]), [record_opening(state, window, source=source)]

        return self._commit(change, [command.window_id], spare_bytes=SPARE_BYTES)[0]

    def disable(
        self, *, window_id: str | None = None, end_all: bool = False, actor: str, source: str = "api"
    ) -> tuple[MaintenanceWindow, ...]:
        """End the open window, the one named, or all; return those that were ended.

        Raises:
            NoOpenWindowError: none is open, or not the one named.
            AmbiguousWindowError: several are open, and none was named.
            StoreError: the store does not answer.
        """
        actor = check_actor(actor)
        ids: list[str] = []

        def change(state: MaintenanceState) -> tuple[MaintenanceState, list[AuditRecord]]:
            now = self._runtime.clock.now()
            windows = choose_open(state, now=now, window_id=window_id, choose_all=end_all)
            ids[:] = [window.id for window in windows]
            ended = [replace(window, ended_at=now) for window in windows]
            records = [
                record_command("window.ended", state, window, at=now, actor=actor, source=source) for window in windows
            ]
            return with_windows(state, ended), records

        return self._commit(change, ids)

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
        actor = check_actor(actor)
        span = check_duration("by", by)
        if span is None:
            raise InvalidValueError("by", "must be given")
        ids: list[str] = []

        def change(state: MaintenanceState) -> tuple[MaintenanceState, list[AuditRecord]]:
            now = self._runtime.clock.now()
            (window,) = choose_open(state, now=now, window_id=window_id)
            ids[:] = [window.id]
            extended = extend_window(window, by=span)
            detail = f"by {span.total_seconds():g} s"
            return with_windows(state, [extended]), [
                record_command("window.extended", state, window, at=now, actor=actor, source=source, detail=detail)
            ]

        return self._commit(change, ids)[0]

    # -- questions

    def get_maintenance_status(self) -> MaintenanceStatus:
        """Return the status: in a worker what it applies, elsewhere what the store holds; reads no plugin.

        Raises:
            StoreError: this process is no worker, and the store does not answer.
        """
        agent = self._runtime.agent
        operations = self._runtime.known_operations.values()
        now = self._runtime.clock.now()
        if agent is not None and agent.worker is not None:
            gate = self._runtime.gate
            return describe_status(
                gate.renew().state,
                now=now,
                operations=operations,
                is_stale=gate.is_stale,
                is_enforcing=self.settings.enabled,
            )
        return describe_status(self._runtime.committer.load(), now=now, operations=operations, is_stale=False)

    def blocked_counts(self) -> Mapping[CountKey, int]:
        """Return how often what was refused, passed or would have been, over all workers.

        Raises:
            StoreError: the store does not answer.
        """
        return self.store.counts()

    def quiescence(self, *, expected_workers: int = 1) -> QuiescenceReport:
        """Return whether the system is quiet now, computed anew from the store.

        Args:
            expected_workers: how many must confirm at least; with none at all nothing is proved, unless 0 is asked for.

        Raises:
            StoreError: the store does not answer; nothing is known then, and unknown is not quiet.
        """
        return prove(self._runtime, expected_workers=expected_workers)

    def wait_until_quiesced(self, *, timeout: timedelta, expected_workers: int = 1) -> QuiescenceReport:
        """Return the first report that says quiesced, or the last one when the time is up.

        Raises:
            StoreError: the store did not answer until the time was up.
        """
        return wait_for_proof(self._runtime, timeout=timeout, expected_workers=expected_workers)

    def explain(self, method: str, path: str) -> Decision:
        """Return what would be decided now on such a request from somebody who is no admin.

        Raises:
            StoreError: the store does not answer.
        """
        gate = self._runtime.gate
        gate.adopt(self._runtime.committer.load())
        return gate.explain(method.upper(), path)

    def guard(self, operation: OperationType | str) -> Guard:
        """Return a context manager and decorator for what only the code knows to be an operation of this type.

        Raises:
            InvalidValueError: no such type is known.
        """
        return Guard(self.gate, self.classifier.operation(operation))

    def close(self) -> None:
        """Take this process off the list of workers and release the store."""
        self._runtime.close()

    def _check_operations(self, operations: object) -> frozenset[str] | None:
        if isinstance(operations, Iterator):  # it is gone through twice
            operations = tuple(operations)
        try:
            return check_operations(operations, self._runtime.known_operations)
        except InvalidValueError:
            return check_operations(operations, self.classifier.operations)

    def _commit(self, change: Change, ids: list[str], *, spare_bytes: int = 0) -> tuple[MaintenanceWindow, ...]:
        """Commit, let this process apply it at once, and return the windows of these ids."""
        state = self._runtime.committer.commit(change, spare_bytes=spare_bytes)
        agent = self._runtime.agent
        if agent is not None:
            self._runtime.gate.adopt(state)
            agent.wake()
        return tuple(window for window in state.windows if window.id in ids)
