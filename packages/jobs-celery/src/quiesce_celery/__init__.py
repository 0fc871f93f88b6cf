"""Quiesce for Celery on Redis: tasks are held back, counted, ended with a ledger, and put back once."""

from __future__ import annotations

from ._version import __version__
from .connecting import configure
from .entering import StoppedForMaintenanceError, stopping
from .hooks import hold_jobs, job_counts, restore_jobs, stop_jobs
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
