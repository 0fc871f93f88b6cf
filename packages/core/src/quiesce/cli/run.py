"""The command ``run``: holds a window, waits until the system is quiet, and runs a command then, and only then."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from ..control import EnhancedMaintenanceModeService
from ..control.holding import HeldWindow
from ..model import Mode, NoOpenWindowError, QuiescenceReport, SessionPolicy, StoreError
from ..web.documents import quiescence_document, window_document
from .child import attend, cannot_execute, describe_end, find_program
from .connection import Connection, connected, who_asks
from .describing import COLOURS, TITLES, window_lines
from .failures import EXIT_CONFLICT, EXIT_STORE, CommandFailedError, Failure
from .signals import SignalledError, TakenSignals
from .values import Duration
from .waiting import prove_quiet
from .windows import changing

_PATIENCE_SECONDS = 10.0
_STEP_SECONDS = 0.25
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./-]*")


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="COMMAND")
@click.option("--reason", required=True, help="What users and the audit trail are told.")
@click.option(
    "--mode",
    type=click.Choice([str(mode) for mode in Mode]),
    default=str(Mode.NORMAL),
    show_default=True,
    help="How strict the window is.",
)
@click.option("--duration", type=Duration(), help="How long the work should take; an estimate, ends nothing.")
@click.option("--block", "operations", multiple=True, metavar="TYPE", help="A type of operation to cover; repeatable.")
@click.option("--allow", multiple=True, metavar="TYPE", help="A type that passes all the same; repeatable.")
@click.option("--ticket", metavar="TEXT", default="", help="A link or number.")
@click.option(
    "--sessions",
    type=click.Choice([str(policy) for policy in SessionPolicy]),
    help="What becomes of the sessions of everyone but admins. [default: keep]",
)
@click.option("--overlap", is_flag=True, help="Open it although another window of the mode is open.")
@click.option("--no-notify", is_flag=True, help="Do not tell users.")
@click.option(
    "--wait",
    "limit",
    type=Duration(may_be_zero=True),
    default="60s",
    help="How long to wait until the system is quiet. [default: 60s]",
)
@click.option("--expect", type=click.IntRange(0, 100_000), help="How many workers must confirm. [default: 1]")
@click.option(
    "--lease",
    type=Duration(),
    default="30s",
    help="After how long without a sign of life this command is taken for lost; at least 6s. [default: 30s]",
)
@click.option(
    "--on-failure",
    type=click.Choice(["keep", "release"]),
    default="keep",
    help="What becomes of the window when the command fails or is lost. [default: keep]",
)
@connected
def run(
    connection: Connection,
    *,
    command: tuple[str, ...],
    operations: tuple[str, ...],
    allow: tuple[str, ...],
    no_notify: bool,
    limit: timedelta,
    expect: int | None,
    lease: timedelta,
    on_failure: str,
    **asked: Any,
) -> int:
    """Run a command while the system is proved quiet, in a window that ends with it.

    Write -- before COMMAND. It starts when nothing that the window refuses runs anywhere; if that is not so in time it
    never starts. Its output and the signals for it pass through, and its exit code is that of this command.
    """
    if asked["mode"] == Mode.TEST:
        raise click.UsageError("--mode: a test window refuses nothing, so the command could not rely on it")
    program = find_program(command[0])
    connection.terminal.divert()
    with TakenSignals() as signals, connection.open() as service:
        with changing(connection):
            held = service.hold(
                **asked,
                operations=operations or None,
                allow=allow or None,
                notify_users=not no_notify,
                lease_seconds=lease.total_seconds(),
                release_on_failure=on_failure == "release",
                holder=_holder(command),
                actor=who_asks(),
                source="cli",
            )
        job = _Job(connection=connection, service=service, held=held, signals=signals)
        try:
            with held:
                code = job.begin(program, command, limit=limit, expect=expect)
                return job.finish(code, releases=on_failure == "release")
        finally:
            job.answer()


@dataclass(slots=True, kw_only=True)
class _Job:
    """One command in its window.

    Attributes:
        became: what the window has become: ``ended``, ``kept``, or ``unknown``.
        exit_code: of the command; ``None`` while it has not run.
    """

    connection: Connection
    service: EnhancedMaintenanceModeService
    held: HeldWindow
    signals: TakenSignals
    became: str = "unknown"
    exit_code: int | None = None
    ending: str = ""
    reports: list[QuiescenceReport] = field(default_factory=list)

    def begin(self, program: str, command: Sequence[str], *, limit: timedelta, expect: int | None) -> int:
        """Wait for the proof, run the command to its end, and return its exit code.

        Raises:
            CommandFailedError: it was not started; the window has ended.
        """
        terminal, window = self.connection.terminal, self.held.window
        lines = [*window_lines(window, now=datetime.now(UTC)), f"end it    {self._how_to_end()}"]
        terminal.say(TITLES[window.mode], lines, colour=COLOURS[window.mode])
        try:
            prove_quiet(
                self.connection,
                self.service,
                limit=limit,
                expect=expect,
                window=window,
                pause=self.signals.pause,
                aftermath=self._give_up,
                keep=self.reports.append,
            )
            self.signals.pause(0)
            child = self.signals.start(program, command)
        except SignalledError as exc:
            failure = Failure(message=str(exc), kind="interrupted", exit_code=128 + exc.number, lines=self._give_up())
            raise CommandFailedError(failure) from exc
        except OSError as exc:
            raise CommandFailedError(cannot_execute(command[0], exc, lines=self._give_up())) from exc
        except NoOpenWindowError as exc:
            failure = Failure(message=str(exc), kind="conflict", exit_code=EXIT_CONFLICT, lines=self._give_up())
            raise CommandFailedError(failure) from exc
        self.exit_code = code = attend(child, self.signals)
        self.ending = f"the command {describe_end(code, child)}"
        return code

    def finish(self, code: int, *, releases: bool) -> int:
        """End the window or keep it, as the command ended; return the command's exit code.

        Raises:
            CommandFailedError: the command failed, or the window could not be ended.
        """
        window = self.held.window
        trouble: tuple[str, ...] = ()
        try:
            if code == 0 or releases:
                self._insist(self.held.release)
                self.became = "ended"
            else:
                self._insist(lambda: self.held.keep(self.ending))
                self.became = "kept" if self.held.is_open() else "ended"
        except (StoreError, SignalledError) as exc:
            trouble = (str(exc),)
        fate = {"ended": "has ended", "kept": "stays open", "unknown": "may be open still"}[self.became]
        message = f"{self.ending}; window {window.id} {fate}"
        if code == 0 and not trouble:
            self.connection.terminal.say(message[0].upper() + message[1:], colour="green")
            return 0
        hints: tuple[str, ...] = ()
        if self.became != "ended":
            hints = (f"end it with: {self._how_to_end()}",)
        if self.became == "kept":
            hints += (
                "or mend what failed, and run it again with --overlap; users are let in only when both have ended",
            )
        raise CommandFailedError(
            Failure(
                message=message,
                kind="command_failed" if code else "store",
                exit_code=code or EXIT_STORE,
                facts={"window_id": window.id},
                lines=(*trouble, *hints),
            )
        )

    def answer(self) -> None:
        """Give programs the document."""
        self.connection.terminal.answer(
            {
                "store": self.service.store.url,
                "service": self.service.settings.service_name,
                "window": window_document(self.held.window, now=datetime.now(UTC)),
                "quiescence": quiescence_document(self.reports[-1]) if self.reports else None,
                "exit_code": self.exit_code,
                "window_became": self.became,
            }
        )

    def _give_up(self) -> tuple[str, ...]:
        """End the window of a command that was not started; return what to tell."""
        window = self.held.window
        try:
            self._insist(self.held.release)
        except (StoreError, SignalledError) as exc:
            return (
                f"the command was not started, but window {window.id} may be open still: {exc}",
                f"end it with: {self._how_to_end()}",
            )
        self.became = "ended"
        return (f"the command was not started; window {window.id} has ended",)

    def _insist(self, act: Callable[[], object]) -> None:
        """Act, and again while the store does not answer, for a while or until a signal comes."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                act()
            except StoreError:
                if time.monotonic() >= deadline:
                    raise
            else:
                return
            self.signals.pause(_STEP_SECONDS)

    def _how_to_end(self) -> str:
        return self.connection.command("disable", "--window", self.held.window.id)


def _holder(command: Sequence[str]) -> str:
    """Return who holds the window; of the command only its leading plain words, since the rest may hold a secret."""
    shown = [os.path.basename(command[0])]  # noqa: PTH119 - a command is no path, and a path of a few bytes may be odd
    shown += itertools.takewhile(_PLAIN_WORD.fullmatch, command[1:])
    text = shlex.join(shown) + (" …" if len(shown) < len(command) else "")
    printable = "".join(c if c.isprintable() else "?" for c in text)
    return f"{who_asks()} pid {os.getpid()}: {printable[:200]}"
