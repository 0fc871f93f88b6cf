"""The commands ``sessions stats|list|end|prevent-logins|allow-logins``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import click

from ..control import EnhancedMaintenanceModeService
from ..model import ActiveSession, SessionStats
from ..web.documents import window_document
from ..web.session_documents import deletion_document, ending_document, session_document, stats_document
from .connection import Connection, connected, who_asks
from .describing import COLOURS, window_lines
from .terminal import format_instant, format_span
from .values import Duration
from .windows import changing

_UNTRACKED = "no worker tracks sessions, or none has for a minute: numbers may be old or missing"


@click.group()
def sessions() -> None:
    """Count, list and end the sessions of the application's users."""


@sessions.command()
@click.option("--within", type=Duration(), default="15m", help="How far back to look. [default: 15m]")
@connected
def stats(connection: Connection, *, within: timedelta) -> None:
    """Show how many sessions of users and of admins were active lately."""
    with connection.open() as service:
        found = service.sessions.stats(within=within)
        _warn_of_unknown(connection, found)
        deletions = service.sessions.deletions()
        lines = [*_lines(found), *(f"stored    {deletion}" for deletion in deletions)]
        connection.terminal.say(f"Sessions active in the last {format_span(within)}", lines)
        documents = [deletion_document(deletion) for deletion in deletions]
        connection.terminal.answer({**_of(service), "stats": stats_document(found), "deletions": documents})


@sessions.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, help="How many at most. [default: 100]")
@click.option("--skip", type=click.IntRange(0, 9000), default=0, help="How many to leave out. [default: 0]")
@connected
def list_(connection: Connection, *, limit: int, skip: int) -> None:
    """List sessions, the one that was active last first."""
    with connection.open() as service:
        found = service.sessions.list(limit=limit, skip=skip)
        _warn_of_unknown(connection, service.sessions.stats())
        title = f"{len(found)} sessions" if found else "No session is known"
        connection.terminal.say(title, map(_describe, found))
        connection.terminal.answer({**_of(service), "sessions": [session_document(session) for session in found]})


@sessions.command()
@click.option("--user", "user_id", metavar="ID", help="The user whose sessions end, by the application's own id.")
@click.option("--all", "is_all", is_flag=True, help="Those of everyone but admins; asks first.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@connected
def end(connection: Connection, *, user_id: str | None, is_all: bool, yes: bool) -> None:
    """End the sessions of one user, or of everyone but admins.

    With --all it asks before; where nobody can answer it needs --yes.
    """
    if (user_id is None) is not is_all:
        raise click.UsageError("give one of --user and --all")
    if is_all and not yes:
        if connection.terminal.as_json or not connection.terminal.can_ask:
            raise click.UsageError("--all logs everybody out but admins, and nobody can be asked here: give --yes")
        click.confirm("Log out everybody but admins?", abort=True, err=True)
    with connection.open() as service, changing(connection):
        epoch = service.sessions.invalidate(user_id=user_id, actor=who_asks(), source="cli")
        whose = "everyone but admins" if user_id is None else f"user {user_id}"
        connection.terminal.say(
            f"Ended the sessions of {whose}",
            [f"sessions from before {format_instant(epoch.latest)} are over; people log in anew"],
        )
        connection.terminal.answer({**_of(service), "ended": ending_document(epoch, user_id=user_id)})


@sessions.command("prevent-logins")
@click.option("--reason", required=True, help="What users and the audit trail are told.")
@click.option("--timeout", type=Duration(), help="When logins are allowed again by themselves.")
@connected
def prevent_logins(connection: Connection, *, reason: str, timeout: timedelta | None) -> None:
    """Let nobody but admins log in, and leave everything else alone."""
    with connection.open() as service, changing(connection):
        window = service.sessions.prevent_logins(reason=reason, timeout=timeout, actor=who_asks(), source="cli")
        now = datetime.now(UTC)
        undo = connection.command("sessions", "allow-logins")
        lines = [*window_lines(window, now=now), f"end it    {undo}"]
        connection.terminal.say("Nobody but admins can log in", lines, colour=COLOURS[window.mode])
        connection.terminal.answer({**_of(service), "window": window_document(window, now=now)})


@sessions.command("allow-logins")
@connected
def allow_logins(connection: Connection) -> None:
    """End what prevent-logins began, and no other window."""
    with connection.open() as service, changing(connection):
        ended = service.sessions.restore_logins(actor=who_asks(), source="cli")
        now = datetime.now(UTC)
        for window in ended:
            connection.terminal.say(f"Ended window {window.id}", window_lines(window, now=now))
        connection.terminal.answer({**_of(service), "ended": [window_document(window, now=now) for window in ended]})


def _warn_of_unknown(connection: Connection, found: SessionStats) -> None:
    if not found.is_tracked:
        connection.terminal.warn(_UNTRACKED)


def _lines(found: SessionStats) -> Iterator[str]:
    about = "at least " if found.is_estimate else ""
    yield "users     " + ("unknown" if found.users is None else f"{about}{found.users}")
    yield "admins    " + ("unknown" if found.admins is None else f"{about}{found.admins}")


def _describe(session: ActiveSession) -> str:
    who = f"{'admin' if session.is_admin else 'user'} {session.user_id}"
    over = ", ended" if session.is_over else ""
    return f"{session.id[:8]}  {who}, active {format_span(session.idle)} ago{over}"


def _of(service: EnhancedMaintenanceModeService) -> dict[str, str]:
    return {"store": service.store.url, "service": service.settings.service_name}
