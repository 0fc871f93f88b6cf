"""Running ``on_activate`` and ``on_deactivate`` for a window, and marking in the state that they ran.

A hook is marked after it ran, so a leader that dies halfway leaves it to the next one: plugins may be called again for
the same window. A window that opens and ends between two heartbeats, or unseen by any worker, has none.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ..clock import Clock
from ..logs import log_activated, log_deactivated
from ..model import MaintenanceState, MaintenanceWindow
from .commands import with_windows
from .committing import Commit
from .journal import Journal

if TYPE_CHECKING:
    from ..plugins import HookResult, PluginManager

ON_ACTIVATE = "on_activate"
ON_DEACTIVATE = "on_deactivate"

logger = logging.getLogger("quiesce")


class HookRunner:
    """Runs one hook at a time, each plugin for at most ``timeout``."""

    def __init__(self, *, plugins: PluginManager, commit: Commit, clock: Clock, timeout: timedelta) -> None:
        self._plugins = plugins
        self._commit = commit
        self._clock = clock
        self._timeout_seconds = timeout.total_seconds()

    def run(self, state: MaintenanceState, window: MaintenanceWindow, hook: str, *, actor: str) -> MaintenanceState:
        """Run the hook for the window, and return the state with the mark that it ran.

        Raises:
            StoreError: the mark could not be written; the hook will run again.
        """
        now = self._clock.now()
        if hook == ON_ACTIVATE:
            log_activated(reason=window.reason, mode=window.mode, window_id=window.id, actor=window.owner)
            results = self._plugins.on_activate(window, state, timeout_seconds=self._timeout_seconds)
        else:
            ended = window.closes_at or now
            minutes = round((ended - window.starts_at).total_seconds() / 60)
            log_deactivated(minutes=minutes, window_id=window.id, actor=window.owner)
            results = self._plugins.on_deactivate(window, state, timeout_seconds=self._timeout_seconds)
        for result in results:
            if not result.ok:
                logger.error("plugin %s: %s failed: %s", result.plugin, hook, result.error)

        def mark(current: MaintenanceState) -> tuple[MaintenanceState, Journal] | None:
            found = current.find(window.id)
            if found is None or hook in found.hooks_run:
                return None
            journal = Journal(current, at=now, actor=actor, source="agent")
            journal.note(f"hook.{hook}", window_id=window.id, detail=_describe(results), result=result_of(results))
            return with_windows(current, [replace(found, hooks_run=found.hooks_run | {hook})]), journal

        return self._commit(mark)


def due_hook(state: MaintenanceState, now: datetime) -> tuple[MaintenanceWindow, str] | None:
    """Return a window and the hook that is to run for it now; a window that nobody saw open has none."""
    for window in state.all_windows():
        if window.is_open(now) and ON_ACTIVATE not in window.hooks_run:
            return window, ON_ACTIVATE
        if window.is_over(now) and ON_ACTIVATE in window.hooks_run and ON_DEACTIVATE not in window.hooks_run:
            return window, ON_DEACTIVATE
    return None


def result_of(results: Sequence[HookResult]) -> str:
    """Return what the audit trail says came of a hook."""
    return "done" if all(result.ok for result in results) else "failed"


def _describe(results: Sequence[HookResult]) -> str:
    if not results:
        return "no plugin implements it"
    return "; ".join(f"{r.plugin}: {'ok' if r.ok else r.error} in {r.seconds:.2f} s" for r in results)
