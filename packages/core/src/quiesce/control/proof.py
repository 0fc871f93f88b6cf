"""Gathering what the verdict is drawn from, and waiting for it."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from ..gate import is_gone, this_machine
from ..model import QuiescenceReport, StoreError, WorkerReport
from .job_sources import read_sources
from .quiescence import judge_quiescence

if TYPE_CHECKING:
    from .runtime import Runtime

_STEP_SECONDS = 0.01


def prove(runtime: Runtime, *, expected_workers: int) -> QuiescenceReport:
    """Return the verdict of now, after mending what an operator who died halfway may have left behind."""
    state = runtime.committer.load()  # before the workers are listed: see protocol rule 4
    runtime.committer.publish(state)
    workers = listed_workers(runtime)
    job_sources = read_sources(runtime.store.items)
    return judge_quiescence(
        state,
        workers,
        now=runtime.clock.now(),
        store_age=runtime.store.age(),
        gone_after=runtime.settings.worker_gone_after.total_seconds(),
        expected_workers=expected_workers,
        job_sources=job_sources,
    )


def listed_workers(runtime: Runtime) -> list[WorkerReport]:
    """Return the reports of the workers, after taking off the list whoever is known to be gone.

    Raises:
        StoreError: the store does not answer.
    """
    machine = this_machine()
    workers = []
    for report in runtime.store.workers():
        if is_gone(report.worker, machine=machine):
            runtime.store.deregister(report.worker.id)
        else:
            workers.append(report)
    return workers


def wait_for_proof(runtime: Runtime, *, timeout: timedelta, expected_workers: int) -> QuiescenceReport:
    """Return the first verdict that says quiesced, or the last one when the time is up."""
    deadline = time.monotonic() + timeout.total_seconds()
    while True:
        try:
            report = prove(runtime, expected_workers=expected_workers)
            if report.quiesced or time.monotonic() >= deadline:
                return report
        except StoreError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(_STEP_SECONDS)
