"""The commands ``pass issue``, ``pass list`` and ``pass revoke``: let somebody through who is no administrator."""

from __future__ import annotations

from datetime import timedelta

import click

from ..gate import PASS_COOKIE, PASS_HEADER
from ..model import BypassPass
from ..web.documents import pass_document
from ..web.routing import PREFIX
from .connection import Connection, connected, who_asks
from .failures import EXIT_INVALID
from .terminal import format_instant
from .values import Duration
from .windows import changing, look_for_workers, where

_PATH = f"{PREFIX}/pass"


@click.group(invoke_without_command=True)
@click.pass_context
def passes(ctx: click.Context) -> None:
    """Let testers and probes through closed windows."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(EXIT_INVALID)


@passes.command()
@click.option("--name", required=True, metavar="TEXT", help="Who it is for.")
@click.option("--for", "lifetime", type=Duration(), help="How long it is good, 24h at most. [default: 1h]")
@click.option("--window", "window_id", metavar="ID", help="The only window that it opens, now or to come.")
@click.option("--emergency", is_flag=True, help="It opens emergencies too.")
@connected
def issue(
    connection: Connection, *, name: str, lifetime: timedelta | None, window_id: str | None, emergency: bool
) -> None:
    """Issue a pass, and print it, once."""
    with connection.open() as service, changing(connection):
        issued = service.passes.issue(
            name=name, lifetime=lifetime, window_id=window_id, emergency=emergency, actor=who_asks(), source="cli"
        )
        granted = issued.granted
        connection.terminal.say(
            f"Issued pass {granted.id} for {granted.name}",
            [
                f"until     {format_instant(granted.expires_at)}",
                f"opens     {_opened(granted)}",
                f"pass      {issued.text}",
                f"programs  send it as the header {PASS_HEADER}",
                f"browsers  open {_PATH}#{issued.text} at your site and press the button",
                f"revoke    {connection.command('pass', 'revoke', granted.id)}",
                "Whoever has it passes: hand it out as you would a password. It is shown this once.",
            ],
        )
        look_for_workers(connection, service)
        connection.terminal.answer(
            {
                **where(service),
                "pass": pass_document(granted),
                "text": issued.text,
                "header": PASS_HEADER,
                "cookie": PASS_COOKIE,
                "path": _PATH,
            }
        )


@passes.command("list")
@connected
def list_(connection: Connection) -> None:
    """List the passes that are good for something now."""
    with connection.open() as service:
        live = service.passes.live()
        connection.terminal.say(f"{len(live)} live passes" if len(live) != 1 else "1 live pass", map(_line, live))
        connection.terminal.answer({**where(service), "passes": [pass_document(each) for each in live]})


@passes.command()
@click.argument("name_or_id", metavar="NAME_OR_ID")
@connected
def revoke(connection: Connection, *, name_or_id: str) -> None:
    """Take a pass back, by its id, or all of a name."""
    with connection.open() as service, changing(connection):
        revoked = service.passes.revoke(name_or_id, actor=who_asks(), source="cli")
        for each in revoked:
            connection.terminal.say(f"Revoked pass {each.id} for {each.name}")
        look_for_workers(connection, service)
        connection.terminal.answer({**where(service), "revoked": [pass_document(each) for each in revoked]})


def _line(one: BypassPass) -> str:
    return f"{one.id}  until {format_instant(one.expires_at)}  opens {_opened(one)}: {one.name}"


def _opened(one: BypassPass) -> str:
    if one.window_id is not None:
        return f"window {one.window_id} alone"
    return "normal windows and emergencies" if one.opens_emergencies else "normal windows, no emergency"
