"""The commands on the audit trail: reading, verifying, and dropping its old end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from ..model import AuditRecord, ConflictError, InvalidValueError, MaintenanceState
from ..model.audit_reports import AuditReport, AuditVerdict
from .audit_verifying import verify_trail
from .journal import Journal
from .runtime import Runtime
from .validation import check_actor
from .writing import CommandWriter

PRUNED = "audit.pruned"

_TRIES = 5


class AuditDesk:
    """Reads, verifies and prunes the audit trail; reached as ``service.audit``."""

    def __init__(self, runtime: Runtime, *, writer: CommandWriter) -> None:
        self._runtime = runtime
        self._writer = writer

    def tail(self, *, limit: int = 20) -> tuple[AuditRecord, ...]:
        """Return the newest records, oldest of them first.

        Raises:
            StoreError: the store does not answer, or cannot be read.
        """
        return self._runtime.store.audit(limit=limit)

    def records(self) -> Iterator[AuditRecord]:
        """Yield every record, the oldest first; each step may ask the store, and raise what ``tail`` raises."""
        return self._runtime.store.audit_trail()

    def page(self, *, after: int = 0, limit: int = 100) -> tuple[AuditRecord, ...]:
        """Return the oldest records of the chain behind the one of this number; reads the trail up to them.

        Raises:
            StoreError: the store does not answer, or cannot be read.
        """
        found: list[AuditRecord] = []
        for record in self.records():
            if len(found) >= limit:
                break
            if record.number > after:
                found.append(record)
        return tuple(found)

    def verify(self, *, head: str = "") -> AuditReport:
        """Return whether the trail is whole, as far as the store and the keys known here can say.

        Args:
            head: the hash of a record that was noted elsewhere, and must be there.

        Raises:
            StoreError: the store does not answer.
        """
        store = self._runtime.store
        state = store.load()
        for _ in range(_TRIES):
            report = verify_trail(self.records(), state=state, chain=self._runtime.chain, head=head)
            before, state = state, store.load()
            if report.verdict is AuditVerdict.INTACT or state.audit == before.audit:
                break  # else something was committed while the trail was read
        return report

    def prune(self, *, before: datetime, actor: str, source: str = "api", is_forced: bool = False) -> int:
        """Drop the records that are older than an instant, from the old end up to the first that is not.

        The chain stays whole: the state keeps number and hash of the last one that was dropped. What stands in no chain
        goes with the first record of the chain that does.

        Args:
            before: older records go; the newest stays.
            actor: who asks.
            source: through what.
            is_forced: whether a broken trail is pruned too, which takes away what shows where it is broken.

        Returns:
            How many were dropped.

        Raises:
            InvalidValueError: a value is not valid.
            ConflictError: the trail is broken.
            StoreError: the store does not answer.
        """
        if before.tzinfo is None:
            raise InvalidValueError("before", "has no time zone")
        check_actor(actor)
        store = self._runtime.store
        noted = store.load().audit.dropped_number
        if noted:  # whoever noted that they go may have died before they went
            store.drop_audit(through=noted)
        report = self.verify()
        if report.verdict is AuditVerdict.BROKEN and not is_forced:
            raise ConflictError(f"the audit trail is broken, and pruning would hide where: {report.findings[0].text}")

        def change(state: MaintenanceState, _: datetime, journal: Journal) -> MaintenanceState:
            last, count = self._last_before(before, state)
            if last is None:
                return state
            journal.dropped = last
            found = "".join(f"; {finding.text}" for finding in report.findings[:3])
            detail = f"{count} records up to number {last.number}, of {last.at:%Y-%m-%dT%H:%M:%SZ}, {last.hash}"
            journal.note(PRUNED, detail=f"{detail}; it was {report.verdict}{found}")
            return replace(state)

        through = self._writer.commit(change, actor=actor, source=source).audit.dropped_number
        return store.drop_audit(through=through) if through else 0

    def _last_before(self, before: datetime, state: MaintenanceState) -> tuple[AuditRecord | None, int]:
        """Return the last record that goes, and how many do."""
        last, count = None, 0
        for place, record in enumerate(self.records(), start=1):
            if record.at >= before or record.number >= state.audit.number:
                break
            if record.hash and record.number > state.audit.dropped_number:
                last, count = record, place
        return last, count
