"""Starts what a trial runs on, and watches who lives."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .history import Died, Recorder, now

_ROOM = Path(__file__).parents[1]
_TICK_SECONDS = 0.02
_GRACE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Server:
    """A gunicorn or uvicorn with workers.

    Attributes:
        machine: on which it is taken to run.
        clock: the file by which its workers' wall clock is set.
    """

    kind: str
    machine: str
    port: int
    clock: Path
    process: subprocess.Popen[bytes]

    @property
    def workers(self) -> list[int]:
        """The live workers."""
        helper = "resource_tracker"
        return [pid for pid in living_children(self.process.pid) if helper not in _command_line(pid)]


def start(arguments: Sequence[str], *, log: Path, **environment: str) -> subprocess.Popen[bytes]:
    """Start a Python module in a process group of its own; its standard input ends with this process."""
    paths = [str(_ROOM), *filter(None, [os.environ.get("PYTHONPATH")])]
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def start_server(
    kind: str, *, machine: str, port: int, workers: int, rotate_after: int, folder: Path, environment: dict[str, str]
) -> Server:
    """Start a server; ``rotate_after`` is the number of requests after which a worker gives way, 0: never."""
    clock = folder / f"clock-{kind}"
    clock.write_text("0", encoding="ascii")
    arguments = {
        "flask": [
            *("gunicorn", "trial.flask_app:app", "--threads", "6", "-b", f"127.0.0.1:{port}", "-w", str(workers)),
            *("--max-requests", str(rotate_after), "--max-requests-jitter", str(rotate_after // 2)),
            *("--graceful-timeout", "5"),
        ],
        "fastapi": [
            *("uvicorn", "trial.fastapi_app:app", "--port", str(port), "--workers", str(workers)),
            *(["--limit-max-requests", str(rotate_after)] if rotate_after else []),
        ],
    }[kind]
    environment = environment | {"TRIAL_FOLDER": str(folder), "TRIAL_CLOCK": str(clock)}
    return Server(kind, machine, port, clock, start(arguments, log=folder / f"{kind}.log", **environment))


def end_input(process: subprocess.Popen[bytes]) -> int:
    """Let a process know that it is to end, and return its exit code."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    return process.wait(60)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGCONT)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(_GRACE_SECONDS)
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


def living_children(pid: int) -> list[int]:
    """Return the children of a process that are no zombies."""
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        return [int(child) for child in children if is_alive(int(child))]
    return []


def is_alive(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def _command_line(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
    return ""


class Watch:
    """Records the death of every worker, whatever it died of."""

    def __init__(self, servers: Sequence[Server], recorder: Recorder) -> None:
        self._servers = servers
        self._recorder = recorder
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look one last time, and end."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        alive: dict[int, float] = {}
        while not self._stop.wait(_TICK_SECONDS):
            looked = now()
            seen = {pid: looked for server in self._servers for pid in living_children(server.process.pid)}
            for pid in alive.keys() - seen.keys():
                # Its parent may have ended, and it lives on as another's child.
                if is_alive(pid):
                    seen[pid] = looked
                else:
                    self._recorder.record(Died(alive_at=alive[pid], pid=pid))
            alive = seen
