"""The command line as a real process, in a folder of its own: what its tests share."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from quiesce.testing import eventually

if TYPE_CHECKING:
    from tests.nursery.client import Nursery

T = TypeVar("T")

COMMAND = [sys.executable, "-W", "error", "-m", "quiesce.cli"]
TERMINAL = """
import os, pty, sys
os.execlp = become_python  # pty would start Python
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
"""
WORKER = """
import sys
from quiesce import EnhancedMaintenanceModeService

service = EnhancedMaintenanceModeService(framework="test")
service.start()
tokens = []
print("ready", flush=True)
for line in sys.stdin:
    if line.startswith("enter"):
        tokens.append(abs(service.gate.enter(*line.split()[1:])))
    else:
        service.gate.leave(tokens.pop())
    print("done", flush=True)
service.close()
"""


class Shell:
    """Runs commands in one folder, with nothing of the tests' own environment that could sway them."""

    def __init__(self, folder: Path, nursery: Nursery) -> None:
        ours = ("MAINTENANCE_", "EMERGENCY_MODE_", "TEST_MODE_")
        self._nursery = nursery
        self.folder = folder
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self.environment["MAINTENANCE_STORE_URL"] = f"sqlite:///{folder}/maintenance.db"
        self._stack = ExitStack()

    def run(self, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        effective = {**self.environment, **environment}
        return self._nursery.run([*COMMAND, *args], timeout=60, cwd=self.folder, env=effective)

    def run_cold(self, *args: str, terminal: int | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, in a Python that starts for it; a terminal is where it reads, and complains."""
        return subprocess.run(
            [*COMMAND, *args],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL if terminal is None else terminal,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if terminal is None else terminal,
            text=True,
            timeout=60,
            check=False,
        )

    def document(self, *args: str) -> dict[str, Any]:
        """Run a command that must succeed, and return its document."""
        done = self.run(*args, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def start(self, *command: str, stderr: int = subprocess.PIPE, **environment: str) -> subprocess.Popen[str]:
        """Start a process that is ended with the test."""
        process: subprocess.Popen[str] = self._nursery.start(
            command,
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            errors="replace",  # what was read line by line may have ended within a character
        )
        self._stack.callback(_end, process)
        return process

    def begin(self, *args: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command of ours."""
        return self.start(*COMMAND, *args, stderr=subprocess.PIPE, **environment)

    def on_a_terminal(self, *args: str) -> subprocess.Popen[str]:
        """Start a command of ours on a terminal of its own; what is typed and shown passes through the pipes."""
        return self.start(sys.executable, "-c", TERMINAL, *COMMAND, *args)

    @staticmethod
    def read_until(process: subprocess.Popen[str], pattern: str) -> str:
        """Return what the process has written to standard error up to a line with the pattern."""
        assert process.stderr is not None
        seen = ""
        for line in process.stderr:
            seen += line
            if re.search(pattern, line):
                return seen
        raise AssertionError(f"{pattern!r} never came: {seen}")

    def worker(self) -> Worker:
        """Start a worker and return it when it is attached; a SQLite store has been there for a day then."""
        worker = Worker(self.start(sys.executable, "-c", WORKER, stderr=subprocess.DEVNULL))
        database = self.folder / "maintenance.db"
        if self.environment["MAINTENANCE_STORE_URL"] == f"sqlite:///{database}":
            with contextlib.closing(sqlite3.connect(database, timeout=20)) as connection, connection:
                connection.execute("UPDATE state SET created_at = created_at - 86400")
        return worker

    @staticmethod
    def until(condition: Callable[[], T], *, within: float = 10.0) -> T:
        """Ask ``eventually``, but with a pause between: each answer is a command's."""

        def ask() -> T:
            answer = condition()
            if not answer:
                time.sleep(0.2)
            return answer

        return eventually(ask, within=within)

    def close(self) -> None:
        """End all that was started."""
        self._stack.close()


class Worker:
    """A process with a gate, in which requests begin and end as the test says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid
        assert self._answer() == "ready\n"

    def begin(self, method: str, path: str) -> None:
        """Let a request enter."""
        self._say(f"enter {method} {path}")

    def finish(self) -> None:
        """Let the last one leave."""
        self._say("leave")

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        assert self._answer() == "done\n"

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@pytest.fixture
def shell(tmp_path: Path, nursery: Nursery) -> Iterator[Shell]:
    """A folder with a store of its own."""
    shell = Shell(tmp_path, nursery)
    yield shell
    shell.close()
