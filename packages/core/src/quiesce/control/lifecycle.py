"""What the leading worker does as windows come and go: events, hooks, new recurrences, clean-up; once per cluster."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ..clock import Clock
from ..model import CountKey, EventKind, InvalidValueError, MaintenanceState, QuiesceError, effective
from .audit_facts import describe_counts
from .commands import without_expired_passes, without_windows
from .committing import Commit
from .hooks import HookRunner, due_hook
from .journal import Journal
from .lease_watch import LeaseWatch
from .refilling import fill, is_refill_due
from .transitions import due_transitions, raise_transitions

if TYPE_CHECKING:
    from ..plugins import PluginManager

_STOP_SECONDS = 5.0

logger = logging.getLogger("quiesce")


class Lifecycle:
    """Does what is due on a thread of its own, so that the agent's heartbeat never waits for a plugin or the store.

    Args:
        plugins: whose hooks run.
        commit: the one way into the store.
        clock: for what is due.
        hook_timeout: how long each plugin may take.
        keep_ended: how long windows that are over stay in the state.
        is_quiet: whether the system is quiet now; asked while a window waits to be told so.
        renewals: how often each lease was renewed.
        counts: what became of requests, for the audit trail.
    """

    def __init__(
        self,
        *,
        plugins: PluginManager,
        commit: Commit,
        clock: Clock,
        hook_timeout: timedelta,
        keep_ended: timedelta,
        is_quiet: Callable[[], bool] = lambda: False,
        renewals: Callable[[], Mapping[str, int]] = dict,
        counts: Callable[[], Mapping[CountKey, int]] = dict,
    ) -> None:
        self._commit = commit
        self._clock = clock
        self._keep_ended = keep_ended
        self._is_quiet = is_quiet
        self._renewals = renewals
        self._counts = counts
        self._hooks = HookRunner(plugins=plugins, commit=commit, clock=clock, timeout=hook_timeout)
        self._leases = LeaseWatch()
        self._unreadable: frozenset[str] = frozenset()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def step(self, state: MaintenanceState, *, actor: str) -> None:
        """Start what is due under this state, unless it is being done already; returns at once."""
        if self._stopping.is_set() or (self._thread is not None and self._thread.is_alive()):
            return
        if self._is_anything_due(state, self._clock.now()):
            thread = threading.Thread(target=self._run, args=(actor,), name="quiesce-lifecycle", daemon=True)
            thread.start()
            self._thread = thread  # only now may stop() wait for it

    def stop(self) -> None:
        """Let what runs come to its end, for a bounded time, and start nothing more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)

    def _is_anything_due(self, state: MaintenanceState, now: datetime) -> bool:
        judged = effective(state, now)
        return (
            any(EventKind.QUIESCED not in window.raised for window in judged.enforced)
            or any(window.lease is not None for window in judged.windows)
            or bool(due_transitions(state, now))
            or due_hook(state, now) is not None
            or bool(forgettable(state, now, keep_ended=self._keep_ended))
            or self._is_refill_due(state, now)
            or self._left(state, now) is not state
        )

    def _run(self, actor: str) -> None:
        if self._stopping.is_set():
            return
        try:
            state = self._commit(lambda _: None)  # the caller's state may be from before the last run's marks
            state = self._raise_events(state, actor)
            while not self._stopping.is_set() and (due := due_hook(state, self._clock.now())) is not None:
                state = self._hooks.run(state, *due, actor=actor)
            self._tidy(actor)
        except QuiesceError as exc:
            if not self._stopping.is_set():
                logger.error("events and hooks will be tried again: %s", exc)

    def _raise_events(self, state: MaintenanceState, actor: str) -> MaintenanceState:
        now = self._clock.now()
        open_ = effective(state, now)
        waiting = {window.id for window in open_.enforced if EventKind.QUIESCED not in window.raised}
        quiet = waiting if waiting and self._is_quiet() else frozenset()
        held = [window for window in open_.windows if window.lease is not None]
        lost = self._leases.look(held, self._renewals() if held else {}, now=self._clock.monotonic())

        def change(current: MaintenanceState) -> tuple[MaintenanceState, Journal] | None:
            due = due_transitions(current, now, quiet=quiet, lost=lost)
            if not due:
                return None
            journal = Journal(current, at=now, actor=actor, source="agent")
            raised = raise_transitions(current, due, journal=journal, now=now)
            return replace(raised, revision=current.revision + 1), journal

        return self._commit(change)

    def _tidy(self, actor: str) -> None:
        """Forget what is long over or expired, and work out the coming windows of schedules."""

        def change(current: MaintenanceState) -> tuple[MaintenanceState, Journal] | None:
            now = self._clock.now()
            ids = forgettable(current, now, keep_ended=self._keep_ended)
            left = self._left(current, now)
            if not ids and left is current and not self._is_refill_due(current, now):
                return None
            journal = Journal(current, at=now, actor=actor, source="agent")
            counts = self._counts() if ids else {}
            for id_ in ids:
                journal.note("window.forgotten", window_id=id_, detail=describe_counts(counts, window_id=id_))
            filled = self._refilled(without_windows(left, ids), now)
            is_changed = ids or left is not current or filled.schedules != current.schedules
            return (filled, journal) if is_changed else None

        self._commit(change)

    def _left(self, state: MaintenanceState, now: datetime) -> MaintenanceState:
        """Return the state without what has expired; not at once, so that many are forgotten in one commit."""
        return without_expired_passes(state, now - self._keep_ended)

    def _is_refill_due(self, state: MaintenanceState, now: datetime) -> bool:
        return any(
            schedule.id not in self._unreadable and is_refill_due(schedule, now=now) for schedule in state.schedules
        )

    def _refilled(self, state: MaintenanceState, now: datetime) -> MaintenanceState:
        schedules = []
        for schedule in state.schedules:
            try:
                schedules.append(fill(schedule, now=now))
            except InvalidValueError as exc:
                # Any 'quiesce' command and any worker that can read the rule does it instead.
                self._unreadable |= {schedule.id}
                logger.error("schedule %s gets no new windows from here: %s", schedule.id, exc)
                schedules.append(schedule)
        return replace(state, schedules=tuple(schedules))


def forgettable(state: MaintenanceState, now: datetime, *, keep_ended: timedelta) -> list[str]:
    """Return the ids of the windows that are long over, and for which no hook and no event is due any more.

    A recurrence that was cancelled stays until its time has come, or its rule would bring it back.
    """
    return [
        window.id
        for window in state.windows
        if window.closes_at is not None
        and max(window.closes_at, window.starts_at if window.schedule_id else window.closes_at) <= now - keep_ended
        and due_hook(MaintenanceState(state.revision, (window,)), now) is None
        and not due_transitions(MaintenanceState(state.revision, (window,)), now)
    ]
