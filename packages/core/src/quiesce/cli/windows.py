"""The commands that change something: ``enable``, ``disable``, ``extend``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import click

from ..control import EnhancedMaintenanceModeService
from ..model import (
    AmbiguousWindowError,
    MaintenanceWindow,
    Mode,
    QuiescenceReport,
    SessionPolicy,
    StoreError,
    StoreURLError,
    WindowOpenError,
)
from ..web.documents import quiescence_document, window_document
from .connection import Connection, connected, who_asks
from .describing import COLOURS, TITLES, count_of_workers, window_lines
from .failures import CommandFailedError, describe_failure
from .values import Duration
from .waiting import prove_quiet, warn_of_nobody

_ALL = "all"


@click.command()
@click.option("--reason", required=True, help="What users and the audit trail are told.")
@click.option(
    "--mode",
    type=click.Choice([str(mode) for mode in Mode]),
    default=str(Mode.NORMAL),
    show_default=True,
    help="How strict the window is.",
)
@click.option("--duration", type=Duration(), help="How long the work should take; an estimate, ends nothing.")
@click.option("--timeout", type=Duration(), help="When the window ends by itself; not before the estimate.")
@click.option("--block", "operations", multiple=True, metavar="TYPE", help="A type of operation to cover; repeatable.")
@click.option("--allow", multiple=True, metavar="TYPE", help="A type that passes all the same; repeatable.")
@click.option("--ticket", metavar="TEXT", default="", help="A link or number.")
@click.option(
    "--sessions",
    type=click.Choice([str(policy) for policy in SessionPolicy]),
    help="What becomes of the sessions of everyone but admins. [default: revoke; keep with --block]",
)
@click.option("--overlap", is_flag=True, help="Open it although another window of the mode is open.")
@click.option("--wait", "limit", type=Duration(may_be_zero=True), help="Wait so long for the proof of quiescence.")
@click.option(
    "--expect", type=click.IntRange(0, 100_000), help="With --wait: how many workers must confirm. [default: 1]"
)
@click.option("--no-notify", is_flag=True, help="Do not tell users.")
@connected
def enable(
    connection: Connection,
    *,
    limit: timedelta | None,
    expect: int | None,
    operations: tuple[str, ...],
    allow: tuple[str, ...],
    no_notify: bool,
    **asked: Any,
) -> None:
    """Open a window now, and with --wait prove that the system is quiet."""
    if limit is not None and asked["mode"] == Mode.TEST:
        raise click.UsageError("--wait: a test window refuses nothing, so there is nothing to wait for")
    if expect is not None and limit is None:
        raise click.UsageError("--expect says what --wait waits for; give both")
    with connection.open() as service, changing(connection):
        window = service.enable(
            **asked,
            operations=operations or None,
            allow=allow or None,
            notify_users=not no_notify,
            actor=who_asks(),
            source="cli",
        )
        connection.terminal.say(
            TITLES[window.mode],
            [*window_lines(window, now=datetime.now(UTC)), f"end it    {_end(connection, window)}"],
            colour=COLOURS[window.mode],
        )
        reports: list[QuiescenceReport] = []
        try:
            if limit is None:
                reports += look_for_workers(connection, service)
            else:
                prove_quiet(connection, service, limit=limit, expect=expect, window=window, keep=reports.append)
        finally:
            connection.terminal.answer(
                {
                    **where(service),
                    "window": window_document(window, now=datetime.now(UTC)),
                    "quiescence": quiescence_document(reports[-1]) if reports else None,
                }
            )


@click.command()
@click.option("--window", "window_id", metavar="ID", help="The window to end, when several are open.")
@click.option("--all", "end_all", is_flag=True, help="End every open window.")
@connected
def disable(connection: Connection, *, window_id: str | None, end_all: bool) -> None:
    """End the open window, the one named, or all."""
    if window_id is not None and end_all:
        raise click.UsageError("--window and --all contradict each other")
    with connection.open() as service, changing(connection):
        end = partial(service.disable, actor=who_asks(), source="cli")
        try:
            ended = end(window_id=window_id, end_all=end_all)
        except AmbiguousWindowError:
            if connection.terminal.as_json or not connection.terminal.can_ask:
                raise
            chosen = _ask_which(connection, service)
            ended = end(window_id=None if chosen == _ALL else chosen, end_all=chosen == _ALL)
        now = datetime.now(UTC)
        for window in ended:
            connection.terminal.say(f"Ended {window.mode} window {window.id}", window_lines(window, now=now))
        look_for_workers(connection, service)
        connection.terminal.answer({**where(service), "ended": [window_document(window, now=now) for window in ended]})


@click.command()
@click.argument("by", type=Duration(), metavar="DURATION")
@click.option("--window", "window_id", metavar="ID", help="The window to extend, when several are open.")
@connected
def extend(connection: Connection, *, by: timedelta, window_id: str | None) -> None:
    """Move the estimate and the timeout of the open window, or of the one named."""
    with connection.open() as service, changing(connection):
        window = service.extend(by=by, window_id=window_id, actor=who_asks(), source="cli")
        now = datetime.now(UTC)
        lines = window_lines(window, now=now)
        connection.terminal.say(f"Extended {window.mode} window {window.id}", lines)
        look_for_workers(connection, service)
        connection.terminal.answer({**where(service), "window": window_document(window, now=now)})


def _ask_which(connection: Connection, service: EnhancedMaintenanceModeService) -> str:
    """Return the id of the open window that the operator chooses, or ``all``."""
    windows = service.get_maintenance_status().windows
    connection.terminal.ask_about(f"{window.id}  {window.mode}: {window.reason}" for window in windows)
    choices = click.Choice([*(window.id for window in windows), _ALL])
    chosen: str = click.prompt("Several windows are open. Which is to end?", type=choices, err=True)
    return chosen


@contextmanager
def changing(connection: Connection) -> Iterator[None]:
    """Add to an error what it leaves open."""
    try:
        yield
    except StoreURLError:
        raise
    except (StoreError, WindowOpenError) as exc:
        if isinstance(exc, StoreError):
            hint = f"whether anything changed is not known; once the store answers, ask: {connection.command('status')}"
        else:
            hint = f"extend it with 'quiesce extend', or give --overlap, or end it: {_end(connection, exc.window_id)}"
        failure = describe_failure(exc, lines=(hint,))
        if failure is None:
            raise
        raise CommandFailedError(failure) from exc


def _end(connection: Connection, window: MaintenanceWindow | str) -> str:
    return connection.command("disable", "--window", window if isinstance(window, str) else window.id)


def look_for_workers(connection: Connection, service: EnhancedMaintenanceModeService) -> list[QuiescenceReport]:
    """Say who is attached to the store that was written to; return the report, if there is one."""
    try:
        report = service.quiescence()
    except StoreError as exc:
        connection.terminal.warn(f"this was done, but the store no longer tells which workers there are: {exc}")
        return []
    warn_of_nobody(connection.terminal, service, report)
    if report.workers:
        connection.terminal.say(f"{count_of_workers(len(report.workers))} attached to {service.store.url}")
    return [report]


def where(service: EnhancedMaintenanceModeService) -> dict[str, str]:
    """Return what tells programs where something was done."""
    return {"store": service.store.url, "service": service.settings.service_name}
