"""The command ``status``: what is in force, who applies it, and what it has refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import click

from ..control import MaintenanceStatus
from ..model import CountKey, EmergencyProgress, Mode, NoOpenWindowError, Outcome, QuiescenceReport, StoreError
from ..web.alert_documents import alert_document
from ..web.documents import quiescence_document, status_document, window_document
from .connection import Connection, connected
from .describing import COLOURS, TITLES, alert_line, describe_counts, step_line, window_lines
from .terminal import format_instant

_COUNTED = (Outcome.REFUSED, Outcome.BYPASSED, Outcome.WOULD_BLOCK)


@click.command()
@connected
def status(connection: Connection) -> None:
    """Show what is in force, who applies it, and what it has refused."""
    with connection.open() as service:
        current = service.get_maintenance_status()
        report = service.quiescence()
        counts = _totals(current, service.blocked_counts()) if current.windows else {}
        steps = None
        if current.mode is Mode.EMERGENCY:
            try:
                steps = service.emergency.progress()
            except NoOpenWindowError:
                pass  # it has just ended
            except StoreError as exc:
                connection.terminal.warn(f"how far the steps of the emergency are is not known: {exc}")
        title = "No maintenance window is open" if current.mode is None else TITLES[current.mode]
        colour = "green" if current.mode is None else COLOURS[current.mode]
        store = f"{service.store.url} (service {service.settings.service_name}, revision {report.revision})"
        connection.terminal.say(title, _lines(current, report, counts, steps, store=store), colour=colour)
        if current.is_active and not report.workers:
            connection.terminal.warn(f"NO WORKER is attached to the store {service.store.url}: nothing applies this")
        for name, problem in service.config.problems().items():
            connection.terminal.warn(f"the store keeps {name}, but it is not in force here: {problem}")
        connection.terminal.answer(
            {
                **status_document(current),
                "windows": [window_document(window, now=datetime.now(UTC)) for window in current.windows],
                "alerts": [alert_document(alert) for alert in current.alerts],
                "store": service.store.url,
                "service": service.settings.service_name,
                "is_enforcing": service.settings.enabled,
                "quiescence": quiescence_document(report),
                "counts": {str(outcome): dict(sorted(totals.items())) for outcome, totals in counts.items()},
                "emergency": _steps_document(steps),
            }
        )


def _lines(
    current: MaintenanceStatus,
    report: QuiescenceReport,
    counts: Mapping[Outcome, Counter[str]],
    steps: EmergencyProgress | None,
    *,
    store: str,
) -> Iterator[str]:
    now = datetime.now(UTC)
    yield from (f"ALERT     {alert_line(alert)}" for alert in current.alerts)
    for window in current.windows:
        yield from window_lines(window, now=now)
    if current.blocked_operations:
        yield f"refuses   {', '.join(operation.name for operation in current.blocked_operations)}"
    for outcome, totals in counts.items():
        if totals:
            yield f"{outcome.replace('_', ' '):<11} " + ", ".join(f"{n} {name}" for name, n in sorted(totals.items()))
    if steps is not None:
        yield f"steps     of emergency {steps.window_id}, carried out by {steps.runner or 'nobody yet'}:"
        yield from (f"  {step_line(step)}" for step in steps.steps)
    coming = current.next_window
    if coming is not None:
        yield f"next      {format_instant(coming.starts_at)}: {coming.id} ({coming.mode}), {coming.reason}"
    yield f"store     {store}"
    enforced = any(window.mode.is_enforced for window in current.windows)
    yield f"workers   {len(report.workers)} attached" + (f", {len(report.confirmed)} confirmed" if enforced else "")
    yield from (f"jobs      {describe_counts(counts)}" for counts in report.job_counts)
    if enforced and report.workers:
        if report.quiesced:
            until = "an operator ends the window" if report.holds_until is None else format_instant(report.holds_until)
            yield f"quiesced  yes, until {until}"
        else:
            yield "quiesced  no:"
            yield from (f"  {obstacle}" for obstacle in report.obstacles)


def _steps_document(steps: EmergencyProgress | None) -> dict[str, Any] | None:
    if steps is None:
        return None
    from ..web.emergency_documents import progress_document  # noqa: PLC0415 - only in an emergency

    return progress_document(steps)


def _totals(current: MaintenanceStatus, counts: Mapping[CountKey, int]) -> dict[Outcome, Counter[str]]:
    """Return what became of requests in the open windows, by outcome and type."""
    ids = {window.id for window in current.windows}
    totals = {outcome: Counter[str]() for outcome in _COUNTED}
    for key, count in counts.items():
        if key.window_id in ids and key.outcome in totals:
            totals[key.outcome][key.operation] += count
    return totals
