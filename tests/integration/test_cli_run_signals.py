"""Signals around ``quiesce run``: before the command they end the window, afterwards they belong to the command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

Shell = Any  # as made in conftest.py

RUN = ["run", "--reason", "Migration", "--wait", "20s", "--"]
LISTENER = """
import os, signal, sys
names = []

def note(number, _):
    names.append(signal.Signals(number).name)
    os.write(1, f"got {' '.join(names)}\\n".encode())  # print is not reentrant
    if number == signal.SIGUSR2:
        os._exit(0)

for number in (1, 2, 3, 10, 12, 15):
    signal.signal(number, note)
print("ready", os.getpid(), flush=True)
while True:
    signal.pause()
"""
# No shell, which clears the mask that it is given.
DISPOSITIONS = """
import pathlib
lines = pathlib.Path("/proc/self/status").read_text().splitlines()
print(*(line for line in lines if line.startswith(("SigBlk", "SigIgn"))), sep="\\n")
raise SystemExit(7)
"""
IGNORING = """
import os, signal, sys
for name in sys.argv[1].split(","):
    signal.signal(signal.Signals[name], signal.SIG_IGN)
os.execv(sys.argv[2], sys.argv[2:])
"""


def begin_waiting(shell: Shell, *before: str) -> subprocess.Popen[str]:
    """Start a run that waits for a request, before which its command must not start."""
    shell.worker().begin("POST", "/api/jobs/7")
    words = ["run", "--reason", "x", "--wait", "10m", "--", "touch", "started"]
    started: subprocess.Popen[str] = shell.start(*before, sys.executable, "-m", "quiesce.cli", *words)
    shell.read_until(started, "in flight")
    return started


def begin_listening(shell: Shell) -> subprocess.Popen[str]:
    shell.worker()
    running: subprocess.Popen[str] = shell.begin(*RUN, sys.executable, "-c", LISTENER)
    assert running.stdout is not None
    assert running.stdout.readline().startswith("ready")
    return running


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"])
def test_signal_before_the_command_ends_the_window(shell: Shell, name: str) -> None:
    """A deployment that is called off must not leave users locked out."""
    waiting = begin_waiting(shell)

    waiting.send_signal(signal.Signals[name])
    _, stderr = waiting.communicate(timeout=30)

    assert waiting.returncode == 128 + signal.Signals[name]
    assert f"interrupted by {name}" in stderr
    assert "the command was not started" in stderr
    assert not (shell.folder / "started").exists()
    assert shell.document("status")["windows"] == []


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1"])
def test_signal_for_us_goes_to_the_command_once(shell: Shell, name: str) -> None:
    """What stops a deployment must reach the migration, which knows how to stop."""
    running = begin_listening(shell)

    running.send_signal(signal.Signals[name])
    assert running.stdout is not None
    first = running.stdout.readline()
    running.send_signal(signal.SIGUSR2)
    rest, stderr = running.communicate(timeout=30)

    assert first == f"got {name}\n"
    assert rest == f"got {name} SIGUSR2\n"
    assert running.returncode == 0, stderr


def test_command_that_a_signal_ends_counts_as_failed(shell: Shell) -> None:
    """As in a shell, and the window stays."""
    shell.worker()
    running = shell.begin(*RUN, sys.executable, "-c", "print('ready', flush=True); import time; time.sleep(60)")
    assert running.stdout.readline() == "ready\n"

    running.send_signal(signal.SIGTERM)
    _, stderr = running.communicate(timeout=30)

    assert running.returncode == 128 + signal.SIGTERM
    assert "the command was ended by SIGTERM" in stderr
    assert len(shell.document("status")["windows"]) == 1


@pytest.mark.parametrize(("key", "name"), [("\x03", "SIGINT"), ("\x1c", "SIGQUIT")])
def test_key_on_a_terminal_reaches_the_command_once(shell: Shell, key: str, name: str) -> None:
    """Many programs take the second Ctrl-C for "stop at once, and clean nothing up"."""
    shell.worker()
    process = shell.on_a_terminal(*RUN, sys.executable, "-c", LISTENER)
    shown = read_until(process, "ready")
    pid = int(shown.split("ready")[-1])

    process.stdin.write(key)
    process.stdin.flush()
    read_until(process, "got")
    # By way of quiesce, which takes signals in order: had it passed the key on, that would be there before.
    os.kill(parent_of(pid), signal.SIGUSR2)
    last = read_until(process, "SIGUSR2")
    process.communicate(timeout=30)

    assert last.split("got")[-1].split() == [name, "SIGUSR2"]
    assert process.returncode == 0


def test_hangup_that_was_ignored_stays_ignored(shell: Shell) -> None:
    """``nohup quiesce run`` outlives the terminal, and so does its command."""
    waiting = begin_waiting(shell, sys.executable, "-c", IGNORING, "SIGHUP")

    waiting.send_signal(signal.SIGHUP)
    shell.read_until(waiting, "in flight")
    waiting.send_signal(signal.SIGTERM)
    waiting.communicate(timeout=30)

    assert waiting.returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize("ignored", ["SIGCHLD", "SIGHUP", "SIGINT,SIGQUIT"])
def test_command_gets_the_signals_as_we_were_given_them(shell: Shell, ignored: str) -> None:
    """Nothing blocked that was not, nothing ignored that was not, and the exit code arrives all the same."""
    shell.worker()
    before = [sys.executable, "-c", IGNORING, ignored]
    command = [sys.executable, "-c", DISPOSITIONS]
    bare = subprocess.run([*before, *command], capture_output=True, text=True, check=False)

    through = shell.start(*before, sys.executable, "-m", "quiesce.cli", *RUN, *command)
    stdout, stderr = through.communicate(timeout=60)

    if ignored == "SIGCHLD":  # with it ignored no exit code could be had
        assert blocked(stdout) == blocked(bare.stdout) == 0
    else:
        assert signals_of(stdout) == signals_of(bare.stdout)
    assert through.returncode == 7, stderr


def signals_of(status: str) -> list[int]:
    """The masks, without what Python ignores in the process that becomes the shell, and the C library's own signals."""
    ours = (1 << 31) - 1 & ~(1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1))
    return [int(line.split()[1], 16) & ours for line in status.splitlines()]


def blocked(status: str) -> int:
    return signals_of(status)[0]


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[1])


def read_until(process: subprocess.Popen[str], word: str) -> str:
    """Return what a terminal shows up to a line with the word."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if word in line:
            return line
    raise AssertionError(f"{word!r} never came: {seen}")
