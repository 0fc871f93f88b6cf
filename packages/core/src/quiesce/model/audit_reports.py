"""What is found when the audit trail is verified."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class AuditVerdict(StrEnum):
    """What the audit trail is worth as evidence."""

    INTACT = "intact"
    """Every record since the chain began, or since the last one that was dropped, is there as it was written."""
    RESTARTED = "restarted"
    """What is there is as it was written; but the chain begins anew somewhere, so that records may have been lost."""
    BROKEN = "broken"
    """Records were changed, removed, moved or put in, or what would prove the opposite is not there."""


class FindingKind(StrEnum):
    """What is wrong at one place of the trail."""

    RESTARTED = "restarted"
    """The chain begins anew."""
    CHANGED = "changed"
    """The record, or the one before it, is not as it was written."""
    OUT_OF_ORDER = "out_of_order"
    """Records are missing before this one, or it stands where it does not belong."""
    OUTSIDE = "outside"
    """A record without a hash stands among those of the chain."""
    UNREADABLE = "unreadable"
    """What lies there is no record; what comes behind it was not looked at."""
    UNKNOWN_KEY = "unknown_key"
    """It was hashed with a key that is not known here, so that nothing is known of it."""
    UNKEYED = "unkeyed"
    """It was hashed without a key, although the one before it was hashed with one."""
    TAIL = "tail"
    """The trail does not end with the record that the state names as its last."""
    NO_CHAIN = "no_chain"
    """There is no chain yet, although something was committed."""
    HEAD = "head"
    """The record with the hash that was asked for is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFinding:
    """One thing that is wrong with the audit trail.

    Attributes:
        kind: what.
        number: of the record in the chain; 0: it has none.
        text: the same for people.
    """

    kind: FindingKind
    number: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What came of verifying the audit trail.

    Attributes:
        verdict: what it is worth.
        records: how many there are in the chain.
        outside: how many there are from before the chain, of which nothing is proved.
        keyed: how many of the chain were hashed with a key.
        dropped: the number up to which records were dropped on purpose.
        head_number: of the last record, as the state has it.
        head_hash: its hash; kept elsewhere, it proves more than the store can.
        findings: what is wrong, in the order of the trail; the first hundred.
        omitted_findings: how many more there are.
    """

    verdict: AuditVerdict
    records: int
    outside: int
    keyed: int
    dropped: int
    head_number: int
    head_hash: str
    findings: tuple[AuditFinding, ...] = ()
    omitted_findings: int = 0
