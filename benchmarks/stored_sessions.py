"""Deleting what Redis keeps of a million ended sessions: time, memory, and what other clients feel of it."""

from __future__ import annotations

import multiprocessing
import re
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import redis

from quiesce import SessionInvalidation
from quiesce_flask import StoredSessions

from .harness import Effort, Spread
from .pings import pinging
from .report import Row
from .stores import make_service

_SESSIONS = {True: 1_000_000, False: 10_000}
"""In a full run, and in a quick one."""
_STALL_BUDGET_MS = 5.0
_MEMORY_BUDGET_MIB = 2.0
_BODY = b"x" * 200
_BATCH = 10_000


def measure(folder: Path, *, redis_url: str, effort: Effort) -> tuple[list[Row], dict[str, list[float]]]:
    """Return the rows, and the milliseconds of every ping beside them; the baseline lasts as long as the deletion."""
    count = _SESSIONS[effort.rounds > 100]
    with redis.Redis.from_url(redis_url) as server:
        server.flushdb()
        _fill(server, count)
        server.config_set("slowlog-max-len", 100_000)
        server.config_set("slowlog-log-slower-than", 0)
        server.slowlog_reset()
        seconds, memory, deleted, busy = _delete_elsewhere(folder, redis_url)
        durations = sorted(entry["duration"] / 1000 for entry in server.slowlog_get(100_000))
        server.config_set("slowlog-log-slower-than", -1)
        if deleted != count or server.dbsize():
            raise SystemExit(f"{deleted} of {count} sessions were deleted, {server.dbsize()} keys are left")
        _fill(server, count)
        with pinging(redis_url) as pings:
            time.sleep(seconds)
        idle = pings()
        server.flushdb()
    what = f"delete {count:,} stored sessions"
    stall = f"{what}: worst wait of another client"
    rows = [
        _row(what, "Quiesce, Flask-Session's Redis", seconds, unit="s", note="in the background"),
        _row(f"{what}: memory added", "Quiesce, Flask-Session's Redis", memory, unit="MiB", budget=_MEMORY_BUDGET_MIB),
        _row(stall, "Redis, nothing deleted", max(idle), unit="ms", note=f"of {len(idle):,} pings, as long"),
        _row(
            stall,
            "Quiesce, Flask-Session's Redis",
            max(busy),
            unit="ms",
            budget=_STALL_BUDGET_MS,
            note=f"of {len(busy):,} pings; {_above(busy)} above the budget, {_above(idle)} without",
        ),
        _row(
            f"{what}: longest command in the server",
            "Quiesce, Flask-Session's Redis",
            durations[-1],
            unit="ms",
            budget=_STALL_BUDGET_MS,
            note=f"99 of 100 within {durations[len(durations) * 99 // 100]:.2f} ms, others' commands included",
        ),
    ]
    return rows, {f"{stall}: deleting (ms)": busy, f"{stall}: not deleting (ms)": idle}


def _row(what: str, contender: str, figure: float, *, unit: str, budget: float | None = None, note: str = "") -> Row:
    return Row(what=what, contender=contender, unit=unit, spread=Spread.of([figure]), budget=budget, note=note)


def _above(samples: list[float]) -> int:
    return sum(sample > _STALL_BUDGET_MS for sample in samples)


def _fill(server: redis.Redis, count: int) -> None:
    for numbers in _batches(count):
        server.mset({f"session:q0.{number:016x}.{number:043}": _BODY for number in numbers})


def _batches(count: int) -> Iterator[range]:
    for start in range(0, count, _BATCH):
        yield range(start, min(start + _BATCH, count))


def _delete_elsewhere(folder: Path, redis_url: str) -> tuple[float, float, int, list[float]]:
    """Delete in a process of its own; return the seconds, the MiB that it grew by, how many, and the pings beside."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_delete, args=(str(folder), redis_url, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        ours.recv()
        with pinging(redis_url) as pings:
            ours.send("begin")
            seconds, memory, deleted = ours.recv()
    finally:
        process.kill()
        process.join()
    return seconds, memory, deleted, pings()


def _delete(folder: str, redis_url: str, connection: Connection) -> None:
    with (
        redis.Redis.from_url(redis_url, socket_timeout=5) as client,
        closing(make_service(f"sqlite:///{folder}/stored.db")) as service,
    ):
        stored = StoredSessions(client)
        stored.install(service)
        stored.on_session_invalidate(SessionInvalidation(generation=0, at=datetime.now(UTC)))  # once, for its imports
        connection.send("ready")
        connection.recv()
        before = _peak_mib()
        began = time.perf_counter()
        stored.on_session_invalidate(SessionInvalidation(generation=1, at=datetime.now(UTC)))
        seconds = time.perf_counter() - began
        (told,) = service.sessions.deletions()
        connection.send((seconds, _peak_mib() - before, told.deleted))


def _peak_mib() -> float:
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0
