"""A clock that stands still until a test moves it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

NOON = datetime(2031, 5, 4, 12, 0, 0, tzinfo=UTC)


class FakeClock:
    """A ``quiesce.Clock`` for tests; may be moved and read from several threads.

    Args:
        start: what the wall clock shows first; with a time zone.
    """

    def __init__(self, start: datetime = NOON) -> None:
        self._lock = threading.Lock()
        self._now = start.astimezone(UTC)
        self._monotonic = 1000.0

    def now(self) -> datetime:
        """Return the wall clock's time (UTC)."""
        with self._lock:
            return self._now

    def monotonic(self) -> float:
        """Return seconds that ``step_wall`` does not move."""
        with self._lock:
            return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass, on both clocks.

        Raises:
            ValueError: time does not run backwards; ``step_wall`` sets the wall clock back.
        """
        if not seconds >= 0:
            raise ValueError(f"time cannot pass by {seconds} seconds; step_wall sets the wall clock back")
        with self._lock:
            self._now += timedelta(seconds=seconds)
            self._monotonic += seconds

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an administrator or NTP does; the monotonic clock goes on."""
        with self._lock:
            self._now += timedelta(seconds=seconds)
