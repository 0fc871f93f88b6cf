"""Quiesce for Celery on Redis: tasks are held back, counted, ended with a ledger, and put back once."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__
from .hooks import hold_jobs, job_counts, restore_jobs, stop_jobs

if TYPE_CHECKING:
    from .connecting import configure
    from .entering import StoppedForMaintenanceError, stopping
    from .installing import init_app

__all__ = [
    "StoppedForMaintenanceError",
    "__version__",
    "configure",
    "hold_jobs",
    "init_app",
    "job_counts",
    "restore_jobs",
    "stop_jobs",
    "stopping",
]

_ROOMS = {
    "StoppedForMaintenanceError": ".entering",
    "configure": ".connecting",
    "init_app": ".installing",
    "stopping": ".entering",
}

if not TYPE_CHECKING:  # a type checker is to find names that are not there

    def __getattr__(name: str) -> object:
        # The core imports every installed plugin; a worker that nobody told of Celery must not pay for it.
        if name not in _ROOMS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_ROOMS[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
