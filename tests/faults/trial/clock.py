"""A wall clock that the nemesis steps: the machine's, and the offset in a file."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

from quiesce import SystemClock


class SteppedClock(SystemClock):
    """The clock of the processes that share the file."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def now(self) -> datetime:
        """Return the wall clock's time (UTC), as it was set."""
        return super().now() + timedelta(seconds=float(self._path.read_text(encoding="ascii")))


def set_offset(path: Path, seconds: float) -> None:
    """Set the clock of these processes forward or back, at once."""
    fresh = path.with_suffix(".new")
    fresh.write_text(str(seconds), encoding="ascii")
    os.replace(fresh, path)  # noqa: PTH105 - one step, so that no reader finds half a number
