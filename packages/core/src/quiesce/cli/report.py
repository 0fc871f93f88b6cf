"""The command ``report``: what happened in a window, to read or to hand in."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click

from ..control import EnhancedMaintenanceModeService
from ..model import ConflictError, IncidentReport, Mode, Outcome, ReportHeading
from ..web.report_documents import describe_caller, heading_document, report_document
from ..web.report_markdown import render_report
from .connection import Connection, connected
from .describing import COLOURS
from .terminal import format_instant, format_span
from .windows import where
from .writing_files import writing_privately


@click.command()
@click.argument("window_id", metavar="ID", required=False)
@click.option("--markdown", is_flag=True, help="Print it as Markdown.")
@click.option("--output", metavar="FILE", help="Write it there, as Markdown, or with --json as JSON.")
@connected
def report(connection: Connection, *, window_id: str | None, markdown: bool, output: str | None) -> None:
    """Report on a window: what happened, who did it, whom it hit, what came of jobs and sessions.

    Without an ID it is the newest emergency; if there was none, the windows are listed that can be reported on.
    """
    terminal = connection.terminal
    if markdown and terminal.as_json:
        raise click.UsageError("--markdown and --json contradict each other")
    with connection.open() as service:
        chosen = window_id or _newest_emergency(service)
        if chosen is None:
            if markdown or output is not None:
                raise ConflictError("no emergency is known; name the window: 'quiesce report' lists them")
            headings = service.reports()
            title = "Windows that can be reported on" if headings else "There is nothing to report on"
            terminal.say(title, map(_heading_line, headings))
            terminal.answer({**where(service), "reports": [heading_document(each) for each in headings]})
            return
        found = service.report(chosen)
        document = {**where(service), "report": report_document(found)}
        if output is not None:
            with writing_privately(output) as file:
                file.write(json.dumps(document, indent=2) + "\n" if terminal.as_json else render_report(found))
            terminal.say(f"Wrote the report on window {found.heading.window_id} to {output}")
            terminal.answer({**where(service), "window_id": found.heading.window_id, "written": output})
        elif markdown:
            click.echo(render_report(found), nl=False)
        else:
            mode = found.heading.mode
            title = f"Report on {mode or ''} window {found.heading.window_id}".replace("  ", " ")
            terminal.say(title, _lines(found), colour=None if mode is None else COLOURS[mode])
            terminal.answer(document)


def _newest_emergency(service: EnhancedMaintenanceModeService) -> str | None:
    headings = service.reports(limit=1_000_000)
    return next((each.window_id for each in headings if each.mode is Mode.EMERGENCY), None)


def _heading_line(heading: ReportHeading) -> str:
    ended = "open" if heading.is_open else f"until {format_instant(heading.ended_at)}" if heading.ended_at else "ended"
    mode = heading.mode or "mode not known"
    return f"{heading.window_id}  {format_instant(heading.opened_at)}, {ended} ({mode}): {heading.reason}"


def _lines(found: IncidentReport) -> Iterator[str]:
    heading = found.heading
    yield f"reason    {heading.reason or 'not known'}"
    yield f"owner     {heading.owner or 'not known'}"
    yield f"opened    {'not known, or not yet' if heading.opened_at is None else format_instant(heading.opened_at)}"
    if not heading.is_open:
        ended = "not known" if heading.ended_at is None else format_instant(heading.ended_at)
        yield f"ended     {ended}" + (f" by {found.ended_by}" if found.ended_by else "")
    if found.duration is not None:
        yield f"lasted    {format_span(found.duration)}" + (" so far" if heading.is_open else "")
    yield f"people    {', '.join(found.people) or 'none known'}"
    yield "requests  " + ", ".join(
        f"{found.total(outcome)} {outcome.replace('_', ' ')}"
        for outcome in (Outcome.REFUSED, Outcome.BYPASSED, Outcome.WOULD_BLOCK)
    )
    for line in found.counts:
        caller = describe_caller(line)
        yield f"  {line.count} {line.operation} {line.outcome.replace('_', ' ')}" + (f", {caller}" if caller else "")
    yield from (f"  {line.count} {line.path} ({line.operation})" for line in found.paths)
    policy = found.session_policy or "not known"
    ended_sessions = "not known" if found.sessions_ended is None else found.sessions_ended
    yield f"sessions  {policy}; number ended: {ended_sessions}"
    fates = ", ".join(f"{count} {fate}" for fate, count in found.job_fates.items())
    yield f"jobs      {fates or 'none in the ledger'}"
    yield f"notified  {', '.join(found.notifications) or 'nobody'}"
    yield "timeline"
    for entry in found.timeline:
        detail = f": {entry.detail}" if entry.detail else ""
        yield f"  {entry.at:%Y-%m-%d %H:%M:%S} {entry.action} by {entry.actor}{detail}"
    if found.omitted_entries:
        yield f"  ({found.omitted_entries} lines of the middle are left out)"
    for title, texts in (("failed", found.failures), ("not known", found.gaps)):
        yield from (f"{title:<9} {text}" for text in texts)
