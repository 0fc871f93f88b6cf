"""What the views of both applications share: they say when a view begins and ends, from the inside."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quiesce import EnhancedMaintenanceModeService, Principal

from .clock import SteppedClock
from .history import Began, Ended, Recorder, now
from .mistakes import make_mistake

FOLDER = "TRIAL_FOLDER"
CLOCK = "TRIAL_CLOCK"
MISTAKE = "TRIAL_MISTAKE"
OP = "X-Op"
PID = "X-Pid"
ADMIN = "root"

_recorder = Recorder(Path(os.environ[FOLDER]))


@contextmanager
def viewing(kind: str, *, op: str, user: str | None) -> Iterator[None]:
    """Record the span of one view."""
    _recorder.record(Began(at=now(), pid=os.getpid(), op=op, kind=kind, is_admin=user == ADMIN))
    try:
        yield
    finally:
        _recorder.record(Ended(at=now(), pid=os.getpid(), op=op))


def service() -> EnhancedMaintenanceModeService:
    """Return the service of this process, with the mistake that the test asks for, if any."""
    mistake = os.environ.get(MISTAKE)
    if mistake:
        make_mistake(mistake, folder=Path(os.environ[FOLDER]))
    return EnhancedMaintenanceModeService(clock=SteppedClock(Path(os.environ[CLOCK])))


def principal(user: str | None) -> Principal | None:
    """Return who the cookie names."""
    return None if user is None else Principal(user, is_admin=user == ADMIN)
