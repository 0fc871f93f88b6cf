"""The command ``emergency``: refuse everything now, and follow the steps until they are done."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import click

from ..control import EnhancedMaintenanceModeService
from ..model import EmergencyProgress, EmergencyStep, MaintenanceWindow, Mode, StepStatus, StoreError
from ..web.documents import window_document
from ..web.emergency_documents import progress_document
from .connection import Connection, connected, who_asks
from .describing import COLOURS, TITLES, step_line, window_lines
from .failures import EXIT_INTERRUPTED, EXIT_NOT_QUIESCED, CommandFailedError, Failure, describe_failure
from .terminal import format_span
from .values import Duration
from .windows import changing, look_for_workers, where

_WAIT_BESIDE_GRACE = timedelta(seconds=60)
_GRACE_SHOWN = "the grace period of jobs and 60s"
_SHOWN = frozenset({StepStatus.DONE, StepStatus.SKIPPED, StepStatus.FAILED})
_COLOURS = {StepStatus.DONE: "green", StepStatus.SKIPPED: None, StepStatus.FAILED: "red"}


@click.command()
@click.argument("reason", metavar="REASON")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--duration", type=Duration(), help="How long it should take; an estimate, ends nothing.")
@click.option("--timeout", type=Duration(), help="When it ends by itself. [default: never]")
@click.option("--ticket", metavar="TEXT", default="", help="A link or number.")
@click.option("--overlap", is_flag=True, help="Begin it although another emergency is on.")
@click.option(
    "--wait",
    "limit",
    type=Duration(may_be_zero=True),
    help=f"How long to follow the steps. [default: {_GRACE_SHOWN}]",
)
@click.option("--no-wait", is_flag=True, help="Return as soon as everything is refused.")
@connected
def emergency(
    connection: Connection,
    *,
    reason: str,
    yes: bool,
    duration: timedelta | None,
    timeout: timedelta | None,
    ticket: str,
    overlap: bool,
    limit: timedelta | None,
    no_wait: bool,
) -> None:
    """Refuse everything but admins at once, end sessions and jobs, and say how far that is."""
    if no_wait and limit is not None:
        raise click.UsageError("--wait and --no-wait contradict each other")
    if not yes:
        if not connection.terminal.can_ask:
            raise click.UsageError("--yes: must be given where nobody can be asked")
        click.confirm(
            "Refuse everything to everyone but admins, and end their sessions and jobs?", abort=True, err=True
        )
    with connection.open() as service, changing(connection):
        window = service.emergency.activate(
            reason=reason,
            duration=duration,
            timeout=timeout,
            ticket=ticket,
            overlap=overlap,
            actor=who_asks(),
            source="cli",
        )
        recover = connection.command("recover", window.id, "--threat-resolved", "…")
        connection.terminal.say(
            TITLES[Mode.EMERGENCY],
            [*window_lines(window, now=datetime.now(UTC)), f"end it    {recover}"],
            colour=COLOURS[Mode.EMERGENCY],
        )
        reports = look_for_workers(connection, service)
        if no_wait and reports and not reports[0].workers:
            connection.terminal.warn("nobody carries out the other steps: where no worker runs, leave out --no-wait")
        span = limit if limit is not None else service.settings.job_grace_period + _WAIT_BESIDE_GRACE
        _Following(connection, service, window).follow(timedelta(0) if no_wait else span, is_failure=not no_wait)


class _Following:
    """Shows each step when something has come of it, and the whole document in the end."""

    def __init__(
        self, connection: Connection, service: EnhancedMaintenanceModeService, window: MaintenanceWindow
    ) -> None:
        self._connection = connection
        self._service = service
        self._window = window
        self._shown: dict[str, EmergencyStep] = {}
        self._last: EmergencyProgress | None = None
        self._started = time.monotonic()

    def follow(self, limit: timedelta, *, is_failure: bool) -> None:
        """Wait until all is done.

        Raises:
            CommandFailedError: it is not, and that is a failure; or interrupted.
        """
        try:
            self._service.emergency.wait(self._window.id, timeout=limit, watch=self._look)
        except StoreError as exc:
            failure = describe_failure(exc, lines=self._advice())
            if failure is None:
                raise
            raise CommandFailedError(failure) from exc
        except KeyboardInterrupt:
            message = "interrupted; the emergency goes on, and so do its steps where a worker carries them out"
            raise CommandFailedError(
                Failure(message=message, kind="interrupted", exit_code=EXIT_INTERRUPTED, lines=self._advice())
            ) from None
        finally:
            self._answer()
        if is_failure and self._last is not None and not self._last.is_settled:
            raise CommandFailedError(self._not_done(self._last, limit))

    def _look(self, progress: EmergencyProgress) -> None:
        self._last = progress
        terminal = self._connection.terminal
        for step in progress.steps:
            known = self._shown.get(step.name)
            if step.status in _SHOWN and (known is None or _gist(known) != _gist(step)):
                self._shown[step.name] = step
                terminal.say(step_line(step), colour=_COLOURS[step.status])
        going_on = [step.name for step in progress.steps if not step.is_settled]
        if going_on and terminal.is_live:
            terminal.progress(
                f"{time.monotonic() - self._started:.0f} s: {', '.join(going_on)}; by {progress.runner or 'nobody yet'}"
            )

    def _answer(self) -> None:
        terminal = self._connection.terminal
        terminal.clear_progress()
        terminal.answer(
            {
                **where(self._service),
                "window": window_document(self._window, now=datetime.now(UTC)),
                "emergency": None if self._last is None else progress_document(self._last),
            }
        )

    def _not_done(self, progress: EmergencyProgress, limit: timedelta) -> Failure:
        left = [step for step in progress.steps if not step.is_settled]
        names = ", ".join(step.name for step in left)
        lines = [f"{step.name}: {problem}" for step in left for problem in step.problems]
        if not progress.runner:
            lines.append("no worker has taken up the steps yet")
        return Failure(
            message=f"everything is refused, but not every step is done within {format_span(limit)}: {names}",
            kind="not_done",
            exit_code=EXIT_NOT_QUIESCED,
            facts={"window_id": progress.window_id, "emergency": progress_document(progress)},
            lines=(*lines, *self._advice()),
        )

    def _advice(self) -> tuple[str, ...]:
        return (f"what is done is tried again as long as it lasts; see it with: {self._connection.command('status')}",)


def _gist(step: EmergencyStep) -> tuple[object, ...]:
    return step.status, step.detail, step.problems
