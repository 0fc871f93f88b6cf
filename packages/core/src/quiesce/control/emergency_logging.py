"""While an emergency is in force, a worker logs everything, and each of its lines says under which emergency."""

from __future__ import annotations

import logging
import os
import threading

from ..logs import quoted
from ..model import EffectiveMaintenance, MaintenanceWindow, Mode

LEVEL = logging.DEBUG

logger = logging.getLogger("quiesce")


class EmergencyLogging:
    """One worker's word on whether there is an emergency; several in a process share the one logger."""

    def __init__(self) -> None:
        self._heard: EffectiveMaintenance | None = None

    def hear(self, effective: EffectiveMaintenance) -> None:
        """Raise the level, or put it back, when what is in force says so."""
        if effective is self._heard:
            return
        self._heard = effective
        if effective.mode is Mode.EMERGENCY:
            _context.enter(self, effective.windows[0])
        else:
            _context.leave(self)

    def stop(self) -> None:
        """Put the level back, as far as it is up to this worker."""
        self._heard = None
        _context.leave(self)


class _Context(logging.Filter):
    """Puts the emergency into each record of the logger, and holds the level that the logger had before."""

    def __init__(self) -> None:
        super().__init__()
        self._windows: dict[EmergencyLogging, MaintenanceWindow] = {}
        self._level_before: int | None = None
        self.make_lock()

    def make_lock(self) -> None:
        self._lock = threading.Lock()

    def enter(self, worker: EmergencyLogging, window: MaintenanceWindow) -> None:
        with self._lock:
            is_first = not self._windows
            self._windows[worker] = window
            if is_first:
                logger.addFilter(self)
                if logger.getEffectiveLevel() > LEVEL:
                    self._level_before = logger.level
                    logger.setLevel(LEVEL)

    def leave(self, worker: EmergencyLogging) -> None:
        with self._lock:
            if self._windows.pop(worker, None) is None or self._windows:
                return
            logger.removeFilter(self)
            # Somebody who has set another level meanwhile wants that one.
            if self._level_before is not None and logger.level == LEVEL:
                logger.setLevel(self._level_before)
            self._level_before = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, with the emergency at the end of its line and among its facts."""
        window = next(iter(self._windows.copy().values()), None)
        if window is not None:
            suffix = f" emergency={quoted(window.id)}"
            record.msg = f"{record.msg}{suffix.replace('%', '%%') if record.args else suffix}"
            record.emergency_id = window.id
            record.emergency_reason = window.reason
        return True


_context = _Context()
os.register_at_fork(after_in_child=_context.make_lock)
