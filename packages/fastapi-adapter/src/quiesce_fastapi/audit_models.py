"""The audit trail as pydantic models, for OpenAPI."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .documents import Document


class AuditRecord(Document):
    """One record; an empty text: it is not known, or there is none."""

    number: int = Field(description="Its place in the chain, from 1; 0: it is in none.")
    at: str
    actor: str
    origin: str = Field(description="The machine whose process wrote it.")
    source: str = Field(description="Through what: cli, http with the address of the client, api or agent.")
    action: str
    result: str = Field(description="done, failed or refused.")
    window_id: str
    detail: str
    before: str = Field(description="What it changed, as it was: JSON.")
    after: str = Field(description="What it changed, as it is now: JSON.")
    revision: int
    begins: str = Field(description="Why the chain begins anew with it.")
    hash: str


class Audit(Document):
    """Records of the audit trail, the oldest first."""

    records: list[AuditRecord]


class AuditFinding(Document):
    """One thing that is wrong with the audit trail."""

    kind: Literal[
        "restarted",
        "changed",
        "out_of_order",
        "outside",
        "unreadable",
        "unknown_key",
        "unkeyed",
        "tail",
        "no_chain",
        "head",
    ]
    number: int
    text: str


class AuditReport(Document):
    """What came of verifying the audit trail."""

    verdict: Literal["intact", "restarted", "broken"]
    records: int
    outside: int = Field(description="How many are from before the chain; nothing is proved of them.")
    keyed: int
    dropped: int = Field(description="The number up to which records were dropped on purpose.")
    head_number: int
    head_hash: str
    findings: list[AuditFinding]
    omitted_findings: int
