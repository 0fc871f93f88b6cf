"""Time, passed in as an argument so that tests can step it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol


class Clock(Protocol):
    """The two clocks that decisions are made by."""

    def now(self) -> datetime:
        """Return the wall clock's time (UTC); windows are judged against it."""

    def monotonic(self) -> float:
        """Return seconds that never go back and go on while the machine sleeps; leases are judged against it."""


class SystemClock:
    """The clocks of this machine."""

    def __init__(self) -> None:
        # CLOCK_MONOTONIC stands still during suspend, and a lease must not.
        boot_time = getattr(time, "CLOCK_BOOTTIME", None)
        self.monotonic = time.monotonic if boot_time is None else partial(time.clock_gettime, boot_time)

    def now(self) -> datetime:
        """Return the wall clock's time (UTC)."""
        return datetime.now(UTC)


def monotonic_reading(clock: Clock) -> tuple[Callable[[Any], float], Any]:
    """Return a function, and what to call it with to read the clock's monotonic time.

    That is what ``clock.monotonic()`` does, without the ``partial`` that a machine's clock puts between.
    """
    monotonic = clock.monotonic
    if isinstance(monotonic, partial) and len(monotonic.args) == 1 and not monotonic.keywords:
        return monotonic.func, monotonic.args[0]
    return (lambda _: monotonic()), None
