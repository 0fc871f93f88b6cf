"""Waits for the proof that the system is quiet, and shows who is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from ..control import EnhancedMaintenanceModeService
from ..model import MaintenanceWindow, NoOpenWindowError, NotQuiescedError, QuiescenceReport, StoreError
from ..web.documents import quiescence_document
from .connection import Connection, who_asks
from .describing import progress_line, proof_lines, proof_title, stragglers
from .failures import EXIT_INTERRUPTED, EXIT_NOT_QUIESCED, CommandFailedError, Failure, describe_failure
from .terminal import Terminal, format_span

_EAGER_SECONDS = 0.5
_EAGER_STEP_SECONDS = 0.01
_STEP_SECONDS = 0.05
_LOOK_SECONDS = 0.25
_SIGN_OF_LIFE_SECONDS = 10.0
_GAP_SECONDS = 2.0
"""A longer time between two looks (this process was stopped, the machine slept) was not watched."""


def prove_quiet(
    connection: Connection,
    service: EnhancedMaintenanceModeService,
    *,
    limit: timedelta,
    expect: int | None,
    window: MaintenanceWindow | None = None,
    steady: timedelta = timedelta(0),
    pause: Callable[[float], None] = time.sleep,
    aftermath: Callable[[], tuple[str, ...]] | None = None,
    keep: Callable[[QuiescenceReport], None],
) -> None:
    """Wait for the proof, note it in the audit trail, and tell it.

    Args:
        connection: for the terminal, and for advice that names the same store.
        service: whose store is asked.
        limit: how long to wait.
        expect: how many workers must confirm at least; ``None``: one, because none at all proves nothing.
        window: that this command opened, and that must stay open until the proof.
        steady: for how long every look must find the system quiet.
        pause: waits between two looks; what it raises ends the waiting.
        aftermath: asked when the proof does not come, for what becomes of the window; ``None``: it stays open.
        keep: is given each report.

    Raises:
        CommandFailedError: not quiet in time, or interrupted; tells what stands in the way and what stays open.
        NoOpenWindowError: nothing is refused any more, so that waiting is in vain.
        StoreError: the store did not answer, and no window was opened here.
    """
    terminal = connection.terminal
    watch = _Watch(
        service=service,
        terminal=terminal,
        expect=1 if expect is None else expect,
        window=window,
        keep=keep,
        pause=pause,
    )
    left = aftermath or partial(_stays_open, connection, window)
    try:
        report = watch.wait(limit=limit, steady=steady)
    except NotQuiescedError as exc:
        failure = _not_quiesced(exc.report, limit=limit, steady=steady, window=window)
        raise CommandFailedError(replace(failure, lines=(*failure.lines, *left()))) from exc
    except StoreError as exc:
        described = None if window is None else describe_failure(exc, lines=left())
        if described is None:
            raise
        raise CommandFailedError(described) from exc
    except KeyboardInterrupt:
        message = "interrupted; whatever was open stays open"
        lines = left()
        raise CommandFailedError(
            Failure(message=message, kind="interrupted", exit_code=EXIT_INTERRUPTED, lines=lines, facts=_facts(window))
        ) from None
    terminal.say(proof_title(report), proof_lines(report), colour="green")
    try:
        service.note_quiesced(report, actor=who_asks(), source="cli")
    except StoreError as exc:
        terminal.warn(f"this was proven, but the store did not take the note of it: {exc}")


def warn_of_nobody(terminal: Terminal, service: EnhancedMaintenanceModeService, report: QuiescenceReport) -> None:
    """Say loudly when no worker is attached to the store: it may be the wrong one."""
    if not report.workers:
        terminal.warn(
            f"NO WORKER is attached to the store {service.store.url} (service {service.settings.service_name}):"
            " no running application sees this; is it the store that the application uses?"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watch:
    """Looks again and again whether the system is quiet."""

    service: EnhancedMaintenanceModeService
    terminal: Terminal
    expect: int
    window: MaintenanceWindow | None
    keep: Callable[[QuiescenceReport], None]
    pause: Callable[[float], None]

    def wait(self, *, limit: timedelta, steady: timedelta) -> QuiescenceReport:
        """Return the report that ends the waiting, or raise why there is none."""
        started = time.monotonic()
        deadline = started + limit.total_seconds()
        display = _Display(self.terminal, started=started)
        calm = _Calm(steady.total_seconds())
        look_at = started + _LOOK_SECONDS
        if self.window is None:
            _check_refusing(self.service, None)
        while True:
            asked_at = time.monotonic()
            report, trouble = self._look(is_thorough=asked_at >= look_at)
            now = time.monotonic()
            is_quiet = report is not None and report.quiesced
            has_lasted = calm.lasts(is_quiet=is_quiet, asked_at=asked_at, now=now)
            if report is not None and has_lasted:
                return report
            if now >= look_at:
                display.show(report, trouble, now=now, quiet_seconds=calm.seconds(now))
                look_at = now + _LOOK_SECONDS
            if now >= deadline:
                if report is None:
                    raise trouble or AssertionError
                raise NotQuiescedError(report)
            step = _EAGER_STEP_SECONDS if now - started < _EAGER_SECONDS else _STEP_SECONDS
            self.pause(min(step, max(0.0, deadline - now)))

    def _look(self, *, is_thorough: bool) -> tuple[QuiescenceReport | None, StoreError | None]:
        try:
            report = self.service.quiescence(expected_workers=self.expect)
            self.keep(report)
            warn_of_nobody(self.terminal, self.service, report)
            if report.quiesced or is_thorough:
                _check_refusing(self.service, self.window)
        except StoreError as exc:
            return None, exc
        return report, None


class _Calm:
    """How long every look has found the system quiet, from the end of the first such look to the start of the last."""

    def __init__(self, wanted_seconds: float) -> None:
        self._wanted = wanted_seconds
        self._since: float | None = None
        self._looked_at = float("-inf")

    def lasts(self, *, is_quiet: bool, asked_at: float, now: float) -> bool:
        """Count one look in; return whether that makes it long enough."""
        if asked_at - self._looked_at > _GAP_SECONDS:
            self._since = None
        self._looked_at = now
        if not is_quiet:
            self._since = None
        elif self._since is None:
            self._since = now
        return self._since is not None and (not self._wanted or asked_at - self._since >= self._wanted)

    def seconds(self, now: float) -> float:
        """Return the seconds until now."""
        return 0.0 if self._since is None else now - self._since


class _Display:
    """Repeats the live line at each look; without a terminal only when something but the time has changed."""

    def __init__(self, terminal: Terminal, *, started: float) -> None:
        self._terminal = terminal
        self._started = started
        self._shown: object = None
        self._shown_at = started

    def show(
        self, report: QuiescenceReport | None, trouble: StoreError | None, *, now: float, quiet_seconds: float
    ) -> None:
        elapsed = now - self._started
        key: object
        if report is None:
            key, text = str(trouble), f"{elapsed:.1f} s: {trouble}; trying again"
        else:
            key = (report.revision, report.confirmed, report.unconfirmed, sorted(report.in_flight.items()))
            text = progress_line(report, elapsed_seconds=elapsed)
            if report.quiesced:
                text += f"; quiet for {quiet_seconds:.1f} s"
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
    report: QuiescenceReport, *, limit: timedelta, steady: timedelta, window: MaintenanceWindow | None
) -> Failure:
    advice: tuple[str, ...] = ()
    spell = f" for {format_span(steady)} without a break" if steady else ""
    if not report.workers:
        advice = ("if no worker is meant to be running, say so with --expect 0",)
    elif not stragglers(report) and not report.in_flight and not report.quiesced:
        advice = ("every worker that is known is quiet",)
    return Failure(
        message=f"not quiesced{spell} within {format_span(limit)}, at revision {report.revision}",
        kind="not_quiesced",
        exit_code=EXIT_NOT_QUIESCED,
        facts={**_facts(window), "quiescence": quiescence_document(report)},
        lines=(*report.obstacles, *advice),
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
