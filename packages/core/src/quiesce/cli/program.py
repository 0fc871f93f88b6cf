"""The program ``quiesce``: finds the command, runs it, turns each foreseen error into a line and an exit code."""

from __future__ import annotations

import importlib
import itertools
import logging
import sys
from collections.abc import Sequence
from typing import Any

import click

from .._version import __version__
from .failures import EXIT_INVALID, describe_failure
from .terminal import JSON_OPTION, Terminal

# A command's module is imported when it is asked for, so that `quiesce status` does not pay for the others. After a dot
# stands the name of its function, where that is not the command's.
_COMMANDS = {
    "alerts": "alerts",
    "audit": "audit",
    "config": "config",
    "disable": "windows",
    "emergency": "emergency",
    "enable": "windows",
    "explain": "explain",
    "extend": "windows",
    "jobs": "jobs",
    "notifications": "notifications",
    "operator": "operators.operator",
    "pass": "passes.passes",
    "plugins": "plugins",
    "recover": "recover",
    "report": "report",
    "run": "run",
    "schedule": "schedule",
    "sessions": "sessions",
    "status": "status",
    "wait": "wait",
    "watch": "watch",
    "workers": "workers",
}

EPILOG = """Exit codes: 0 done, 1 unforeseen error, 2 usage, value, setting or plugin not valid, 3 not quiesced in time,
4 store unreachable, 5 conflict with what is in force, 6 audit trail not intact, 130 interrupted; of 'run', those of its
command."""


class Program(click.Group):
    """The group of all commands; the one place where errors leave the program."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        """Return the names of the commands, in order."""
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - the signature is click's
        """Import the command of this name, or return ``None``."""
        place = _COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, function = place.partition(".")
        command: click.Command = getattr(importlib.import_module(f"{__package__}.{module}"), function or cmd_name)
        return command

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, *_: Any, **named: Any) -> Any:
        """Run a command and end the process with its exit code; with ``standalone_mode=False`` return the code."""
        args = sys.argv[1:] if args is None else list(args)
        is_standalone = named.pop("standalone_mode", True)
        ours = itertools.takewhile(lambda word: word != "--", args)
        terminal = Terminal(as_json=JSON_OPTION in ours)
        handler = _Notices(terminal)
        logger = logging.getLogger("quiesce")
        logger.addHandler(handler)
        try:
            try:
                code = self._run(args, prog_name, terminal, **named)
            finally:
                for act in terminal.afterwards:
                    act()
        finally:
            logger.removeHandler(handler)
        if is_standalone:
            sys.exit(code)
        return code

    def _run(self, args: Sequence[str], prog_name: str | None, terminal: Terminal, **named: Any) -> int:
        try:
            result = super().main(args, prog_name, standalone_mode=False, obj=terminal, **named)
        except Exception as exc:
            failure = describe_failure(exc)
            if failure is None:
                raise
            terminal.fail(failure)
            return failure.exit_code
        return result if isinstance(result, int) else 0


@click.group(
    cls=Program, epilog=EPILOG, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="quiesce", message="%(prog)s %(version)s")
@click.pass_context
def program(ctx: click.Context) -> None:
    """Open and end maintenance windows, and prove that the system is quiet."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(EXIT_INVALID)


def main() -> int:
    """Run the program with the arguments of the process; return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")  # a reason in any script must not break an ASCII terminal
    code: int = program.main(prog_name="quiesce", standalone_mode=False)
    return code


class _Notices(logging.Handler):
    """Shows what the product logs as warnings of the command."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__(logging.WARNING)
        self._terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record."""
        self._terminal.warn(record.getMessage())
