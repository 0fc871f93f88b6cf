"""Quiesce for RQ: new jobs are held back, those that run are counted, ended with a ledger, and put back once."""

from __future__ import annotations

from ._version import __version__
from .connecting import configure
from .ending import StoppedForMaintenanceError, stopping
from .guarding import GuardedQueue
from .hooks import hold_jobs, job_counts, restore_jobs, stop_jobs

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
