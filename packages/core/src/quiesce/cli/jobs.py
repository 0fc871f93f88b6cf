"""The commands ``jobs list``, ``jobs stop`` and ``jobs restore``: what runs, ending it, putting it back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

import click

from ..model import JobAnswer, JobRecord
from ..web.job_documents import jobs_document, restore_document, stop_document
from .connection import Connection, connected, who_asks
from .describing import describe_counts
from .failures import EXIT_NOT_QUIESCED
from .values import Duration
from .windows import changing


@click.group()
def jobs() -> None:
    """List the jobs that run, end them, and put them back."""


@jobs.command("list")
@click.option("--window", "window_id", metavar="ID", help="Only jobs that were ended for this window.")
@connected
def list_(connection: Connection, *, window_id: str | None) -> None:
    """List what job queues have, the tracked jobs, and the jobs that were ended."""
    with connection.open() as service:
        tracked = service.jobs.counts()
        answers = service.jobs.queues()
        entries = service.jobs.ledger(window_id=window_id)
        connection.terminal.say("Jobs that run", [*_tracked(tracked.items()), *_queues(answers)])
        if entries:
            lines = (f"{entry.window_id}  {_describe(entry.record)}" for entry in entries)
            connection.terminal.say("Jobs that were ended", lines)
        where = {"store": service.store.url, "service": service.settings.service_name}
        connection.terminal.answer({**where, **jobs_document(tracked, answers, entries)})


@jobs.command()
@click.option("--window", "window_id", metavar="ID", help="For which window; else the strictest that is open.")
@click.option(
    "--grace",
    type=Duration(may_be_zero=True),
    help="How long jobs may take to end. [default: EMERGENCY_MODE_JOB_GRACE_PERIOD]",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@connected
def stop(connection: Connection, *, window_id: str | None, grace: timedelta | None, yes: bool) -> int:
    """Hold new jobs back, ask those that run to end, then terminate them.

    Needs an open window that refuses new jobs. What was ended stands in a ledger, and can be put back.
    """
    if not yes:
        click.confirm("End the jobs that run in all queues?", abort=True, err=True)
    with connection.open() as service, changing(connection):
        report = service.jobs.stop_all(window_id=window_id, grace=grace, actor=who_asks(), source="cli")
        title = "All jobs have ended" if report.is_quiet else "NOT QUIET: jobs may still run"
        lines = [*map(_describe, report.records), *map(describe_counts, report.counts), *report.problems]
        connection.terminal.say(title, lines, colour="green" if report.is_quiet else "red")
        where = {"store": service.store.url, "service": service.settings.service_name}
        connection.terminal.answer({**where, **stop_document(report)})
        return 0 if report.is_quiet else EXIT_NOT_QUIESCED


@jobs.command()
@click.argument("window_id", metavar="WINDOW")
@click.option("--yes", is_flag=True, help="Do not ask.")
@connected
def restore(connection: Connection, *, window_id: str, yes: bool) -> None:
    """Put back the jobs that were ended for a window, each once.

    Not while a window is open that refuses new jobs. A job that was terminated begins from the start.
    """
    if not yes:
        click.confirm(f"Put back the jobs that were ended for window {window_id!r:.80}?", abort=True, err=True)
    with connection.open() as service, changing(connection):
        report = service.jobs.restore(window_id=window_id, actor=who_asks(), source="cli")
        lines = [*map(_describe, report.restored), *(f"left: {_describe(record)}" for record in report.left)]
        title = f"Put back {len(report.restored)} jobs, left {len(report.left)}"
        connection.terminal.say(title, [*lines, *report.problems])
        where = {"store": service.store.url, "service": service.settings.service_name}
        connection.terminal.answer({**where, **restore_document(report)})


def _tracked(counts: Iterable[tuple[str, int]]) -> Iterator[str]:
    for kind, count in sorted(counts):
        yield f"tracked: {count} {kind}"


def _queues(answers: Iterable[JobAnswer]) -> Iterator[str]:
    for answer in answers:
        if answer.problem:
            yield f"{answer.plugin}: UNKNOWN, {answer.problem}"
        yield from map(describe_counts, answer.counts)


def _describe(record: JobRecord) -> str:
    after = f", put back as {record.put_back_as}" if record.put_back_as else ""
    detail = f" ({record.detail})" if record.detail else ""
    return f"{record.source} {record.queue} {record.id} {record.name}: {record.fate}{detail}{after}"
