"""A report as Markdown (CommonMark with tables), to be handed in; no reason and no name can forge its structure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from ..model import IncidentReport, Outcome, ReportHeading
from .documents import format_time
from .report_documents import describe_caller

_LONGEST_TEXT = 2_000
_PUNCTUATION = re.compile(r"([!#$%&()*+\-.:<=>?@\[\\\]^_`{|}~])")
"""Whatever Markdown or one of its extensions could take for a mark."""
_OUTCOMES = {
    Outcome.REFUSED: "refused",
    Outcome.BYPASSED: "let through",
    Outcome.WOULD_BLOCK: "would have been refused",
}


def render_report(report: IncidentReport) -> str:
    """Return the report as text that ends with a line break."""
    return "\n".join(_lines(report)) + "\n"


def escape_markdown(text: str) -> str:
    """Return the text so that it is shown as it is: CommonMark lets such marks be escaped; nothing is hidden."""
    text = text.strip()  # blanks at its beginning would make it code
    shown = text[:_LONGEST_TEXT] + ("…" if len(text) > _LONGEST_TEXT else "")
    if not shown.isprintable():
        shown = "".join(
            c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in shown
        )
    return _PUNCTUATION.sub(r"\\\1", shown)


def _lines(report: IncidentReport) -> Iterator[str]:
    heading = report.heading
    yield f"# {_title(heading)}"
    yield ""
    yield from _table(("", ""), _summary(report))
    for title, lines in (
        ("What is not known", _list(report.gaps)),
        ("What failed", _list(report.failures) or ["Nothing that is known of."]),
        ("Timeline", list(_timeline(report))),
        ("What was blocked, and for whom", list(_requests(report))),
        ("Steps", list(_steps(report))),
        ("Sessions", [_sessions(report)]),
        ("Jobs", list(_jobs(report))),
        ("Notifications", _list(report.notifications) or ["None was sent."]),
        ("How the end was checked", list(_recoveries(report))),
        ("Workers", list(_workers(report))),
    ):
        if lines:
            yield ""
            yield f"## {title}"
            yield ""
            yield from lines


def _title(heading: ReportHeading) -> str:
    mode = "Window" if heading.mode is None else f"{heading.mode.capitalize()} window"
    return f"{mode} {escape_markdown(heading.window_id)}"


def _summary(report: IncidentReport) -> Iterator[tuple[str, str]]:
    heading = report.heading
    yield "Reason", escape_markdown(heading.reason) or "not known"
    yield "Owner", escape_markdown(heading.owner) or "not known"
    yield "Opened", format_time(heading.opened_at) or "not known, or not yet"
    if heading.is_open:
        yield "Ended", "not yet"
    else:
        by = f" by {escape_markdown(report.ended_by)}" if report.ended_by else ""
        yield "Ended", (format_time(heading.ended_at) or "not known") + by
    yield "Duration", _span(report.duration) + (" so far" if heading.is_open else "")
    if report.estimated_duration is not None:
        yield "Estimate", _span(report.estimated_duration)
    for outcome, words in _OUTCOMES.items():
        yield f"Requests {words}", str(report.total(outcome))
    yield "People", ", ".join(map(escape_markdown, report.people)) or "none known"
    yield "Report made", format_time(report.made_at)


def _timeline(report: IncidentReport) -> Iterator[str]:
    half = len(report.timeline) // 2 if report.omitted_entries else len(report.timeline)
    rows = [
        (format_time(e.at), *map(escape_markdown, (e.action, e.actor, e.source, e.detail))) for e in report.timeline
    ]
    head = ("When", "What", "Who", "Through", "Detail")
    yield from _table(head, rows[:half])
    if report.omitted_entries:
        yield ""
        yield f"{report.omitted_entries} lines are left out here."
        yield ""
        yield from _table(head, rows[half:])


def _requests(report: IncidentReport) -> Iterator[str]:
    if not report.counts:
        yield "Nothing was counted."
        return
    yield from _table(
        ("Operation", "Became", "Callers", "Requests"),
        (
            (escape_markdown(line.operation), _OUTCOMES[line.outcome], describe_caller(line), str(line.count))
            for line in report.counts
        ),
    )
    if report.paths:
        yield ""
        yield from _table(
            ("Path", "Operation", "Requests"),
            ((escape_markdown(line.path), escape_markdown(line.operation), str(line.count)) for line in report.paths),
        )
    if report.omitted_paths:
        yield ""
        yield f"Requests of further paths: {report.omitted_paths}."


def _steps(report: IncidentReport) -> Iterator[str]:
    if report.progress is not None:
        yield from _table(
            ("Step", "Status", "Count", "Began", "Done", "Detail"),
            (
                (
                    escape_markdown(step.name),
                    str(step.status),
                    "not known" if step.count is None else str(step.count),
                    format_time(step.started_at),
                    format_time(step.ended_at),
                    escape_markdown("; ".join([step.detail, *step.problems]) if step.problems else step.detail),
                )
                for step in report.progress.steps
            ),
        )


def _sessions(report: IncidentReport) -> str:
    policy = "not known" if report.session_policy is None else str(report.session_policy)
    ended = "not known" if report.sessions_ended is None else str(report.sessions_ended)
    return f"What became of those of everyone but admins: {policy}. Number ended: {ended}."


def _jobs(report: IncidentReport) -> Iterator[str]:
    if not report.jobs:
        yield "None stands in the ledger."
        return
    yield ", ".join(f"{count} {escape_markdown(fate)}" for fate, count in report.job_fates.items()) + "."
    yield ""
    yield from _table(
        ("Job", "Source", "Queue", "Name", "For", "Fate", "Put back as", "Detail"),
        (
            tuple(
                map(
                    escape_markdown,
                    (job.id, job.source, job.queue, job.name, job.user, str(job.fate), job.put_back_as, job.detail),
                )
            )
            for job in report.jobs
        ),
    )
    if report.omitted_jobs:
        yield ""
        yield f"{report.omitted_jobs} more jobs are left out."


def _recoveries(report: IncidentReport) -> Iterator[str]:
    rows = [
        (
            format_time(recovery.at),
            escape_markdown(recovery.actor),
            ("ended, forced" if recovery.was_forced else "ended") if recovery.was_ended else "not ended",
            escape_markdown(check.name),
            str(check.kind),
            "ok" if check.is_ok else "NOT OK",
            escape_markdown(check.detail),
        )
        for recovery in report.recoveries
        for check in recovery.checks
    ]
    if rows:
        yield from _table(("When", "Who", "Window", "Check", "Kind", "Result", "Detail"), rows)


def _workers(report: IncidentReport) -> Iterator[str]:
    yield "Those that were listed when the report was made and had started before the window's end."
    yield ""
    yield from _list(f"{worker.id}: pid {worker.pid} on {worker.host}, {worker.framework}" for worker in report.workers)
    if not report.workers:
        yield "None."


def _list(texts: Iterable[str]) -> list[str]:
    return [f"- {escape_markdown(text) or '(empty)'}" for text in texts]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield _row(head)
    yield _row(["---"] * len(head))
    yield from map(_row, rows)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _span(span: timedelta | None) -> str:
    return "not known" if span is None else str(timedelta(seconds=round(span.total_seconds())))
