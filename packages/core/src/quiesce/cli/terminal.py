"""What the operator sees: text without control characters, colours on terminals only, or one JSON document."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from .failures import Failure

JSON_OPTION = "--json"
_ERASE_LINE = "\r\x1b[2K"
_FALLBACK_COLUMNS = 80


class Terminal:
    """Results go to standard output; progress, warnings and errors to standard error.

    With ``as_json`` standard output gets one document, in which the warnings stand, and standard error nothing but the
    error document.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._warnings: list[str] = []
        self._has_live_line = False
        self._is_diverted = False
        self.afterwards: list[Callable[[], None]] = []
        """What is done when all is shown, a failure too."""

    def divert(self) -> None:
        """Leave standard output to another program: results go to standard error, the document comes as a last line."""
        self._is_diverted = True

    def warn(self, text: str) -> None:
        """Show a warning, once."""
        text = escape(text)
        if text in self._warnings:
            return
        self._warnings.append(text)
        if not self.as_json:
            self.clear_progress()
            click.secho(f"WARNING: {text}", err=True, bold=True, fg="yellow")

    @property
    def is_live(self) -> bool:
        """Whether progress can be shown in place."""
        return sys.stderr.isatty()

    @property
    def can_ask(self) -> bool:
        """Whether somebody sits there who can answer."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    def ask_about(self, lines: Iterable[str]) -> None:
        """Show what a question is about, beside it on standard error."""
        self.clear_progress()
        for line in lines:
            click.echo(f"  {escape(line)}", err=True)

    def progress(self, text: str) -> None:
        """Show how far the command is: on a terminal in place of the last such line, else as a line of its own."""
        if self.as_json:
            return
        text = escape(text)
        if self.is_live:
            click.echo(_ERASE_LINE + text[: _columns() - 1], err=True, nl=False, color=True)
            self._has_live_line = True
        else:
            click.echo(text, err=True)

    def clear_progress(self) -> None:
        """Take the live line away."""
        if self._has_live_line:
            click.echo(_ERASE_LINE, err=True, nl=False, color=True)
            self._has_live_line = False

    def say(self, title: str, lines: Iterable[str] = (), *, colour: str | None = None) -> None:
        """Tell people a result: its title, in this colour, and what belongs to it."""
        if self.as_json:
            return
        self.clear_progress()
        click.secho(escape(title), bold=True, fg=colour, err=self._is_diverted)
        for line in lines:
            click.echo(f"  {escape(line)}", err=self._is_diverted)

    def answer(self, document: Mapping[str, Any]) -> None:
        """Give programs the command's one document."""
        if not self.as_json:
            return
        whole = {**document, "warnings": self._warnings}
        if self._is_diverted:
            click.echo(f"\n{json.dumps(whole)}")  # the other program may not have ended its last line
        else:
            _print_json(whole, err=False)

    def line(self, document: Mapping[str, Any]) -> None:
        """Give programs one of many documents, on a line of its own."""
        click.echo(json.dumps({**document, "warnings": self._warnings}))

    def fail(self, failure: Failure) -> None:
        """Show why the command failed."""
        self.clear_progress()
        if self.as_json:
            _print_json(
                {
                    "error": failure.message,
                    "kind": failure.kind,
                    "exit_code": failure.exit_code,
                    **failure.facts,
                    "warnings": self._warnings,
                },
                err=True,
            )
            return
        click.secho(f"Error: {escape(failure.message)}", err=True, fg="red")
        for line in failure.lines:
            click.echo(f"  {escape(line)}", err=True)


def escape(text: str) -> str:
    """Return the text with whatever could steer a terminal, or does not print, as a Python escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text)


def format_instant(at: datetime | None) -> str:
    """Return the time in UTC and, where that differs, as the machine's own clock shows it."""
    if at is None:
        return "never"
    universal, local = at.astimezone(UTC), at.astimezone()
    shown = f"{universal:%Y-%m-%d %H:%M:%S} UTC"
    if local.utcoffset() == timedelta(0):
        return shown
    day = "" if local.date() == universal.date() else f"{local:%Y-%m-%d} "
    return f"{shown} ({day}{local:%H:%M:%S %Z})"


def format_span(span: timedelta) -> str:
    """Return a duration as the options take it, in whole seconds: ``1h30m``."""
    seconds = round(span.total_seconds())
    parts = []
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _FALLBACK_COLUMNS
    except (OSError, ValueError):
        return _FALLBACK_COLUMNS


def _print_json(document: Mapping[str, object], *, err: bool) -> None:
    click.echo(json.dumps(document, indent=2), err=err)
