"""Telling whether a process that wrote something down is still there, as far as that can be told from here."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path


def machine() -> str:
    """Return what processes share that see each other's process ids: a host, its start, and a namespace."""
    return _machine(os.getpid())


@cache
def _machine(_pid: int) -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        boot = namespace = "?"
    return f"{socket.gethostname()} {boot} {namespace}"


def begun_at(pid: int) -> str:
    """Return when a process of this machine began, in ticks, so that a process id that is used again does not deceive.

    Empty: there is no such process, or it is a zombie.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state in {"Z", "X"} else fields[18]


def is_gone(where: str, pid: int, began: str) -> bool:
    """Whether it is known that a process has ended; of another machine's that is never known."""
    return where == machine() and "?" not in where and begun_at(pid) != began
