"""What the heartbeats of very many workers cost the one Redis that they share, and what follows for still more."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import redis

from quiesce import open_store
from quiesce.model import Acknowledgement, WorkerInfo
from quiesce.model.codec import encode_acknowledgement
from quiesce.stores.redis_address import parse_address
from quiesce.stores.redis_reports import Reports

from .harness import Effort, Spread
from .light_redis import LightRedisClient
from .report import Row

CLUSTERS = (100, 300, 1000)
BUDGET_PERCENT = 5.0

_SECONDS = 5.0
_LEASE_MILLISECONDS = 5000
_PREFIX = "{quiesce:default}:"


def measure(*, redis_url: str, effort: Effort) -> tuple[list[Row], dict[str, list[float]]]:
    """Report once a second for each of so many workers, and read the server's own processor time."""
    rows: list[Row] = []
    raw: dict[str, list[float]] = {}
    repeats = 3 if effort.rounds > 100 else 1
    with redis.Redis.from_url(redis_url) as server:
        idle = [_load(server, seconds=_SECONDS, beats=iter(())) for _ in range(repeats)]
        rows.append(Row(what="heartbeats: the server idle", contender="Redis", unit="%", spread=Spread.of(idle)))
        pings = [_load(server, seconds=_SECONDS, beats=_pings(server, CLUSTERS[-1])) for _ in range(repeats)]
        rows.append(
            Row(
                what=f"heartbeats: {CLUSTERS[-1]:,} PINGs a second",
                contender="Redis",
                unit="%",
                spread=Spread.of(pings),
                note="of one core: what so many questions cost that ask for nothing",
            )
        )
        medians = []
        for count in CLUSTERS:
            server.flushdb()
            with (
                closing(open_store(redis_url)) as store,
                closing(LightRedisClient(parse_address(redis_url), prefix=_PREFIX)) as client,
            ):
                beats = _beats(store, Reports(client), count)
                _load(server, seconds=2.0, beats=beats)  # each worker's first report is a script
                samples = [_load(server, seconds=_SECONDS, beats=beats) for _ in range(repeats)]
            raw[f"heartbeats of {count} workers (% of a core)"] = samples
            medians.append(Spread.of(samples).median)
            rows.append(
                Row(
                    what=f"heartbeats: {count:,} workers",
                    contender="Redis",
                    unit="%",
                    spread=Spread.of(samples),
                    budget=BUDGET_PERCENT if count == 1000 else None,
                    note="of one core, in the server",
                )
            )
    slope = (medians[-1] - medians[0]) / (CLUSTERS[-1] - CLUSTERS[0])
    expected = medians[-1] + slope * (10_000 - CLUSTERS[-1])
    rows.append(
        Row(
            what="heartbeats: 10,000 workers, from the slope",
            contender="Redis",
            unit="%",
            spread=Spread(expected, expected, expected),
            note="not measured",
        )
    )
    return rows, raw


def _load(server: Any, *, seconds: float, beats: Iterator[float]) -> float:
    """Return the percentage of a core that the server used while the beats were sent, evenly over each second."""
    began, used = time.monotonic(), _processor_seconds(server)
    while (now := time.monotonic()) - began < seconds:
        pause = next(beats, seconds)
        time.sleep(max(0.0, now + pause - time.monotonic()))
    return 100 * (_processor_seconds(server) - used) / (time.monotonic() - began)


def _beats(store: Any, reports: Reports, count: int) -> Iterator[float]:
    """Let the workers report in turn, for ever; yield how long to wait before the next."""
    workers = [
        WorkerInfo(f"{number:016x}", f"host-{number // 16}", 1000 + number, f"machine-{number // 16}", 1, "flask", _NOW)
        for number in range(count)
    ]
    for worker in workers:
        store.register(worker)
    acknowledgement = encode_acknowledgement(Acknowledgement(7, frozenset({"0a1b2c3d"})))
    due = time.monotonic()
    batch = 0
    while True:
        batch += 1
        for number, worker in enumerate(workers):
            reports.report(
                worker.id,
                acknowledgement,
                counts={},
                batch=batch,
                lease_milliseconds=_LEASE_MILLISECONDS,
                asks_for_silent=(batch + number) % 3 == 0,  # as agents do
            )
            due = max(due + 1 / count, time.monotonic() - 0.1)
            yield due - time.monotonic()


def _pings(server: Any, count: int) -> Iterator[float]:
    """Ask for nothing so often a second, for ever; yield how long to wait before the next."""
    due = time.monotonic()
    while True:
        server.ping()
        due = max(due + 1 / count, time.monotonic() - 0.1)
        yield due - time.monotonic()


def _processor_seconds(server: Any) -> float:
    found = server.info("cpu")
    return float(found["used_cpu_user"]) + float(found["used_cpu_sys"])


_NOW = datetime(2027, 1, 1, tzinfo=UTC)
