"""Waits for the proof that the system is quiet, and shows who is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from ..control import EnhancedMaintenanceModeService
from ..model import MaintenanceWindow, NoOpenWindowError, NotQuiescedError, QuiescenceReport, StoreError
from ..web.documents import quiescence_document
from .connection import Connection
from .describing import progress_line, proof_lines, proof_title, stragglers
from .failures import EXIT_INTERRUPTED, EXIT_NOT_QUIESCED, CommandFailedError, Failure, describe_failure
from .terminal import Terminal, format_span

_EAGER_SECONDS = 0.5
_EAGER_STEP_SECONDS = 0.01
_STEP_SECONDS = 0.05
_LOOK_SECONDS = 0.25
_SIGN_OF_LIFE_SECONDS = 10.0


def prove_quiet(
    connection: Connection,
    service: EnhancedMaintenanceModeService,
    *,
    limit: timedelta,
    expect: int | None,
    window: MaintenanceWindow | None = None,
    keep: Callable[[QuiescenceReport], None],
) -> None:
    """Wait for the proof and tell it.

    Args:
        connection: for the terminal, and for advice that names the same store.
        service: whose store is asked.
        limit: how long to wait.
        expect: how many workers must confirm at least; ``None``: one, because none at all proves nothing.
        window: that this command opened, and that must stay open until the proof.
        keep: is given each report.

    Raises:
        CommandFailedError: not quiet in time, or interrupted; tells what stands in the way and what stays open.
        NoOpenWindowError: nothing is refused any more, so that waiting is in vain.
        StoreError: the store did not answer, and no window was opened here.
    """
    terminal = connection.terminal
    try:
        report = _wait(service, terminal, limit=limit, expect=1 if expect is None else expect, window=window, keep=keep)
    except NotQuiescedError as exc:
        raise CommandFailedError(_not_quiesced(connection, exc.report, limit=limit, window=window)) from exc
    except StoreError as exc:
        failure = describe_failure(exc, lines=_stays_open(connection, window))
        if window is None or failure is None:
            raise
        raise CommandFailedError(failure) from exc
    except KeyboardInterrupt:
        message = "interrupted; whatever was open stays open"
        lines = _stays_open(connection, window)
        raise CommandFailedError(
            Failure(message=message, kind="interrupted", exit_code=EXIT_INTERRUPTED, lines=lines, facts=_facts(window))
        ) from None
    terminal.say(proof_title(report), proof_lines(report), colour="green")


def warn_of_nobody(terminal: Terminal, service: EnhancedMaintenanceModeService, report: QuiescenceReport) -> None:
    """Say loudly when no worker is attached to the store: it may be the wrong one."""
    if not report.workers:
        terminal.warn(
            f"NO WORKER is attached to the store {service.store.url} (service {service.settings.service_name}):"
            " no running application sees this; is it the store that the application uses?"
        )


def _wait(
    service: EnhancedMaintenanceModeService,
    terminal: Terminal,
    *,
    limit: timedelta,
    expect: int,
    window: MaintenanceWindow | None,
    keep: Callable[[QuiescenceReport], None],
) -> QuiescenceReport:
    started = time.monotonic()
    deadline = started + limit.total_seconds()
    display = _Display(terminal, started=started)
    look_at = started + _LOOK_SECONDS
    if window is None:
        _check_refusing(service, None)
    while True:
        report: QuiescenceReport | None = None
        trouble: StoreError | None = None
        try:
            report = service.quiescence(expected_workers=expect)
            keep(report)
            warn_of_nobody(terminal, service, report)
            now = time.monotonic()
            if report.quiesced or now >= look_at:
                _check_refusing(service, window)
            if report.quiesced:
                return report
        except StoreError as exc:
            trouble = exc
            now = time.monotonic()
        if now >= look_at:
            display.show(report, trouble, now=now)
            look_at = now + _LOOK_SECONDS
        if now >= deadline:
            if report is None:
                raise trouble or AssertionError
            raise NotQuiescedError(report)
        step = _EAGER_STEP_SECONDS if now - started < _EAGER_SECONDS else _STEP_SECONDS
        time.sleep(min(step, max(0.0, deadline - now)))


class _Display:
    """Repeats the live line at each look; without a terminal only when something but the time has changed."""

    def __init__(self, terminal: Terminal, *, started: float) -> None:
        self._terminal = terminal
        self._started = started
        self._shown: object = None
        self._shown_at = started

    def show(self, report: QuiescenceReport | None, trouble: StoreError | None, *, now: float) -> None:
        elapsed = now - self._started
        key: object
        if report is None:
            key, text = str(trouble), f"{elapsed:.1f} s: {trouble}; trying again"
        else:
            key = (report.revision, report.confirmed, report.unconfirmed, sorted(report.in_flight.items()))
            text = progress_line(report, elapsed_seconds=elapsed)
        if self._terminal.is_live or key != self._shown or now >= self._shown_at + _SIGN_OF_LIFE_SECONDS:
            self._terminal.progress(text)
            self._shown, self._shown_at = key, now


def _check_refusing(service: EnhancedMaintenanceModeService, window: MaintenanceWindow | None) -> None:
    """Raise ``NoOpenWindowError`` unless the window, or any that refuses something, is still open."""
    refusing = [open_.id for open_ in service.get_maintenance_status().windows if open_.mode.is_enforced]
    if window is not None and window.id not in refusing:
        raise NoOpenWindowError(f"window {window.id} has ended while this command was waiting")
    if not refusing:
        raise NoOpenWindowError("no window is open that refuses anything, so there is nothing to wait for")


def _not_quiesced(
    connection: Connection, report: QuiescenceReport, *, limit: timedelta, window: MaintenanceWindow | None
) -> Failure:
    advice: tuple[str, ...] = ()
    if not report.workers:
        advice = ("if no worker is meant to be running, say so with --expect 0",)
    elif not stragglers(report) and not report.in_flight:
        advice = ("every worker that is known is quiet",)
    return Failure(
        message=f"not quiesced within {format_span(limit)}, at revision {report.revision}",
        kind="not_quiesced",
        exit_code=EXIT_NOT_QUIESCED,
        facts={**_facts(window), "quiescence": quiescence_document(report)},
        lines=(*report.obstacles, *advice, *_stays_open(connection, window)),
    )


def _facts(window: MaintenanceWindow | None) -> dict[str, object]:
    return {} if window is None else {"window_id": window.id}


def _stays_open(connection: Connection, window: MaintenanceWindow | None) -> tuple[str, ...]:
    if window is None:
        return (f"what is open stays open; see it with: {connection.command('status')}",)
    return (
        f"window {window.id} stays open; go on waiting with: {connection.command('wait', '--timeout', '60s')}",
        f"or end it with: {connection.command('disable', '--window', window.id)}",
    )
