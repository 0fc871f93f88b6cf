"""The protocol that every store implements; ``quiesce.testing.StoreContract`` checks an implementation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ..model import (
    Acknowledgement,
    AuditRecord,
    CountKey,
    Heartbeat,
    MaintenanceEvent,
    MaintenanceState,
    WorkerInfo,
    WorkerReport,
)
from .items import Items

SILENT_SECONDS = 2.0
"""After so long without a report a worker is named to those that do report: two heartbeats."""
MOST_SILENT = 64
"""How many are named at once, so that an answer stays small; who is dealt with makes room for the next."""
MOST_EVENTS = 10_000
"""How many events a store keeps at least; older ones may go, the audit trail has them all."""


@dataclass(frozen=True, slots=True)
class Change:
    """What ``wait_for_change`` heard.

    Attributes:
        state: the state that was announced with its commit; ``None``: load it, something may have been missed.
        body: its bytes, as they were announced, if they are those that ``encode_state`` makes; else empty.
    """

    state: MaintenanceState | None = None
    body: bytes = field(default=b"", repr=False)


class Store(Protocol):
    """Where the one truth lies.

    Every method may be called from any thread, and from a child after ``fork``; each ends within a bounded time. What
    goes wrong is raised as ``StoreError`` or one of its kinds, ``StoreUnreachableError`` when trying again may help.
    Constructing a store checks its address but reaches nothing, so that an application starts with its store down.
    """

    @property
    def url(self) -> str:
        """The address, without any password; fit for logs and messages."""

    @property
    def board_path(self) -> Path | None:
        """Where the board of this machine lies; ``None`` for a store that no other process can share."""

    def load(self) -> MaintenanceState:
        """Return the committed state; revision 0 when nothing was ever committed.

        Raises:
            StoreCorruptError: what is stored is no state.
        """

    def revision(self) -> int:
        """Return the committed revision; cheaper than ``load``."""

    def commit(
        self,
        state: MaintenanceState,
        *,
        expected_revision: int,
        audit: Sequence[AuditRecord],
        events: Sequence[MaintenanceEvent] = (),
    ) -> None:
        """Replace the state and append the records and events, all or nothing, durably.

        ``state.revision`` must be greater than ``expected_revision``; a re-seeding commit may skip revisions. A state
        that names its commits must contain the one that the store holds.

        Raises:
            RevisionConflictError: the store is at another revision, or at another state of that revision; nothing was
                written.
        """

    def register(self, worker: WorkerInfo) -> None:
        """List the worker, with a fresh heartbeat and no acknowledgement; replaces a former record of the same id."""

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
        """Write a heartbeat, the acknowledgement, and add the counts, in one step; return what the worker must know.

        ``batch`` numbers the counts of this worker; a batch at or below the last one added is not added again, so
        that a report repeated after a lost answer counts nothing twice. With ``lease_seconds`` the leader's lease is
        taken or renewed, if no other worker holds it. Workers of more than ``SILENT_SECONDS`` of silence are named if
        asked for, the longest silent first, ``MOST_SILENT`` at most.

        Raises:
            UnknownWorkerError: the worker is not listed; nothing was written.
        """

    def deregister(self, worker_id: str) -> None:
        """Take the worker off the list; nothing happens when it is not on it."""

    def workers(self) -> tuple[WorkerReport, ...]:
        """Return every listed worker's last report, with ages by the store's own clock, in order of id."""

    def counts(self) -> Mapping[CountKey, int]:
        """Return all counts, over all workers and windows."""

    def resign(self, worker_id: str) -> None:
        """Give the lease back if this worker holds it."""

    def audit(self, *, limit: int = 100) -> tuple[AuditRecord, ...]:
        """Return the newest records, oldest of them first."""

    def audit_of(self, window_id: str) -> Iterator[AuditRecord]:
        """Yield every record about this window, the oldest first; each step reads a bounded part of the trail.

        Records that are written meanwhile may or may not be among them. Each step may raise what any method does.
        """

    def audit_trail(self) -> Iterator[AuditRecord]:
        """Yield every record, the oldest first; as ``audit_of``."""

    def drop_audit(self, *, through: int) -> int:
        """Drop records from the old end, up to and with the one of this number; return how many.

        Those without a number that stand before the first that stays go too. A commit has noted that they go; called
        again it does what is left to do.
        """

    def events(self, *, after: str = "", limit: int = 100) -> tuple[MaintenanceEvent, ...]:
        """Return the oldest events after the one of this id, in the order of what happened; from the first if empty."""

    def renew_lease(self, window_id: str) -> None:
        """Count one more renewal of the lease on this window; makes no revision."""

    def lease_renewals(self) -> Mapping[str, int]:
        """Return how often each lease was renewed, by window; it has lapsed when the number stands still."""

    def drop_lease(self, window_id: str) -> None:
        """Forget the renewals of a lease that nobody holds any more."""

    @property
    def items(self) -> Items:
        """The collections beside the state."""

    def age(self) -> float:
        """Return the seconds since the store was created or last lost its contents, by its own clock."""

    def wait_for_change(self, *, timeout_seconds: float, beside: int | None = None) -> Change | None:
        """Wait until a commit may have happened, ``wake`` is called, or the timeout passes.

        Args:
            timeout_seconds: how long to wait at most.
            beside: a file descriptor that ends the wait too, when it becomes readable or is hung up on.

        Returns:
            What the store heard of a commit, or an empty ``Change`` when it cannot be sure that it missed none; else
            ``None``.
        """

    def wake(self) -> None:
        """Let ``wait_for_change`` in this process return at once."""

    def close(self) -> None:
        """Release connections and files; a closed store may not be used again."""
