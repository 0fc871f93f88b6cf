"""The commands ``config set|get|list|unset|rotate``: settings that the store keeps for all processes."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from ..control import EnhancedMaintenanceModeService
from ..control.configuration import LONGEST_VALUE
from ..model import ConfiguredSetting, InvalidValueError, SettingSource
from ..web.config_documents import rotation_document, setting_document
from .connection import Connection, connected, who_asks
from .failures import EXIT_INVALID
from .terminal import format_instant
from .windows import changing, where


@click.group()
def config() -> None:
    """Keep settings in the store, secret ones encrypted, for all processes."""


@config.command("set")
@click.argument("name")
@click.argument("value", required=False)
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the value from standard input.")
@connected
def set_(connection: Connection, *, name: str, value: str | None, from_stdin: bool) -> None:
    """Have the store keep a value, which running workers follow within two seconds.

    A secret is asked for without being shown, or read from standard input.
    """
    if value is not None and from_stdin:
        raise click.UsageError("VALUE and --stdin contradict each other")
    with connection.open() as service, changing(connection):
        known = service.config.get(name)
        if value is None:
            value = _read(name) if from_stdin else _ask(connection, known)
        elif known.is_secret:
            raise click.UsageError(
                f"{name} is secret, and other users of this machine can see arguments: leave the value out to be"
                " asked for it, or give --stdin; what was typed here should be changed"
            )
        found = service.config.set(name, value, actor=who_asks(), source="cli")
        connection.terminal.say(f"The store keeps {name}", _lines(found))
        _warn(connection, found)
        connection.terminal.answer({**where(service), "setting": setting_document(found)})


@config.command()
@click.argument("name")
@connected
def get(connection: Connection, *, name: str) -> None:
    """Show one setting: its value, or of a secret that it is set, and where it comes from."""
    with connection.open() as service:
        found = service.config.get(name)
        connection.terminal.say(name, _lines(found), colour="red" if found.problem else None)
        connection.terminal.answer({**where(service), "setting": setting_document(found)})


@config.command("list")
@connected
def list_(connection: Connection) -> None:
    """List every setting that the store can keep, and where its value here comes from."""
    with connection.open() as service:
        found = service.config.list()
        for setting in found:
            connection.terminal.say(setting.name, _lines(setting), colour="red" if setting.problem else None)
        connection.terminal.answer({**where(service), "settings": [setting_document(each) for each in found]})


@config.command()
@click.argument("name")
@connected
def unset(connection: Connection, *, name: str) -> None:
    """Have the store forget what it keeps of a setting."""
    with connection.open() as service, changing(connection):
        found = service.config.unset(name, actor=who_asks(), source="cli")
        connection.terminal.say(f"The store keeps no {name}", _lines(found))
        connection.terminal.answer({**where(service), "setting": setting_document(found)})


@config.command()
@connected
def rotate(connection: Connection) -> int:
    """Encrypt every secret in the store, operators' too, by the first key of MAINTENANCE_SECRET_KEY.

    Interrupted, it is run again: what is done is left alone.
    """
    with connection.open() as service, changing(connection):
        rotation = service.config.rotate(actor=who_asks(), source="cli")
        lines = [f"{name}: encrypted anew" for name in rotation.encrypted_anew]
        lines += [f"{name}: was up to date" for name in rotation.up_to_date]
        lines += [f"{name}: NOT READABLE by any of the keys, left as it was" for name in rotation.unreadable]
        done = len(rotation.encrypted_anew) + len(rotation.up_to_date)
        title = f"{done} of {done + len(rotation.unreadable)} secrets are encrypted by the newest key"
        connection.terminal.say(title, lines, colour="red" if rotation.unreadable else "green")
        if rotation.unreadable:
            connection.terminal.warn(
                "keep the former keys until each secret is readable by one of them, set anew, or its operator removed"
            )
        _say_whether_done(connection, service, is_whole=not rotation.unreadable)
        connection.terminal.answer({**where(service), "rotation": rotation_document(rotation)})
        return EXIT_INVALID if rotation.unreadable else 0


def _say_whether_done(connection: Connection, service: EnhancedMaintenanceModeService, *, is_whole: bool) -> None:
    if is_whole and len(service.settings.secret_keys) > 1:
        connection.terminal.say("The former keys may go, once no pass is in use that they signed")


def _read(name: str) -> str:
    raw = sys.stdin.buffer.read(4 * LONGEST_VALUE + 1)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        # Not `from exc`: its arguments are the value.
        raise InvalidValueError(name, "standard input is not UTF-8, or far too long") from None


def _ask(connection: Connection, known: ConfiguredSetting) -> str:
    if connection.terminal.as_json or not connection.terminal.can_ask:
        raise click.UsageError("there is no value: give --stdin" + ("" if known.is_secret else ", or VALUE"))
    answer: str = click.prompt(f"Value of {known.name}", hide_input=known.is_secret, err=True)
    return answer


def _lines(setting: ConfiguredSetting) -> Iterator[str]:
    shown = ("set, and secret" if setting.is_secret else setting.value) if setting.is_set else "not set"
    yield f"value     {shown}"
    yield f"source    {setting.source}"
    if setting.stored_at is not None:
        beside = "" if setting.source is SettingSource.STORE else ", not in force here"
        yield f"stored    {format_instant(setting.stored_at)} by {setting.stored_by}{beside}"
    if setting.problem:
        yield f"PROBLEM   {setting.problem}"


def _warn(connection: Connection, found: ConfiguredSetting) -> None:
    if found.source is not SettingSource.STORE:
        connection.terminal.warn(
            f"{found.name} comes from the {found.source} here, which wins over the store wherever it is given"
        )
