"""Judges the audit trail, record by record, against the anchors at its two ends."""

from __future__ import annotations

from collections.abc import Iterable

from ..model import (
    AuditChain,
    AuditHead,
    AuditRecord,
    ChainLink,
    MaintenanceState,
    StoreCorruptError,
    is_keyed,
)
from ..model.audit_reports import AuditFinding, AuditReport, AuditVerdict, FindingKind

MOST_FINDINGS = 100

_UPGRADED = "upgraded:"


def verify_trail(
    records: Iterable[AuditRecord], *, state: MaintenanceState, chain: AuditChain, head: str = ""
) -> AuditReport:
    """Return what is wrong with the trail; holds one record at a time.

    Args:
        records: all, the oldest first.
        state: the one that was committed with the last of them.
        chain: has the keys.
        head: the hash of a record that must be there, or be the last that was dropped; empty: none must.
    """
    walk = _Walk(state.audit, chain=chain, head=head)
    try:
        for record in records:
            walk.take(record)
    except StoreCorruptError as exc:
        walk.find(FindingKind.UNREADABLE, walk.number + 1, f"behind record {walk.number}: {exc}")
        return walk.report()
    walk.end(revision=state.revision)
    return walk.report()


class _Walk:
    def __init__(self, anchors: AuditHead, *, chain: AuditChain, head: str) -> None:
        self.number = anchors.dropped_number
        self._previous = anchors.dropped_hash
        self._anchors = anchors
        self._chain = chain
        self._head = head
        self._has_head = not head or head == anchors.dropped_hash
        self._records = self._outside = self._waiting = self._keyed = self._omitted = 0
        self._findings: list[AuditFinding] = []
        self._is_broken = False

    def find(self, kind: FindingKind, number: int, text: str) -> None:
        self._is_broken |= kind is not FindingKind.RESTARTED
        if len(self._findings) < MOST_FINDINGS:
            self._findings.append(AuditFinding(kind=kind, number=number, text=text[:500]))
        else:
            self._omitted += 1

    def take(self, record: AuditRecord) -> None:
        if not record.hash:
            self._outside += 1
            self._waiting += 1
            return
        self._judge_outside(record)
        self._judge_place(record)
        self._judge_hash(record)
        self._records += 1
        self._keyed += is_keyed(record.hash)
        self._has_head |= record.hash == self._head
        self.number, self._previous = record.number, record.hash

    def end(self, *, revision: int) -> None:
        anchors = self._anchors
        if self._records or anchors.has_begun:
            self._judge_outside(None)
        if not anchors.has_begun:
            if self._records or revision:
                text = "the state knows of no chain; the next command begins one"
                self.find(FindingKind.NO_CHAIN, 0, text)
        elif (self.number, self._previous) != (anchors.number, anchors.hash):
            text = f"the last record must be {anchors.number} {anchors.hash}, and is {self.number} {self._previous}"
            self.find(FindingKind.TAIL, anchors.number, text)
        if not self._has_head:
            self.find(FindingKind.HEAD, 0, f"no record has the hash {self._head}")

    def report(self) -> AuditReport:
        verdict = AuditVerdict.INTACT if not self._findings else AuditVerdict.RESTARTED
        return AuditReport(
            verdict=AuditVerdict.BROKEN if self._is_broken else verdict,
            records=self._records,
            outside=self._outside,
            keyed=self._keyed,
            dropped=self._anchors.dropped_number,
            head_number=self._anchors.number,
            head_hash=self._anchors.hash,
            findings=tuple(self._findings),
            omitted_findings=self._omitted,
        )

    def _judge_outside(self, record: AuditRecord | None) -> None:
        """Judge the records without a hash that stand right before this one, or at the end."""
        count, self._waiting = self._waiting, 0
        if count and not (record is not None and record.begins.startswith(_UPGRADED)):
            text = f"{count} records that are in no chain stand behind record {self.number}"
            self.find(FindingKind.OUTSIDE, self.number, text)

    def _judge_place(self, record: AuditRecord) -> None:
        expected = self.number + 1
        if record.begins:
            if record.number != 1 or not record.begins.startswith(_UPGRADED):
                text = f"the chain begins anew with record {record.number} at {record.at}; {record.begins}"
                self.find(FindingKind.RESTARTED, record.number, text)
            if record.number >= expected:
                return
        if record.number != expected:
            text = f"record {record.number} stands where record {expected} belongs"
            self.find(FindingKind.OUT_OF_ORDER, record.number, text)

    def _judge_hash(self, record: AuditRecord) -> None:
        match self._chain.judge(record, previous=self._previous):
            case ChainLink.BROKEN:
                text = f"record {record.number}, or the one before it, is not as it was written"
                self.find(FindingKind.CHANGED, record.number, text)
            case ChainLink.UNKNOWN_KEY:
                text = f"record {record.number} was hashed with a key that MAINTENANCE_SECRET_KEY does not hold here"
                self.find(FindingKind.UNKNOWN_KEY, record.number, text)
        if is_keyed(self._previous) and not is_keyed(record.hash) and not record.begins:
            text = f"record {record.number} was hashed without a key, the one before it with one"
            self.find(FindingKind.UNKEYED, record.number, text)
