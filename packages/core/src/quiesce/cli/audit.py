"""The commands ``audit tail``, ``audit verify``, ``audit export`` and ``audit prune``: who did what, and the proof."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TextIO

import click

from ..model import AuditRecord, InvalidValueError
from ..model.audit_reports import AuditReport, AuditVerdict
from ..web.audit_documents import COLUMNS, audit_record_document, audit_record_row, audit_report_document
from .connection import Connection, connected, who_asks
from .failures import EXIT_AUDIT, CommandFailedError, Failure
from .terminal import format_instant
from .values import Duration
from .windows import changing, where
from .writing_files import writing_privately


@click.group()
def audit() -> None:
    """Read the audit trail, and prove that nobody has changed it."""


@audit.command()
@click.option("--lines", "-n", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many records.")
@connected
def tail(connection: Connection, *, lines: int) -> None:
    """Show the newest records, the last one at the end."""
    with connection.open() as service:
        found = service.audit.tail(limit=lines)
        connection.terminal.say("1 record" if len(found) == 1 else f"{len(found)} records", map(_line, found))
        connection.terminal.answer({**where(service), "records": [audit_record_document(each) for each in found]})


@audit.command()
@click.option("--head", metavar="HASH", default="", help="A hash that was noted elsewhere: it must be in the trail.")
@connected
def verify(connection: Connection, *, head: str) -> None:
    """Check every record against the chain; exit code 6 unless all are there as they were written."""
    with connection.open() as service:
        report = service.audit.verify(head=head)
        if report.records > report.keyed:
            connection.terminal.warn(
                f"{report.records - report.keyed} records are hashed without a key: whoever can write to the store can"
                " forge them; set MAINTENANCE_SECRET_KEY"
            )
        document = {**where(service), **audit_report_document(report)}
        if report.verdict is not AuditVerdict.INTACT:
            message = {
                AuditVerdict.RESTARTED: "the chain of the audit trail begins anew: records may have been lost",
                AuditVerdict.BROKEN: "the audit trail is not as it was written",
            }[report.verdict]
            lines = tuple(_report_lines(report))
            kind = f"audit_{report.verdict}"
            failure = Failure(message=message, kind=kind, exit_code=EXIT_AUDIT, facts=document, lines=lines)
            raise CommandFailedError(failure)
        connection.terminal.say("The audit trail is intact", _report_lines(report), colour="green")
        connection.terminal.answer(document)


@audit.command()
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True, help="How.")
@click.option("--output", metavar="FILE", help="Write it there, readable for you alone, instead of standard output.")
@connected
def export(connection: Connection, *, form: str, output: str | None) -> None:
    """Write all records, the oldest first, as JSON Lines or CSV."""
    if connection.terminal.as_json and output is None:
        raise click.UsageError("--json needs --output: standard output has room for one of the two")
    write = _write_csv if form == "csv" else _write_lines
    with connection.open() as service:
        records = service.audit.records()
        if output is None:
            write(records, sys.stdout)
            return
        with writing_privately(output) as file:
            count = write(records, file)
        connection.terminal.say(f"Wrote {count} records to {output}")
        connection.terminal.answer({**where(service), "written": output, "records": count})


@audit.command()
@click.option("--before", required=True, metavar="TIME", help="Older ones go: 2027-01-31T00:00:00Z, or an age, 90d.")
@click.option("--force", is_flag=True, help="Also if the trail is broken, which hides where.")
@connected
def prune(connection: Connection, *, before: str, force: bool) -> None:
    """Drop old records; the chain goes on from the last one that is dropped."""
    with connection.open() as service, changing(connection):
        instant = _instant(before, now=service.clock.now())
        count = service.audit.prune(before=instant, actor=who_asks(), source="cli", is_forced=force)
        connection.terminal.say(f"Dropped {count} records that are older than {format_instant(instant)}")
        connection.terminal.answer({**where(service), "dropped": count})


def _line(record: AuditRecord) -> str:
    about = f" [{record.window_id}]" if record.window_id else ""
    result = "" if record.result in {"", "done"} else f" ({record.result})"
    detail = f": {record.detail}" if record.detail else ""
    through = f"{record.source} on {record.origin}" if record.origin else record.source
    number = record.number or "-"
    return f"{number} {record.at:%Y-%m-%d %H:%M:%S} {record.action}{about}{result} by {record.actor}, {through}{detail}"


def _report_lines(report: AuditReport) -> Iterable[str]:
    yield f"records   {report.records}, {report.keyed} of them hashed with a key"
    if report.outside:
        yield f"outside   {report.outside} from before the chain, of which nothing is proved"
    if report.dropped:
        yield f"dropped   those up to number {report.dropped}"
    yield f"head      {report.head_number} {report.head_hash or 'none'}"
    yield from (f"{finding.kind:<12} {finding.text}" for finding in report.findings)
    if report.omitted_findings:
        yield f"and {report.omitted_findings} more"


def _write_lines(records: Iterable[AuditRecord], file: TextIO) -> int:
    return sum(1 for record in records if file.write(json.dumps(audit_record_document(record)) + "\n"))


def _write_csv(records: Iterable[AuditRecord], file: TextIO) -> int:
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    return sum(1 for record in records if writer.writerow(audit_record_row(record)))


def _instant(text: str, *, now: datetime) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        span: timedelta = Duration().convert(text, None, None)
        return now - span
    if instant.tzinfo is None:
        raise InvalidValueError("--before", f"{text} has no time zone: add Z for UTC")
    return instant.astimezone(UTC)
