"""Ending a million sessions by one write, what other clients feel of it, and what a look at a session costs."""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import redis

from quiesce import EnhancedMaintenanceModeService, Principal
from quiesce.gate.sessions import SessionJudge

from .harness import Effort, Run, Spread, take_turns
from .pings import pinging
from .report import Row
from .stores import make_service

_SESSIONS = {True: 1_000_000, False: 10_000}
"""In a full run, and in a quick one."""
_WRITE_BUDGET_MS = 5.0
_STALL_BUDGET_MS = 5.0
_CHECK_BUDGET_US = 0.3
_PAUSE_SECONDS = 0.01
_BODY = b"x" * 200
_BATCH = 10_000
_BOB = Principal("bob")


def measure(folder: Path, *, redis_url: str, effort: Effort) -> tuple[list[Row], dict[str, list[float]]]:
    """Return the rows, and the milliseconds of every write and every ping."""
    count = _SESSIONS[effort.rounds > 100]
    rows: list[Row] = []
    raw: dict[str, list[float]] = {}

    def add(what: str, contender: str, samples: list[float], *, budget: float | None = None, note: str = "") -> None:
        rows.append(Row(what=what, contender=contender, unit="ms", spread=Spread.of(samples), budget=budget, note=note))
        raw[f"{what}: {contender} (ms)"] = samples

    what = f"end {count:,} sessions"
    path = folder / "sessions.db"
    with closing(make_service(f"sqlite:///{path}")) as service:
        service.start()
        _fill_sqlite(path, count)
        samples = _end_again_and_again(service, times=effort.flips)
        add(what, "Quiesce, SQLite", samples, budget=_WRITE_BUDGET_MS, note=f"worst {max(samples):.1f} ms")
    with redis.Redis.from_url(redis_url) as server, closing(make_service(redis_url, board_folder=folder)) as service:
        _fill_redis(server, count)
        service.start()
        with pinging(redis_url) as pings:
            time.sleep(effort.flips * 2 * _PAUSE_SECONDS)
        idle = pings()
        server.config_set("slowlog-log-slower-than", 0)
        server.config_set("slowlog-max-len", 100_000)
        server.slowlog_reset()
        with pinging(redis_url) as pings:
            samples = _end_again_and_again(service, times=effort.flips)
        add(what, "Quiesce, Redis", samples, budget=_WRITE_BUDGET_MS, note=f"worst {max(samples):.1f} ms")
        busy = pings()
        longest = max(entry["duration"] for entry in server.slowlog_get(100_000)) / 1000
        server.config_set("slowlog-log-slower-than", -1)
        stall = f"{what}: worst wait of another client"
        add(stall, "Redis, nothing ended", [max(idle)], note=f"of {len(idle):,} pings")
        add(stall, "Quiesce, Redis", [max(busy)], budget=_STALL_BUDGET_MS, note=f"of {len(busy):,} pings")
        add(f"{what}: longest command in the server", "Quiesce, Redis", [longest], budget=_STALL_BUDGET_MS)
        with pinging(redis_url) as pings:
            began = time.perf_counter()
            _delete_all(server)
            taken = (time.perf_counter() - began) * 1000
        add(
            what,
            "deleting each, by SCAN and UNLINK",
            [taken],
            note=f"another client waits {max(pings()):.1f} ms at worst",
        )
    checks, figures = _checks(folder, effort=effort)
    return [*rows, *checks], raw | figures


def _end_again_and_again(service: EnhancedMaintenanceModeService, *, times: int) -> list[float]:
    samples = []
    for _ in range(times):
        began = time.perf_counter()
        service.sessions.invalidate(actor="benchmark")
        samples.append((time.perf_counter() - began) * 1000)
        time.sleep(_PAUSE_SECONDS)
    return samples


def _fill_sqlite(path: Path, count: int) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE application_sessions (id TEXT PRIMARY KEY, body BLOB)")
        rows = ((f"session:{number}", _BODY) for number in range(count))
        connection.executemany("INSERT INTO application_sessions VALUES (?, ?)", rows)


def _fill_redis(server: redis.Redis, count: int) -> None:
    numbers = iter(range(count))
    while batch := list(itertools.islice(numbers, _BATCH)):
        server.mset({f"session:{number}": _BODY for number in batch})


def _delete_all(server: redis.Redis) -> None:
    found = server.scan_iter(match="session:*", count=1000)
    while batch := list(itertools.islice(found, 1000)):
        server.unlink(*batch)


def _checks(folder: Path, *, effort: Effort) -> tuple[list[Row], dict[str, list[float]]]:
    with closing(make_service(f"sqlite:///{folder}/checks.db")) as service:
        service.start()
        service.sessions.invalidate(actor="benchmark")
        service.sessions.note_activity(_BOB, "a session")
        service.sessions.note_activity(None, "a session")
        judge, manager = SessionJudge(service.gate), service.sessions

        def look_and_note() -> None:
            manager.is_settled(1)
            manager.note_activity(None, "a session")

        runs: dict[str, Run] = {
            "SessionJudge": _repeat(lambda: judge.is_settled(1)),
            "service.sessions": _repeat(lambda: manager.is_settled(1)),
            "service.sessions, activity noted too": _repeat(look_and_note),
        }
        samples = take_turns(runs, effort=effort)
    rows = [
        Row(
            what="look at a session, one that counts",
            contender=f"Quiesce, {name}",
            unit="us",
            spread=Spread.of(figures).scaled(1e-3),
            budget=None if "activity" in name else _CHECK_BUDGET_US,
            note="the loop and its call included",
        )
        for name, figures in samples.items()
    ]
    return rows, {f"look at a session: {name} (ns)": figures for name, figures in samples.items()}


def _repeat(act: Callable[[], object]) -> Run:
    def run(count: int) -> None:
        for _ in range(count):
            act()

    return run
