"""The picture that ``watch`` draws; all text from outside goes in as plain text, escaped."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..model import MaintenanceWindow, QuiescenceReport, WorkerReport
from .describing import COLOURS, describe_counts, proof_lines, proof_title
from .terminal import escape, format_instant
from .watch import Frame

_COLUMNS = ("state", "pid", "host", "heard", "revision", "in flight", "oldest request", "jobs")
_PLAIN_COLUMNS = 140
_MOST_OBSTACLES = 3
_NONE = "-"


def is_live() -> bool:
    """Whether standard output can be drawn on again and again."""
    return Console().is_terminal


def run(frames: Iterator[Frame]) -> None:
    """Draw each frame in place of the last."""
    with Live(console=_console(), auto_refresh=False) as live:
        for frame in frames:
            live.update(_draw(frame), refresh=True)


def show(frame: Frame) -> None:
    """Print one frame."""
    _console().print(_draw(frame))


def _console() -> Console:
    console = Console(markup=False, emoji=False, highlight=False)
    return console if console.is_terminal else Console(markup=False, emoji=False, highlight=False, width=_PLAIN_COLUMNS)


def _draw(frame: Frame) -> RenderableType:
    lines = [_text(f"{frame.store} (service {frame.service}), {format_instant(frame.at)}", "dim")]
    if frame.trouble:
        lines.append(_text(f"STORE OUT OF REACH, trying again: {frame.trouble}", "bold red"))
        if frame.report is not None:
            lines.append(_text(f"below is what was known at {format_instant(frame.report.at)}", "red"))
    lines += [_text(f"on    {_window(window)}", COLOURS[window.mode]) for window in frame.windows]
    if not frame.windows and frame.report is not None:
        lines.append(_text("no maintenance window is open", "green"))
    if frame.coming is not None:
        lines.append(_text(f"next  {_window(frame.coming)}", "cyan"))
    if frame.report is None:
        return Group(*lines)
    queues = [_text(f"jobs  {describe_counts(counts)}") for counts in frame.report.job_counts]
    return Group(*lines, *_verdict(frame.report), *queues, _table(frame.report))


def _verdict(report: QuiescenceReport) -> Iterator[Text]:
    if report.quiesced:
        yield _text("; ".join((proof_title(report), *proof_lines(report))), "bold green")
        return
    if not report.windows:
        return
    yield _text(f"NOT QUIET at revision {report.revision}", "bold yellow")
    yield from (_text(f"  {obstacle}", "yellow") for obstacle in report.obstacles[:_MOST_OBSTACLES])
    more = len(report.obstacles) - _MOST_OBSTACLES
    if more > 0:
        yield _text(f"  and {more} more", "yellow")


def _table(report: QuiescenceReport) -> Table:
    table = Table(expand=False)
    for column in _COLUMNS:
        table.add_column(column, overflow="fold")
    for worker in report.workers:
        table.add_row(*_row(report, worker))
    if not report.workers:
        table.add_row(_text("NO WORKER is attached", "bold red"))
    return table


def _row(report: QuiescenceReport, worker: WorkerReport) -> Iterator[Text]:
    acknowledgement = worker.acknowledgement
    if worker.worker.id in report.confirmed:
        yield _text("confirmed", "green")
    elif worker.worker.id in report.unconfirmed:
        yield _text("UNCONFIRMED", "bold red")
    else:
        yield _text("busy", "yellow")
    yield _text(str(worker.worker.pid))
    yield _text(worker.worker.host)
    yield _text(f"{worker.heartbeat_age:.1f} s ago")
    yield _text(_NONE if acknowledgement is None else str(acknowledgement.revision))
    running: list[str] = []
    if acknowledgement is not None:
        running = [f"{count} {name}" for name, count in sorted(acknowledgement.in_flight.items()) if count]
        running += [f"{acknowledgement.bypassing} bypassing"] * bool(acknowledgement.bypassing)
    yield _text(", ".join(running) or _NONE)
    oldest = acknowledgement.oldest if acknowledgement else None
    yield _text(_NONE if oldest is None else f"{oldest.method:.20} {oldest.path:.80} for {oldest.age:.1f} s")
    jobs = acknowledgement.jobs if acknowledgement else {}
    yield _text(", ".join(f"{count} {kind}" for kind, count in sorted(jobs.items())) or _NONE)


def _window(window: MaintenanceWindow) -> str:
    ends = "no timeout" if window.closes_at is None else f"until {format_instant(window.closes_at)} at the latest"
    start = format_instant(window.starts_at)
    return f"{window.mode} {window.id}: {window.reason} ({window.owner}, from {start}, {ends})"


def _text(text: str, style: str = "") -> Text:
    return Text(escape(text), style=style)
