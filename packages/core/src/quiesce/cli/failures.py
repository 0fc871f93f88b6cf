"""Errors as what an operator sees: one message, a kind for programs, and the exit code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import click

from ..model import (
    ConflictError,
    InvalidValueError,
    MissingExtraError,
    NotQuiescedError,
    NotRecoveredError,
    PluginError,
    QuiesceError,
    SettingsError,
    StoreError,
    StoreURLError,
)

EXIT_UNFORESEEN = 1
EXIT_INVALID = 2
EXIT_NOT_QUIESCED = 3
EXIT_STORE = 4
EXIT_CONFLICT = 5
EXIT_AUDIT = 6
EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127
EXIT_INTERRUPTED = 130

# The first class that matches counts, so a kind stands before its base.
_KINDS: tuple[tuple[type[QuiesceError], str, int], ...] = (
    (InvalidValueError, "invalid_value", EXIT_INVALID),
    (SettingsError, "invalid_settings", EXIT_INVALID),
    (PluginError, "plugin", EXIT_INVALID),
    (MissingExtraError, "missing_extra", EXIT_INVALID),
    (StoreURLError, "store_url", EXIT_INVALID),
    (NotQuiescedError, "not_quiesced", EXIT_NOT_QUIESCED),
    (StoreError, "store", EXIT_STORE),
    (NotRecoveredError, "not_recovered", EXIT_CONFLICT),
    (ConflictError, "conflict", EXIT_CONFLICT),
    (QuiesceError, "error", EXIT_UNFORESEEN),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What is told about a command that did not do what it was asked.

    Attributes:
        message: the problem, in one line.
        kind: the same for programs.
        exit_code: of the process.
        facts: what programs get beside it.
        lines: what people get beneath it.
    """

    message: str
    kind: str
    exit_code: int
    facts: Mapping[str, object] = field(default_factory=dict)
    lines: tuple[str, ...] = ()


class CommandFailedError(QuiesceError):
    """Raised when a command ends with a failure that it has described itself."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def describe_failure(exc: Exception, *, lines: tuple[str, ...] = ()) -> Failure | None:
    """Return what is told about a foreseen error, or ``None`` for a defect of ours.

    Args:
        exc: what a command raised.
        lines: what people get beneath it.
    """
    match exc:
        case CommandFailedError():
            return exc.failure
        case click.Abort():
            message = "interrupted; 'quiesce status' shows what is in force"
            return Failure(message=message, kind="interrupted", exit_code=EXIT_INTERRUPTED)
        case click.ClickException():
            return _from_click(exc)
        case SettingsError():
            count = len(exc.faults)
            message = f"{count} settings are not valid" if count > 1 else f"a setting is not valid: {exc.faults[0]}"
            more = exc.faults if count > 1 else ()
            facts = {"faults": list(exc.faults)}
            return Failure(message=message, kind="invalid_settings", exit_code=EXIT_INVALID, facts=facts, lines=more)
        case QuiesceError():
            kind, exit_code = next((kind, code) for error, kind, code in _KINDS if isinstance(exc, error))
            return Failure(message=str(exc), kind=kind, exit_code=exit_code, facts=_facts(exc), lines=lines)
    return None


def _from_click(exc: click.ClickException) -> Failure:
    message = exc.format_message()
    lines: tuple[str, ...] = ()
    if isinstance(exc, click.UsageError) and exc.ctx is not None:
        lines = (f"see '{exc.ctx.command_path} --help'",)
    return Failure(message=message, kind="usage", exit_code=EXIT_INVALID, lines=lines)


def _facts(exc: QuiesceError) -> dict[str, object]:
    """Return the error's own facts that are plain values."""
    names = ("field", "plugin", "distribution", "window_id", "window_ids")
    found = {name: getattr(exc, name) for name in names if hasattr(exc, name)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}
