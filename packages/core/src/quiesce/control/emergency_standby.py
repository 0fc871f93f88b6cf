"""Carries out an emergency's steps in the process that began it, as long as no worker lives that could."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING

from ..model import MaintenanceState, StoreError
from .emergency_notes import read_progress
from .emergency_steps import EmergencySteps
from .proof import listed_workers
from .quiescence import LATE_SECONDS

if TYPE_CHECKING:
    from .runtime import Runtime

PATIENCE_SECONDS = 3.0
"""So long a worker has to take the steps up; three heartbeats."""

_LOOK_SECONDS = 0.25

logger = logging.getLogger("quiesce")


class Standby:
    """Watches the emergencies that this process began; one for each runtime.

    Args:
        runtime: of this process.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._stopping = threading.Event()
        self._threads: dict[str, threading.Thread] = {}

    @classmethod
    def of(cls, runtime: Runtime) -> Standby:
        """Return the runtime's own."""
        if runtime.standby is None:
            runtime.standby = cls(runtime)
        return runtime.standby

    def attend(self, window_id: str) -> None:
        """Watch this emergency until its steps are done or it is over."""
        thread = threading.Thread(
            target=self._watch, args=(window_id,), name=f"quiesce-standby-{window_id}", daemon=True
        )
        self._threads[window_id] = thread
        thread.start()

    def stop(self) -> None:
        """Watch no longer."""
        self._stopping.set()
        for thread in self._threads.values():
            thread.join(2 * _LOOK_SECONDS)

    def _watch(self, window_id: str) -> None:
        steps = EmergencySteps(self._runtime)
        began = time.monotonic()
        trouble = ""
        try:
            while not self._stopping.wait(_LOOK_SECONDS):
                try:
                    if not self._look(window_id, steps, waited_seconds=time.monotonic() - began):
                        return
                except StoreError as exc:
                    if str(exc) != trouble and not self._stopping.is_set():
                        trouble = str(exc)
                        logger.error("steps of emergency %s wait for the store: %s", window_id, exc)
        finally:
            steps.stop()

    def _look(self, window_id: str, steps: EmergencySteps, *, waited_seconds: float) -> bool:
        """Carry on; return whether there is anything left to watch."""
        progress = read_progress(self._runtime.store.items, window_id)
        if progress is not None and progress.is_settled:
            return False
        state = self._runtime.committer.load()
        window = state.find(window_id)
        if window is None or not window.is_open(self._runtime.clock.now()):
            return False
        if waited_seconds >= PATIENCE_SECONDS and not self._does_any_worker_live():
            runner = f"command:{os.getpid()}@{os.uname().nodename}"
            steps.step(MaintenanceState(state.revision, (window,)), actor=runner)
        return True

    def _does_any_worker_live(self) -> bool:
        return any(0 <= report.heartbeat_age <= LATE_SECONDS for report in listed_workers(self._runtime))
