"""The checklist at the end of an emergency: what this program looks at, and what only a person can say."""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import TYPE_CHECKING

from ..model import CheckKind, JobFate, LedgerEntry, MaintenanceWindow, QuiescenceReport, RecoveryCheck, StoreError
from .job_ledger import JobLedger
from .proof import prove
from .quiescence import SETTLE_SECONDS, worker_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .runtime import Runtime

PROBES = "probes"
"""The collection in which the store shows that it keeps what it is given."""

_CONFIRMED_WITHIN = 1.0
_LOOK_SECONDS = 0.05


def recovery_checks(
    runtime: Runtime, window: MaintenanceWindow, *, threat_resolved: str, is_ledger_reviewed: bool
) -> tuple[RecoveryCheck, ...]:
    """Return every line, in the order in which they are told; what could not be looked at is not ok."""
    return (
        RecoveryCheck(
            name="threat_resolved",
            kind=CheckKind.ACKNOWLEDGED,
            is_ok=bool(threat_resolved),
            detail=threat_resolved or "nobody has said what was done about it",
        ),
        _check_store(runtime),
        _check_workers(runtime),
        _check_ledger(runtime, window, is_reviewed=is_ledger_reviewed),
    )


def describe_checks(checks: Iterable[RecoveryCheck]) -> str:
    """Return the lines as one, for the audit trail."""
    lines = (
        f"{check.name} {'ok' if check.is_ok else 'NOT OK'} ({check.kind}): {check.detail:.300}" for check in checks
    )
    return "; ".join(lines)


def _check_store(runtime: Runtime) -> RecoveryCheck:
    key, body = f"recovery:{os.getpid()}", os.urandom(8).hex().encode()
    try:
        state = runtime.committer.load()
        runtime.store.items.put(PROBES, {key: body}, keep=10)
        is_ok = runtime.store.items.get(PROBES, [key]).get(key) == body
        age = runtime.store.age()
    except StoreError as exc:
        return _looked_at("store_healthy", is_ok=False, detail=str(exc))
    if not is_ok:
        return _looked_at("store_healthy", is_ok=False, detail=f"{runtime.store.url} does not keep what is written")
    if not age >= SETTLE_SECONDS:
        return _looked_at("store_healthy", is_ok=False, detail="it is new, or lost its contents a moment ago")
    detail = f"{runtime.store.url} writes and reads, at revision {state.revision}"
    return _looked_at("store_healthy", is_ok=True, detail=detail)


def _check_workers(runtime: Runtime) -> RecoveryCheck:
    deadline = time.monotonic() + _CONFIRMED_WITHIN  # a commit of a moment ago is on its way to them
    try:
        while True:
            report = prove(runtime, expected_workers=1)
            if _are_confirmed(report) or time.monotonic() >= deadline:
                break
            time.sleep(_LOOK_SECONDS)
    except StoreError as exc:
        return _looked_at("workers_confirmed", is_ok=False, detail=f"not known: {exc}")
    return _looked_at("workers_confirmed", is_ok=_are_confirmed(report), detail=_describe_workers(report))


def _are_confirmed(report: QuiescenceReport) -> bool:
    return bool(report.workers) and not report.unconfirmed


def _describe_workers(report: QuiescenceReport) -> str:
    if not report.workers:
        return "no worker is listed, so nobody has confirmed anything"
    names = [worker_name(each) for each in report.workers if each.worker.id in report.unconfirmed]
    said = f"{len(report.workers) - len(names)} of {len(report.workers)} apply revision {report.revision}"
    return "; ".join([said, *(f"{name} is unconfirmed" for name in names)])


def _check_ledger(runtime: Runtime, window: MaintenanceWindow, *, is_reviewed: bool) -> RecoveryCheck:
    try:
        entries = [line.entry for line in JobLedger(runtime.store.items).lines(window.id)]
    except StoreError as exc:
        return _looked_at("ledger_reviewed", is_ok=False, detail=f"not known: {exc}")
    if not entries:
        return _looked_at("ledger_reviewed", is_ok=True, detail="no job was ended")
    return RecoveryCheck(
        name="ledger_reviewed", kind=CheckKind.ACKNOWLEDGED, is_ok=is_reviewed, detail=_describe_ledger(entries)
    )


def _describe_ledger(entries: Sequence[LedgerEntry]) -> str:
    fates = Counter(str(entry.record.fate) for entry in entries)
    restorable = sum(entry.record.is_restorable and not entry.record.put_back_as for entry in entries)
    said = [f"{count} {fate}" for fate, count in sorted(fates.items())]
    if fates[JobFate.RUNNING]:
        said.append("what is still running was not ended")
    return f"{', '.join(said)}; {restorable} can be put back"


def _looked_at(name: str, *, is_ok: bool, detail: str) -> RecoveryCheck:
    return RecoveryCheck(name=name, kind=CheckKind.CHECKED, is_ok=is_ok, detail=detail)
