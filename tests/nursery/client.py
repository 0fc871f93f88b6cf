"""Starts Python programs sooner than Python starts: in children of a process that all tests of a run share."""

from __future__ import annotations

import fcntl
import json
import os
import select
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, cast

PROGRAM = Path(__file__).with_name("program.py")
OPTIONS = frozenset({"-W", "-m", "-c"})
HEEDED = frozenset({"PYTHONPATH", "PYTHONWARNINGS", "PYTHONUNBUFFERED", "PYTHONHASHSEED"})
"""Of what sways how Python starts, what need not be as it is for the tests; all children have the same hash seed."""

ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in HEEDED}


class Nursery:
    """A lease of the process that starts programs; whoever comes first starts it, and it ends with the last lease."""

    def __init__(self, folder: Path) -> None:
        self._address = str(folder / "nursery")
        self._lease = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with (folder / "nursery.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                self._lease.connect(self._address)
            except OSError:
                Path(self._address).unlink(missing_ok=True)
                with (folder / "nursery.log").open("ab") as log:
                    done = subprocess.run(
                        [sys.executable, str(PROGRAM), self._address],
                        env=ENVIRONMENT,
                        cwd=folder,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        check=False,
                        timeout=120,
                    )
                if done.returncode != 0:
                    raise RuntimeError((folder / "nursery.log").read_text(encoding="utf-8")) from None
                self._lease.connect(self._address)

    def start(self, words: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Do what ``subprocess.Popen`` does; what is no Python, or not to start like ours, is started cold."""
        if not is_warm(words, options.get("env"), options.get("cwd")):
            return subprocess.Popen(words, **options)
        return _Program(words, nursery=self._address, **options)

    def run(
        self, words: Sequence[str], *, timeout: float, said: str = "", **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, with this on its standard input; what it writes is read as text."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with self.start(words, **pipes, text=True, **options) as process:
            try:
                written, complained = process.communicate(said, timeout=timeout)
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(words, process.returncode, written, complained)

    def close(self) -> None:
        """Start nothing more."""
        self._lease.close()


def is_warm(words: Sequence[str], environment: Mapping[str, str] | None, folder: object) -> bool:
    """Whether a program can be run in a child of the nursery as if Python had started for it."""
    if words[0] != sys.executable or not (words[1] in OPTIONS or words[1].endswith(".py")):
        return False
    started_with, given = os.environ, os.environ if environment is None else environment
    swaying = {name for name in {*started_with, *given} if name.startswith(("PYTHON", "LC_", "LANG"))} - HEEDED
    if any(started_with.get(name) != given.get(name) for name in swaying):
        return False
    first = [str(folder or Path.cwd()), *filter(None, given.get("PYTHONPATH", "").split(os.pathsep))]
    return not any(hides_what_is_installed(Path(entry)) for entry in first)


def hides_what_is_installed(folder: Path) -> bool:
    """Whether Python would find a module here that the nursery has imported from elsewhere, or would run it first."""
    names = {path.stem for path in folder.iterdir() if path.suffix == ".py"} if folder.is_dir() else set()
    installed = [sysconfig.get_path(name) for name in ("stdlib", "purelib")]
    return any(name.endswith("customize") or PathFinder.find_spec(name, installed) is not None for name in names)


class _Program(subprocess.Popen[Any]):
    """A process that is not our child, but our nursery's; the rest is as in ``subprocess``."""

    def __init__(self, words: Sequence[str], *, nursery: str, **options: Any) -> None:
        self._nursery = nursery
        super().__init__(words, **options)

    def _execute_child(
        self, words: Any, _executable: Any, _before: Any, _close: Any, _pass: Any, cwd: Any, env: Any, *rest: Any
    ) -> None:
        _, _, _, *ends, _restore, _gid, _gids, _uid, _umask, start_new_session, process_group = rest
        theirs = [ends[0], ends[3], ends[5]]
        order = {
            "words": list(map(str, words[1:])),
            "folder": str(cwd or Path.cwd()),
            "environment": dict(os.environ if env is None else env),
            "start_new_session": start_new_session,
            "process_group": process_group if process_group >= 0 else None,
        }
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._connection.settimeout(60)
            self._connection.connect(self._nursery)
            files = [number if file == -1 else file for number, file in enumerate(theirs)]
            socket.send_fds(self._connection, [json.dumps(order).encode()], files)
            self.pid = int(self._connection.recv(100))
        except BaseException:
            self._connection.close()
            raise
        finally:
            cast("Any", self)._close_pipe_fds(*ends)
        self._child_created = True

    def _internal_poll(self, _deadstate: int | None = None) -> int | None:
        if self.returncode is None and self._can_be_read(0):
            self._note_end()
        return self.returncode

    def _wait(self, timeout: float | None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if self._can_be_read(left):
                self._note_end()
            elif left is not None:
                raise subprocess.TimeoutExpired(self.args, cast("float", timeout))
        return self.returncode

    def _can_be_read(self, seconds: float | None) -> bool:
        try:
            return bool(select.select([self._connection], [], [], seconds)[0])
        except ValueError:  # another thread has just closed it
            return True

    def _note_end(self) -> None:
        with cast("Any", self)._waitpid_lock:
            if self.returncode is None:
                answer = self._connection.recv(100)
                self._connection.close()
                if not answer:
                    raise RuntimeError("the nursery has ended before its child")
                self.returncode = int(answer)
