"""The commands ``operator enroll``, ``operator list`` and ``operator remove``: whose authenticators are known."""

from __future__ import annotations

import click

from ..control.operators import Enrolment
from ..model import InvalidValueError
from ..web.operator_documents import operator_document
from .connection import Connection, connected, who_asks
from .terminal import format_instant
from .windows import changing, where

_TRIES = 3


@click.group()
def operator() -> None:
    """Say whose authenticator opens emergencies over HTTP."""


@operator.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask for a code to confirm it.")
@connected
def enroll(connection: Connection, *, name: str, yes: bool) -> None:
    """Make a secret for an operator's authenticator, and print it, once.

    The name is the user_id that the application's identify gives.
    """
    if connection.terminal.as_json and not yes:
        raise click.UsageError("--json asks for no code: give --yes as well")
    with connection.open() as service, changing(connection):
        desk = service.operators
        enrolment = desk.prepare(name)
        connection.terminal.say(
            f"Secret of operator {enrolment.name}",
            [
                f"secret    {enrolment.secret}",
                f"address   {enrolment.uri}",
                "Type the secret into the authenticator, or make a QR code of the address on this machine.",
                "Whoever has it proves to be this operator. It is shown this once.",
            ],
        )
        for left in reversed(range(_TRIES)):
            try:
                enrolled = desk.enroll(enrolment, code=_ask(enrolment, yes=yes), actor=who_asks(), source="cli")
                break
            except InvalidValueError as exc:
                if exc.field != "code" or not left:
                    raise
                connection.terminal.warn(str(exc))
        connection.terminal.say(
            f"Enrolled operator {enrolled.name}",
            [f"take back {connection.command('operator', 'remove', enrolled.name)}"],
        )
        connection.terminal.answer(
            {
                **where(service),
                "operator": operator_document(enrolled),
                "secret": enrolment.secret,
                "uri": enrolment.uri,
            }
        )


@operator.command("list")
@connected
def list_(connection: Connection) -> None:
    """List the operators who are enrolled."""
    with connection.open() as service:
        found = service.operators.list()
        lines = (f"{each.name}, since {format_instant(each.enrolled_at)}, by {each.enrolled_by}" for each in found)
        connection.terminal.say("1 operator" if len(found) == 1 else f"{len(found)} operators", lines)
        connection.terminal.answer({**where(service), "operators": [operator_document(each) for each in found]})


@operator.command()
@click.argument("name")
@connected
def remove(connection: Connection, *, name: str) -> None:
    """Forget an operator's authenticator; the admin token is asked of them from then on."""
    with connection.open() as service, changing(connection):
        removed = service.operators.remove(name, actor=who_asks(), source="cli")
        connection.terminal.say(f"Removed operator {removed.name}")
        connection.terminal.answer({**where(service), "removed": operator_document(removed)})


def _ask(enrolment: Enrolment, *, yes: bool) -> str | None:
    if yes:
        return None
    code: str = click.prompt(f"The code that the authenticator of {enrolment.name!r:.80} shows now", err=True)
    return code
