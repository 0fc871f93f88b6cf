"""What is done when the store has lost something: what is known goes back into it (protocol rule 8)."""

from __future__ import annotations

import logging
import os
from dataclasses import replace

from ..clock import Clock
from ..model import (
    AuditChain,
    AuditRecord,
    EventKind,
    MaintenanceEvent,
    MaintenanceState,
    RevisionConflictError,
    StoreUnreachableError,
    merged,
)
from ..stores.base import Store

_TRIES = 10

logger = logging.getLogger("quiesce")


def reseed(
    store: Store, known: MaintenanceState, *, actor: str, clock: Clock, chain: AuditChain | None = None
) -> MaintenanceState:
    """Put the known state back into a store that does not contain it; return what the store holds then.

    The chain of audit records begins anew, behind what the store still has of it, and says so.

    A commit that somebody made on the store after its loss is kept: the two are merged.

    Raises:
        StoreError: the store does not answer, or cannot be read.
    """
    for _ in range(_TRIES):
        stored = store.load()
        if stored.contains(known):
            return stored
        state = merged(known, stored, unique=os.urandom(4).hex())
        now = clock.now()
        detail = f"the store was at revision {stored.revision} and did not contain revision {known.revision}"
        record = AuditRecord(
            at=now,
            actor=actor,
            source="agent",
            action="store.reseeded",
            revision=state.revision,
            detail=detail,
            result="done",
            origin=os.uname().nodename,
        )
        records, head = (chain or AuditChain()).extend([record], after=stored, lost=known.audit)
        state = replace(state, audit=head)
        event = MaintenanceEvent(
            kind=EventKind.STORE_RESEEDED, at=now, revision=state.revision, number=0, actor=actor, detail=detail
        )
        try:
            store.commit(state, expected_revision=stored.revision, audit=records, events=[event])
        except RevisionConflictError:
            continue
        logger.error("store %s had lost revision %d and was re-seeded", store.url, known.revision)
        return state
    raise StoreUnreachableError(f"store {store.url} changes too fast to be re-seeded")
