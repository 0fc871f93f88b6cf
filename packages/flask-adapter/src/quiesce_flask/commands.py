"""``flask maintenance …``: the few commands that an application's own operators need; ``quiesce`` has the rest."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import click
from flask.cli import AppGroup

from quiesce import (
    ConflictError,
    EnhancedMaintenanceModeService,
    MaintenanceWindow,
    Mode,
    QuiesceError,
    QuiescenceReport,
    StoreError,
)

_SPAN = re.compile(r"(?=\d)(?:(\d{1,4})d)?(?:(\d{1,5})h)?(?:(\d{1,7})m)?(?:(\d{1,8})s?)?")
_EXIT_CODES: tuple[tuple[type[QuiesceError], int], ...] = ((StoreError, 4), (ConflictError, 5))
_NOT_QUIESCED = 3


class _Duration(click.ParamType):  # type: ignore[type-arg] # generic only in newer versions of click
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        found = _SPAN.fullmatch(value)
        if found is None:
            self.fail(f"{value!r:.80} is no duration; write it as 90, 90s, 45m, 2h, 1h30m or 1d", param, ctx)
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def maintenance_commands(service: EnhancedMaintenanceModeService) -> AppGroup:
    """Return the group ``maintenance``; exit codes are those of ``quiesce``: 0, 2, 3, 4, 5."""
    group = AppGroup("maintenance", help="Look at and change the maintenance of this application.")

    @group.command("status", with_appcontext=False)
    def status() -> None:
        """Say whether maintenance is on."""
        with _failing_clearly():
            found = service.get_maintenance_status()
        click.echo("\n".join(map(_line, found.windows)) or "No maintenance window is open.")

    @group.command("enable", with_appcontext=False)
    @click.option("--reason", required=True, help="What users and the audit trail are told.")
    @click.option(
        "--mode", type=click.Choice([str(mode) for mode in Mode]), default=str(Mode.NORMAL), show_default=True
    )
    @click.option("--duration", type=_Duration(), help="How long the work should take; an estimate, ends nothing.")
    @click.option("--timeout", type=_Duration(), help="When the window ends by itself.")
    def enable(reason: str, mode: str, duration: timedelta | None, timeout: timedelta | None) -> None:
        """Open a window now."""
        with _failing_clearly():
            window = service.enable(
                reason=reason, mode=mode, duration=duration, timeout=timeout, actor=_actor(), source="cli"
            )
        click.echo(_line(window))

    @group.command("disable", with_appcontext=False)
    @click.option("--window", "window_id", metavar="ID", help="The window to end, when several are open.")
    @click.option("--all", "end_all", is_flag=True, help="End every open window.")
    def disable(window_id: str | None, *, end_all: bool) -> None:
        """End the open window, the one named, or all."""
        with _failing_clearly():
            windows = service.disable(window_id=window_id, end_all=end_all, actor=_actor(), source="cli")
        for window in windows:
            click.echo(f"Ended {window.id}.")

    @group.command("extend", with_appcontext=False)
    @click.argument("by", type=_Duration(), metavar="DURATION")
    @click.option("--window", "window_id", metavar="ID", help="The window to extend, when several are open.")
    def extend(by: timedelta, window_id: str | None) -> None:
        """Move the estimate and the timeout of a window."""
        with _failing_clearly():
            window = service.extend(by=by, window_id=window_id, actor=_actor(), source="cli")
        click.echo(_line(window))

    @group.command("wait", with_appcontext=False)
    @click.option("--timeout", type=_Duration(), required=True, help="How long to wait at most.")
    @click.option("--expect", type=click.IntRange(0), default=1, show_default=True, help="Workers that must confirm.")
    def wait(timeout: timedelta, expect: int) -> None:
        """Wait until nothing that is refused runs anywhere, and prove it."""
        with _failing_clearly():
            report = service.wait_until_quiesced(timeout=timeout, expected_workers=expect)
        _tell(report)

    return group


def _tell(report: QuiescenceReport) -> None:
    if report.quiesced:
        click.echo(f"Quiesced at revision {report.revision}: {len(report.confirmed)} workers confirmed.")
        return
    click.echo(f"Not quiesced at revision {report.revision}:", err=True)
    for obstacle in report.obstacles:
        click.echo(f"  {_printable(obstacle)}", err=True)
    raise SystemExit(_NOT_QUIESCED)


@contextmanager
def _failing_clearly() -> Iterator[None]:
    try:
        yield
    except QuiesceError as exc:
        click.echo(f"Error: {_printable(str(exc))}", err=True)
        raise SystemExit(next((code for kind, code in _EXIT_CODES if isinstance(exc, kind)), 2)) from exc


def _line(window: MaintenanceWindow) -> str:
    ends = "no timeout" if window.closes_at is None else f"ends {window.closes_at:%Y-%m-%dT%H:%M:%SZ} at the latest"
    return f"{window.mode} window {window.id} by {_printable(window.owner)}: {_printable(window.reason)} ({ends})"


def _printable(text: str) -> str:
    """Return the text without what would command the terminal."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)


def _actor() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run as a number that has no name
        return f"uid-{os.getuid()}"
