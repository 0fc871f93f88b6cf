"""What the leading worker does when windows open and end: hooks, log lines, clean-up; once per cluster.

A hook is marked as run in the state after it ran, so a leader that dies halfway leaves it to the next one: plugins may
be called again for the same window. One that opens and ends between two heartbeats, or unseen by any worker, has none.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ..clock import Clock
from ..logs import log_activated, log_deactivated
from ..model import AuditRecord, MaintenanceState, MaintenanceWindow, QuiesceError
from ..plugins import HookResult, PluginManager
from .commands import with_windows, without_windows

ON_ACTIVATE = "on_activate"
ON_DEACTIVATE = "on_deactivate"

Commit = Callable[[Callable[[MaintenanceState], tuple[MaintenanceState, list[AuditRecord]] | None]], MaintenanceState]

logger = logging.getLogger("quiesce")


class Lifecycle:
    """Runs what is due on a thread of its own, so that the agent's heartbeat never waits for a plugin."""

    def __init__(
        self,
        *,
        plugins: PluginManager,
        commit: Commit,
        clock: Clock,
        hook_timeout: timedelta,
        keep_ended: timedelta,
    ) -> None:
        self._plugins = plugins
        self._commit = commit
        self._clock = clock
        self._hook_timeout = hook_timeout
        self._keep_ended = keep_ended
        self._thread: threading.Thread | None = None

    def step(self, state: MaintenanceState, *, actor: str) -> None:
        """Start what is due under this state, unless it is being done already; returns at once."""
        if self._thread is not None and self._thread.is_alive():
            return
        now = self._clock.now()
        if due_hook(state, now) is None and not forgettable(state, now, keep_ended=self._keep_ended):
            return
        self._thread = threading.Thread(target=self._run, args=(actor,), name="quiesce-lifecycle", daemon=True)
        self._thread.start()

    def _run(self, actor: str) -> None:
        try:
            state = self._commit(lambda _: None)  # the caller's state may be from before the last run's marks
            while (due := due_hook(state, self._clock.now())) is not None:
                state = self._run_hook(state, *due, actor=actor)
            self._forget_ended(actor)
        except QuiesceError as exc:
            logger.error("hooks will be tried again: %s", exc)

    def _run_hook(
        self, state: MaintenanceState, window: MaintenanceWindow, hook: str, *, actor: str
    ) -> MaintenanceState:
        now = self._clock.now()
        if hook == ON_ACTIVATE:
            log_activated(reason=window.reason, mode=window.mode, window_id=window.id, actor=window.owner)
            results = self._plugins.on_activate(window, state, timeout_seconds=self._hook_timeout.total_seconds())
        else:
            ended = window.closes_at or now
            minutes = round((ended - window.starts_at).total_seconds() / 60)
            log_deactivated(minutes=minutes, window_id=window.id, actor=window.owner)
            results = self._plugins.on_deactivate(window, state, timeout_seconds=self._hook_timeout.total_seconds())
        for result in results:
            if not result.ok:
                logger.error("plugin %s: %s failed: %s", result.plugin, hook, result.error)

        def mark(current: MaintenanceState) -> tuple[MaintenanceState, list[AuditRecord]] | None:
            found = next((item for item in current.windows if item.id == window.id), None)
            if found is None or hook in found.hooks_run:
                return None
            marked = with_windows(current, [replace(found, hooks_run=found.hooks_run | {hook})])
            record = AuditRecord(
                at=now,
                actor=actor,
                source="agent",
                action=f"hook.{hook}",
                revision=marked.revision,
                window_id=window.id,
                detail=_describe(results),
            )
            return marked, [record]

        return self._commit(mark)

    def _forget_ended(self, actor: str) -> None:
        def forget(current: MaintenanceState) -> tuple[MaintenanceState, list[AuditRecord]] | None:
            now = self._clock.now()
            ids = forgettable(current, now, keep_ended=self._keep_ended)
            if not ids:
                return None
            left = without_windows(current, ids)
            records = [
                AuditRecord(
                    at=now,
                    actor=actor,
                    source="agent",
                    action="window.forgotten",
                    revision=left.revision,
                    window_id=id_,
                )
                for id_ in ids
            ]
            return left, records

        self._commit(forget)


def due_hook(state: MaintenanceState, now: datetime) -> tuple[MaintenanceWindow, str] | None:
    """Return a window and the hook that is to run for it now; a window that nobody saw open has none."""
    for window in state.windows:
        if window.is_open(now) and ON_ACTIVATE not in window.hooks_run:
            return window, ON_ACTIVATE
        if window.is_over(now) and ON_ACTIVATE in window.hooks_run and ON_DEACTIVATE not in window.hooks_run:
            return window, ON_DEACTIVATE
    return None


def forgettable(state: MaintenanceState, now: datetime, *, keep_ended: timedelta) -> list[str]:
    """Return the ids of the windows that have been over for so long and have no hook to run any more."""
    return [
        window.id
        for window in state.windows
        if window.closes_at is not None
        and window.closes_at <= now - keep_ended
        and due_hook(MaintenanceState(state.revision, (window,)), now) is None
    ]


def _describe(results: Sequence[HookResult]) -> str:
    if not results:
        return "no plugin implements it"
    return "; ".join(f"{r.plugin}: {'ok' if r.ok else r.error} in {r.seconds:.2f} s" for r in results)
