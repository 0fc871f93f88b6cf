"""The audit trail as JSON documents and as rows of a table."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..model import AuditRecord
from ..model.audit_reports import AuditReport

COLUMNS = (
    "number",
    "at",
    "actor",
    "origin",
    "source",
    "action",
    "result",
    "window_id",
    "detail",
    "before",
    "after",
    "revision",
    "begins",
    "hash",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - spreadsheets take these too


def audit_record_document(record: AuditRecord) -> dict[str, Any]:
    """Return one record; what is not known is an empty text."""
    members = {name: getattr(record, name) for name in COLUMNS}
    return members | {"at": record.at.isoformat().replace("+00:00", "Z"), "window_id": record.window_id or ""}


def audit_record_row(record: AuditRecord) -> list[str]:
    """Return one record as a row; what a spreadsheet would run as a formula has an apostrophe before it."""
    cells = (str(value) for value in audit_record_document(record).values())
    return [f"'{cell}" if cell.lstrip(" ").startswith(_FORMULA) else cell for cell in cells]


def audit_report_document(report: AuditReport) -> dict[str, Any]:
    """Return what came of verifying the trail."""
    members = dataclasses.asdict(report)
    findings = [{"kind": str(each.kind), "number": each.number, "text": each.text} for each in report.findings]
    return members | {"verdict": str(report.verdict), "findings": findings}
