"""What is done when the store has lost something: the newest known state goes back into it (protocol rule 8)."""

from __future__ import annotations

import logging

from ..clock import Clock
from ..model import (
    AuditRecord,
    EventKind,
    MaintenanceEvent,
    MaintenanceState,
    RevisionConflictError,
    StoreUnreachableError,
)
from ..stores.base import Store

_TRIES = 10

logger = logging.getLogger("quiesce")


def merge(known: MaintenanceState, stored: MaintenanceState) -> MaintenanceState:
    """Return a state newer than both with all that is in either; of what is in both, the known version."""
    windows = {window.id: window for window in (*stored.windows, *known.windows)}
    schedules = {schedule.id: schedule for schedule in (*stored.schedules, *known.schedules)}
    ordered = sorted(windows.values(), key=lambda window: (window.starts_at, window.id))
    return MaintenanceState(max(known.revision, stored.revision) + 1, tuple(ordered), tuple(schedules.values()))


def reseed(store: Store, known: MaintenanceState, *, actor: str, clock: Clock) -> MaintenanceState:
    """Put the known state back into a store that is behind it; return what the store holds then.

    A commit that somebody made on the store after its loss is kept.

    Raises:
        StoreError: the store does not answer, or cannot be read.
    """
    for _ in range(_TRIES):
        stored = store.load()
        if stored.revision >= known.revision:
            return stored
        merged = merge(known, stored)
        now = clock.now()
        detail = f"the store was at revision {stored.revision}, revision {known.revision} was known"
        record = AuditRecord(
            at=now, actor=actor, source="agent", action="store.reseeded", revision=merged.revision, detail=detail
        )
        event = MaintenanceEvent(
            kind=EventKind.STORE_RESEEDED, at=now, revision=merged.revision, number=0, actor=actor, detail=detail
        )
        try:
            store.commit(merged, expected_revision=stored.revision, audit=[record], events=[event])
        except RevisionConflictError:
            continue
        logger.error("store %s had lost revision %d and was re-seeded", store.url, known.revision)
        return merged
    raise StoreUnreachableError(f"store {store.url} changes too fast to be re-seeded")
