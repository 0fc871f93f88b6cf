"""What the leading worker does with job queues while a window refuses new jobs: it holds, counts, and lets go.

It happens once per cluster, on a thread of its own, so that neither heartbeat nor events wait for a plugin.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..clock import Clock
from ..model import JobHold, MaintenanceState, MaintenanceWindow, effective
from .job_answers import ask_for_counts, failures
from .job_sources import read_sources, refuses_jobs, write_answers, write_expected, write_held, write_released

if TYPE_CHECKING:
    from ..plugins import PluginManager
    from ..stores import Store

ANNOUNCE_SECONDS = 0.9
"""How often a leading worker says anew which plugins count jobs: a store that has lost that must know it again before a
verdict is drawn from it (``quiescence.SETTLE_SECONDS``). A heartbeat comes a little more often than once a second."""

_ASK_SECONDS = 0.9
"""A heartbeat comes a little more often than once a second, and each may ask."""
_AWAY_SECONDS = 3.0
"""Who did not lead for so long does not know what another leader did meanwhile."""
_FIRST_RETRY_SECONDS = 1.0
_LAST_RETRY_SECONDS = 30.0
_STOP_SECONDS = 5.0

logger = logging.getLogger("quiesce")


class JobQueues:
    """Holds and counts the jobs of all plugins.

    Args:
        plugins: whose queues there are.
        store: where it is written what they said.
        load: returns the committed state.
        clock: for windows and pauses.
        hook_timeout_seconds: how long each plugin may take to hold work back.
        is_enforcing: whether this service refuses anything at all.
    """

    def __init__(
        self,
        *,
        plugins: PluginManager,
        store: Store,
        load: Callable[[], MaintenanceState],
        clock: Clock,
        hook_timeout_seconds: float,
        is_enforcing: bool = True,
    ) -> None:
        self._plugins = plugins
        self._store = store
        self._load = load
        self._clock = clock
        self._hook_timeout_seconds = hook_timeout_seconds
        self._is_enforcing = is_enforcing
        self._counting = frozenset(plugins.implements("job_counts"))
        self._holding = frozenset(plugins.implements("hold_jobs"))
        self._thread: threading.Thread | None = None
        self._turn = threading.Lock()
        self._is_running = self._is_asked_again = False
        self._stopping = threading.Event()
        self._led: tuple[int, float] | None = None
        self._forget()

    def _forget(self) -> None:
        self._is_held: bool | None = None  # not known
        self._held: frozenset[str] = frozenset()
        self._asked_for: frozenset[str] = frozenset()
        self._announced_at = self._next_hold_at = self._asked_at = float("-inf")
        self._pause = _FIRST_RETRY_SECONDS

    def step(self, state: MaintenanceState) -> None:
        """Start what is due under this state, or have it looked at again by what runs already; returns at once."""
        if not (self._counting or self._holding) or self._stopping.is_set():
            return
        now, me = self._clock.monotonic(), os.getpid()
        if self._led is None or self._led[0] != me:  # a forked child has neither its parent's thread nor its lock
            self._turn, self._is_running, self._led = threading.Lock(), False, (me, float("-inf"))
        with self._turn:
            led_at, self._led = self._led[1], (me, now)
            if self._is_running:
                self._is_asked_again = True
                return
            if now - led_at > _AWAY_SECONDS:
                self._forget()
            if self._is_anything_due(self._windows(state), now):
                self._is_running = True
                thread = threading.Thread(target=self._run, name="quiesce-job-queues", daemon=True)
                thread.start()
                self._thread = thread  # only now may stop() wait for it

    def stop(self) -> None:
        """Let what runs come to its end, for a bounded time, and start nothing more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)

    def _windows(self, state: MaintenanceState) -> tuple[MaintenanceWindow, ...]:
        return refuses_jobs(effective(state, self._clock.now()).windows) if self._is_enforcing else ()

    def _is_anything_due(self, windows: Sequence[MaintenanceWindow], now: float) -> bool:
        if now - self._announced_at >= ANNOUNCE_SECONDS:
            return True
        if windows:
            return _ids(windows) != self._asked_for or now - self._asked_at >= _ASK_SECONDS
        return self._is_held is not False and now >= self._next_hold_at

    def _run(self) -> None:
        while True:
            try:
                self._do_what_is_due()
            except Exception as exc:  # noqa: BLE001 - a plugin's store may raise anything; what is due is tried again
                if not self._stopping.is_set():
                    logger.error("job queues will be asked again: %s", exc)
            with self._turn:
                if not self._is_asked_again or self._stopping.is_set():
                    self._is_running = False
                    return
                self._is_asked_again = False

    def _do_what_is_due(self) -> None:
        now = self._clock.monotonic()
        if now - self._announced_at >= ANNOUNCE_SECONDS:
            write_expected(self._store.items, self._counting)
            self._announced_at = now
        if self._is_held is None:
            self._is_held = read_sources(self._store.items).is_held
        windows = self._windows(self._load())
        if not self._is_anything_due(windows, now):
            return
        if windows:
            self._asked_at, self._asked_for = now, _ids(windows)
            self._hold(windows)
            self._count(windows)
        elif self._is_held and now >= self._next_hold_at:
            self._release()

    def _hold(self, windows: Sequence[MaintenanceWindow]) -> None:
        if not self._holding or (self._holding <= self._held):
            return
        now = self._clock.monotonic()
        if now < self._next_hold_at:
            return
        write_held(self._store.items)
        self._is_held = True
        hold = JobHold(is_on=True, window_ids=_ids(windows), reason=windows[0].reason)
        failed = failures(self._plugins.hold_jobs(hold, timeout_seconds=self._hook_timeout_seconds), "hold_jobs")
        self._held = self._holding - failed.keys()
        self._pace(is_done=not failed)

    def _count(self, windows: Sequence[MaintenanceWindow]) -> None:
        """Ask for counts, all after the hold, and write what was said."""
        answers = ask_for_counts(
            self._plugins,
            windows=_ids(windows),
            held_plugins=self._held,
            cannot_hold=self._counting - self._holding,
        )
        write_answers(self._store.items, answers)
        self._is_held = True
        # Somebody may have let the queue go behind our back, or it was restarted: hold it anew.
        unknown = {a.plugin for a in answers if a.problem or any(not _is_known(count) for count in a.counts)}
        if unknown & self._held and self._clock.monotonic() >= self._next_hold_at:
            self._held -= unknown
            self._pace(is_done=False)

    def _release(self) -> None:
        hold = JobHold(is_on=False)
        failed = failures(self._plugins.hold_jobs(hold, timeout_seconds=self._hook_timeout_seconds), "hold_jobs")
        self._held = self._asked_for = frozenset()
        if not failed:
            write_released(self._store.items, self._counting)
            self._is_held = False
        self._pace(is_done=not failed)

    def _pace(self, *, is_done: bool) -> None:
        if is_done:
            self._next_hold_at, self._pause = float("-inf"), _FIRST_RETRY_SECONDS
        else:
            self._next_hold_at = self._clock.monotonic() + self._pause
            self._pause = min(2 * self._pause, _LAST_RETRY_SECONDS)


def _ids(windows: Sequence[MaintenanceWindow]) -> frozenset[str]:
    return frozenset(window.id for window in windows)


def _is_known(count: object) -> bool:
    return getattr(count, "running", None) is not None and getattr(count, "reserved", None) is not None
