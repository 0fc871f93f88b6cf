"""Quiesce for RQ: new jobs are held back, those that run are counted, ended with a ledger, and put back once."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__
from .hooks import hold_jobs, job_counts, restore_jobs, stop_jobs

if TYPE_CHECKING:
    from .connecting import configure
    from .ending import StoppedForMaintenanceError, stopping
    from .guarding import GuardedQueue

__all__ = [
    "GuardedQueue",
    "StoppedForMaintenanceError",
    "__version__",
    "configure",
    "hold_jobs",
    "job_counts",
    "restore_jobs",
    "stop_jobs",
    "stopping",
]

_ROOMS = {
    "GuardedQueue": ".guarding",
    "StoppedForMaintenanceError": ".ending",
    "configure": ".connecting",
    "stopping": ".ending",
}

if not TYPE_CHECKING:  # a type checker is to find names that are not there

    def __getattr__(name: str) -> object:
        # The core imports every installed plugin; a worker that nobody told of RQ must not pay 9 MB for it.
        if name not in _ROOMS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_ROOMS[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
