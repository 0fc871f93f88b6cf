"""What the nursery starts is what Python would have started: other tests take its word for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.nursery.client import Nursery

SEEN = """
import atexit, json, os, signal, sys, threading, time, warnings

try:
    warnings.warn("old", DeprecationWarning, stacklevel=1)
    warned = "no"
except DeprecationWarning:
    warned = "raised"
streams = (sys.stdin, sys.stdout, sys.stderr)
print(json.dumps({
    "argv": sys.argv,
    "names": [__name__, sys.modules["__main__"].__dict__ is globals(), __spec__ and __spec__.name],
    "path": [sys.path[0], *(os.path.realpath(entry) for entry in sys.path[1:])],
    "folder": os.getcwd(),
    "environment": dict(os.environ),
    "streams": [[s.name, s.fileno(), s.mode, s.encoding, s.errors, s.line_buffering, s.isatty()] for s in streams],
    "signals": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())[:31]],
    "files": sorted(os.listdir("/proc/self/fd"))[:3],
    "leads": [os.getpid() == os.getsid(0), os.getpid() == os.getpgid(0)],
    "warned": warned,
    "warnoptions": sys.warnoptions,
    "read": sys.stdin.read(),
}))
atexit.register(print, "bye")
threading.Thread(target=lambda: (time.sleep(0.05), print("thread"))).start()
left_open = open(os.devnull)
sys.exit("no good")
"""


def outcome(start: Callable[..., subprocess.Popen[str]], words: list[str], **options: Any) -> tuple[Any, ...]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start([sys.executable, *words], text=True, **pipes, **options) as process:
        written, complained = process.communicate("given", timeout=60)
    seen, *rest = written.splitlines()
    return json.loads(seen), rest, "no good" in complained, "ResourceWarning" in complained, process.returncode


@pytest.mark.parametrize(
    "words",
    [["-m", "seen.part"], ["-c", SEEN], ["seen/part.py"], ["-W", "error", "-W", "ignore::UserWarning", "-m", "seen"]],
    ids=["module", "code", "script", "package"],
)
@pytest.mark.parametrize("is_leader", [False, True])
def test_program_sees_what_it_would_see(nursery: Nursery, tmp_path: Path, words: list[str], *, is_leader: bool) -> None:
    """Words, folder, environment, path, files, signals, warnings, and the way to its end."""
    for name in ("__init__", "__main__", "part"):
        (tmp_path / "seen").mkdir(exist_ok=True)
        (tmp_path / "seen" / f"{name}.py").write_text("" if name == "__init__" else SEEN, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "elsewhere"), "PYTHONWARNINGS": "default", "OTHER": "é"}
    options = {"cwd": tmp_path, "env": environment, "start_new_session": is_leader}

    warm = outcome(nursery.start, [*words, "--some", "word"], **options)
    cold = outcome(subprocess.Popen, [*words, "--some", "word"], **options)

    assert [key for key in warm[0] if warm[0][key] != cold[0][key]] == []
    assert warm[1:] == cold[1:]
    assert (warm[1], warm[4]) == (["thread", "bye"], 1)


def test_signals_and_exit_codes_pass(nursery: Nursery) -> None:
    """Half of the tests that start something end it."""
    waiting = "import time; print('ready', flush=True); time.sleep(60)"
    ends = {}
    for name in ("SIGINT", "SIGTERM", "SIGKILL"):
        command = [sys.executable, "-c", waiting]
        with nursery.start(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            assert process.poll() is None
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.01)
            process.send_signal(signal.Signals[name])
            ends[name] = process.wait(20)

    done = nursery.run([sys.executable, "-c", "raise SystemExit(300)"], timeout=20)
    failed = nursery.run([sys.executable, "-c", "1 / 0"], timeout=20)

    assert ends == {"SIGINT": -2, "SIGTERM": -15, "SIGKILL": -9}
    assert (done.returncode, failed.returncode) == (300 & 0xFF, 1)
    assert failed.stderr.endswith("ZeroDivisionError: division by zero\n")


@pytest.mark.parametrize(
    ("hidden", "environment"),
    [("flask.py", {}), ("sitecustomize.py", {}), (None, {"PYTHONUTF8": "0"}), (None, {"LC_ALL": "C"})],
)
def test_what_would_be_another_python_is_started_cold(
    nursery: Nursery, tmp_path: Path, hidden: str | None, environment: dict[str, str]
) -> None:
    """The nursery has imported the real one already, and has read these variables."""
    if hidden is not None:
        (tmp_path / hidden).touch()
        environment = {"PYTHONPATH": str(tmp_path)}

    with nursery.start([sys.executable, "-c", "pass"], env={**os.environ, **environment}, cwd="/") as process:
        pass

    assert type(process) is subprocess.Popen
