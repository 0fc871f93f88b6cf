"""Taking a worker off the list by an operator's word, for whole machines that fell silent (protocol rule 6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from ..gate import LEASE_SECONDS
from ..model import ConflictError, MaintenanceState, WorkerReport
from .journal import Journal
from .runtime import Runtime
from .writing import CommandWriter


def forget_worker(runtime: Runtime, writer: CommandWriter, *, worker_id: str, actor: str, source: str) -> WorkerReport:
    """Note in the audit trail who says that the worker is gone, then take it off the list; return its last report."""
    report = next((each for each in runtime.store.workers() if each.worker.id == worker_id), None)
    if report is None:
        raise ConflictError(f"no worker {worker_id!r:.80} is listed")
    worker, age = report.worker, report.heartbeat_age
    # Until its lease is over it admits requests by what it knows; forgotten, it would do so beside a proof.
    if not age >= LEASE_SECONDS:
        raise ConflictError(f"worker {worker.id} was heard of {age:.1f} s ago; only a silent one can be forgotten")

    def change(state: MaintenanceState, _: datetime, journal: Journal) -> MaintenanceState:
        detail = f"{worker.id}: pid {worker.pid} on {worker.host}, silent for {age:.0f} s"
        journal.note("worker.forgotten", detail=detail)
        return replace(state)

    writer.commit(change, actor=actor, source=source)
    runtime.store.deregister(worker.id)
    return report
