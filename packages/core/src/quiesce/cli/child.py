"""The program that ``run`` runs: found before anything is opened, given our signals, and its end as an exit code."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

from .failures import EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, CommandFailedError, Failure
from .signals import TakenSignals


def find_program(name: str) -> str:
    """Return the file that a shell would execute.

    Raises:
        CommandFailedError: there is none, or it may not be executed.
    """
    found = shutil.which(name)
    if found is not None:
        return found
    is_there = shutil.which(name, mode=os.F_OK) is not None or (os.sep in name and Path(name).is_dir())
    raise CommandFailedError(_failure(name, is_there=is_there, why="it is no executable file"))


def cannot_execute(name: str, exc: OSError, *, lines: tuple[str, ...]) -> Failure:
    """Return what is told when the program was there, and could not be executed all the same."""
    is_there = not isinstance(exc, FileNotFoundError)
    return _failure(name, is_there=is_there, why=exc.strerror or str(exc), lines=lines)


def attend(child: subprocess.Popen[bytes], signals: TakenSignals) -> int:
    """Pass every signal on until the child has ended; return its exit code, or 128 and the signal that ended it."""
    while (code := child.poll()) is None:
        arrival = signals.next()
        if arrival.number != signal.SIGCHLD and not arrival.is_for_all:
            child.send_signal(arrival.number)
    return code if code >= 0 else 128 - code


def describe_end(code: int, child: subprocess.Popen[bytes]) -> str:
    """Return how the child ended, in words."""
    if child.returncode < 0:
        return f"was ended by {signal.Signals(-child.returncode).name}"
    return "succeeded" if code == 0 else f"failed with exit code {code}"


def _failure(name: str, *, is_there: bool, why: str, lines: tuple[str, ...] = ()) -> Failure:
    if is_there:
        return Failure(
            message=f"the command {name!r:.200} cannot be executed: {why}",
            kind="command_not_executable",
            exit_code=EXIT_NOT_EXECUTABLE,
            lines=lines,
        )
    return Failure(
        message=f"the command {name!r:.200} is not found",
        kind="command_not_found",
        exit_code=EXIT_NOT_FOUND,
        lines=lines,
    )
