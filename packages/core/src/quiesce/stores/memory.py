"""The store of a single process: for development and tests."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..model import (
    Acknowledgement,
    AuditRecord,
    CountKey,
    Heartbeat,
    MaintenanceEvent,
    MaintenanceState,
    RevisionConflictError,
    StoreError,
    UnknownWorkerError,
    WorkerInfo,
    WorkerReport,
)
from .base import MOST_EVENTS, MOST_SILENT, SILENT_SECONDS, Change
from .commits import AUDIT_PAGE, check_commit, droppable, events_after, follows
from .doorbell import Doorbell
from .memory_items import MemoryItems


@dataclass(frozen=True, slots=True)
class _Entry:
    worker: WorkerInfo
    acknowledgement: Acknowledgement | None
    heard_at: float


class MemoryStore:
    """A store that lives and dies with its process."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._created_at = time.monotonic()
        self._lock = threading.Lock()
        self._bell = Doorbell()
        self._is_closed = False
        self._state = MaintenanceState()
        self._audit: list[AuditRecord] = []
        self._events: deque[MaintenanceEvent] = deque(maxlen=MOST_EVENTS)
        self._renewals: dict[str, int] = {}
        self._workers: dict[str, _Entry] = {}
        self._batches: dict[str, int] = {}
        self._counts: dict[CountKey, int] = {}
        self._items = MemoryItems(self._open)
        self._leader = ""
        self._leads_until = 0.0

    @property
    def url(self) -> str:
        """``memory://``."""
        return "memory://"

    @property
    def board_path(self) -> Path | None:
        """``None``: there is no other process to share a board with."""
        return None

    def load(self) -> MaintenanceState:
        """Return the committed state."""
        with self._open():
            return self._state

    def revision(self) -> int:
        """Return the committed revision."""
        with self._open():
            return self._state.revision

    def commit(
        self,
        state: MaintenanceState,
        *,
        expected_revision: int,
        audit: Sequence[AuditRecord],
        events: Sequence[MaintenanceEvent] = (),
    ) -> None:
        """Replace the state and append the records and events."""
        check_commit(state, expected_revision=expected_revision, events=events)
        with self._open():
            if self._state.revision != expected_revision or not follows(state, self._state.commit_id):
                raise RevisionConflictError(expected_revision, self._state.revision)
            self._state = state
            self._audit.extend(audit)
            self._events.extend(events)
        self._bell.ring(is_commit=True)

    def register(self, worker: WorkerInfo) -> None:
        """List the worker."""
        with self._open():
            self._workers[worker.id] = _Entry(worker, None, time.monotonic())

    def report(
        self,
        worker_id: str,
        acknowledgement: Acknowledgement,
        *,
        counts: Mapping[CountKey, int],
        batch: int,
        lease_seconds: float = 0.0,
        asks_for_silent: bool = False,
    ) -> Heartbeat:
        """Write heartbeat, acknowledgement and counts."""
        with self._open():
            entry = self._workers.get(worker_id)
            if entry is None:
                raise UnknownWorkerError(f"worker {worker_id} is not listed")
            now = time.monotonic()
            self._workers[worker_id] = replace(entry, acknowledgement=acknowledgement, heard_at=now)
            if batch > self._batches.get(worker_id, -1):
                self._batches[worker_id] = batch
                for key, count in counts.items():
                    self._counts[key] = self._counts.get(key, 0) + count
            is_leader = lease_seconds > 0 and self._lead(worker_id, until=now + lease_seconds, now=now)
            silent = self._silent(now) if asks_for_silent else ()
            return Heartbeat(self._state.revision, self._state.commit_id, is_leader, silent)

    def deregister(self, worker_id: str) -> None:
        """Take the worker off the list."""
        with self._open():
            self._workers.pop(worker_id, None)
            self._batches.pop(worker_id, None)

    def workers(self) -> tuple[WorkerReport, ...]:
        """Return every listed worker's last report."""
        with self._open():
            now = time.monotonic()
            return tuple(
                WorkerReport(entry.worker, entry.acknowledgement, now - entry.heard_at)
                for _, entry in sorted(self._workers.items())
            )

    def counts(self) -> Mapping[CountKey, int]:
        """Return all counts."""
        with self._open():
            return dict(self._counts)

    def resign(self, worker_id: str) -> None:
        """Give the lease back."""
        with self._open():
            if self._leader == worker_id:
                self._leads_until = 0.0

    def audit(self, *, limit: int = 100) -> tuple[AuditRecord, ...]:
        """Return the newest records, oldest of them first."""
        with self._open():
            return tuple(self._audit[-limit:]) if limit > 0 else ()

    def audit_of(self, window_id: str) -> Iterator[AuditRecord]:
        """Yield every record about this window, the oldest first."""
        return (record for record in self.audit_trail() if record.window_id == window_id)

    def audit_trail(self) -> Iterator[AuditRecord]:
        """Yield every record, the oldest first."""
        start = 0
        while part := self._page(start):
            yield from part
            start += len(part)

    def drop_audit(self, *, through: int) -> int:
        """Drop records from the old end."""
        with self._open():
            count = droppable(self._audit, through=through)
            del self._audit[:count]
            return count

    def events(self, *, after: str = "", limit: int = 100) -> tuple[MaintenanceEvent, ...]:
        """Return the oldest events after the one of this id."""
        position = events_after(after)
        with self._open():
            found = (event for event in self._events if (event.revision, event.number) > position)
            return tuple(itertools.islice(found, max(limit, 0)))

    def renew_lease(self, window_id: str) -> None:
        """Count one more renewal."""
        with self._open():
            self._renewals[window_id] = self._renewals.get(window_id, 0) + 1

    def lease_renewals(self) -> Mapping[str, int]:
        """Return how often each lease was renewed."""
        with self._open():
            return dict(self._renewals)

    def drop_lease(self, window_id: str) -> None:
        """Forget the renewals of a lease."""
        with self._open():
            self._renewals.pop(window_id, None)

    @property
    def items(self) -> MemoryItems:
        """The collections beside the state."""
        return self._items

    def age(self) -> float:
        """Return the seconds since the store was made."""
        with self._open():
            return time.monotonic() - self._created_at

    def wait_for_change(self, *, timeout_seconds: float, beside: int | None = None) -> Change | None:
        """Return at the next commit or ``wake``, after the timeout at the latest."""
        return Change() if self._bell.wait(timeout_seconds, beside=beside) else None

    def wake(self) -> None:
        """Let ``wait_for_change`` return; one that is called later returns at once, so that no ring is lost."""
        self._bell.ring()

    def close(self) -> None:
        """End the store."""
        self._is_closed = True
        self.wake()

    def _page(self, start: int) -> list[AuditRecord]:
        with self._open():
            return self._audit[start : start + AUDIT_PAGE]

    def _lead(self, worker_id: str, *, until: float, now: float) -> bool:
        if self._leader != worker_id and now < self._leads_until:
            return False
        self._leader, self._leads_until = worker_id, until
        return True

    def _silent(self, now: float) -> tuple[tuple[WorkerInfo, float], ...]:
        silent = [(entry.worker, now - entry.heard_at) for entry in self._workers.values()]
        late = sorted((found for found in silent if found[1] > SILENT_SECONDS), key=lambda found: -found[1])
        return tuple(late[:MOST_SILENT])

    def _open(self) -> threading.Lock:
        if os.getpid() != self._pid:
            raise StoreError("memory:// is for one process only, and this one was forked; use sqlite:/// or redis://")
        if self._is_closed:
            raise StoreError("the store is closed")
        return self._lock
