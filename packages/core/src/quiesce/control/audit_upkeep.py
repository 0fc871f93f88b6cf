"""What the leading worker does about the audit trail: drops what is older than ``MAINTENANCE_AUDIT_RETENTION``."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

from ..model import QuiesceError
from .audit import AuditDesk
from .runtime import Runtime
from .writing import CommandWriter

_EVERY_SECONDS = 3600.0
_SPARE = timedelta(days=1)
"""How much older the oldest record gets, so that the trail is read whole and cut once a day."""

logger = logging.getLogger("quiesce")


class AuditUpkeep:
    """Looks once an hour, on a thread of its own; a broken trail is left as it is, with an error in the log."""

    def __init__(self, runtime: Runtime) -> None:
        self._retention = runtime.settings.audit_retention
        self._desk = AuditDesk(runtime, writer=CommandWriter(runtime))
        self._clock = runtime.clock
        self._look_at = self._clock.monotonic() + runtime.settings.cleanup_interval.total_seconds()
        self._thread: threading.Thread | None = None
        self._is_stopping = False

    def step(self, *, actor: str) -> None:
        """Start what is due, unless it is being done already; returns at once."""
        now = self._clock.monotonic()
        is_running = self._thread is not None and self._thread.is_alive()
        if self._retention is None or self._is_stopping or is_running or now < self._look_at:
            return
        self._look_at = now + _EVERY_SECONDS
        self._thread = threading.Thread(
            target=self._prune, args=(self._retention, actor), name="quiesce-audit", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Start nothing more; what runs is left to its end, or to that of the process."""
        self._is_stopping = True

    def _prune(self, retention: timedelta, actor: str) -> None:
        before = self._clock.now() - retention
        try:
            oldest = next(self._desk.records(), None)
            if oldest is not None and oldest.at < before - _SPARE:
                self._desk.prune(before=before, actor=actor, source="agent")
        except QuiesceError as exc:
            if not self._is_stopping:
                logger.error("old audit records are kept for now: %s", exc)
