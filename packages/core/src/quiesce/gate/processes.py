"""Which process this is, and whether one that was here is gone."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from ..model import WorkerInfo


def describe_this_process(*, framework: str, started_at: datetime) -> WorkerInfo:
    """Return this process under a new id."""
    pid = os.getpid()
    return WorkerInfo(
        id=os.urandom(8).hex(),
        host=os.uname().nodename,
        pid=pid,
        machine=this_machine(),
        process_started=_start_ticks(pid) or 0,
        framework=framework,
        started_at=started_at,
    )


def this_machine() -> str:
    """Return the boot id and the pid name space: only within both does a pid mean the same process.

    Containers of one host share the boot id but count their pids apart.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        import uuid  # noqa: PLC0415 - where there is no Linux kernel to ask

        return f"{os.uname().nodename}/{uuid.getnode():x}"


def is_gone(worker: WorkerInfo, *, machine: str) -> bool:
    """Whether the worker's process is known to have ended; ``False`` when that cannot be known from here."""
    if worker.machine != machine:
        return False
    try:
        os.kill(worker.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    started = _start_ticks(worker.pid)
    return started is not None and worker.process_started not in {0, started}


def _start_ticks(pid: int) -> int | None:
    """Return the kernel's start time of a process, -1 for a zombie, ``None`` when it cannot be read (proc(5))."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return -1 if fields[0] == "Z" else int(fields[19])
