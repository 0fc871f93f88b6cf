"""What idle workers cost, and how long an operator waits for the proof that they are quiet: from command to verdict."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path

from quiesce import EnhancedMaintenanceModeService

from .harness import Effort, Spread
from .report import Row
from .stores import make_service

WORKERS = 16

_START_SECONDS = 120.0
_SETTLE_SECONDS = 3.5
"""A store that is younger than three seconds proves nothing."""
_processes = multiprocessing.get_context("spawn")


def measure(folder: Path, *, redis_url: str, effort: Effort) -> tuple[list[Row], dict[str, list[float]]]:
    """Open a window and wait for the proof, over and over, with sixteen idle workers; beside ``enable`` alone."""
    rows: list[Row] = []
    raw: dict[str, list[float]] = {}
    for store, url, budget in (("SQLite", f"sqlite:///{folder}/proving.db", 50.0), ("Redis", redis_url, 100.0)):
        with ExitStack() as stack:
            operator = make_service(url)
            stack.callback(operator.close)
            workers = stack.enter_context(_idle_workers(url))
            time.sleep(_SETTLE_SECONDS)
            idling = _processor_shares(workers, seconds=max(1.0, effort.flips / 40))
            enabling, proving = _cycles(operator, count=max(3, effort.flips // 4))
        idle = f"an idle worker ({store})"
        what = f"enable --wait, {WORKERS} idle workers ({store})"
        rows += [
            Row(what=idle, contender="Quiesce", unit="%", spread=Spread.of(idling), note="of one core"),
            Row(what=what, contender="enable alone", unit="ms", spread=Spread.of(enabling)),
            Row(
                what=what,
                contender="Quiesce",
                unit="ms",
                spread=Spread.of(proving),
                ratio=Spread.of(proving).median / Spread.of(enabling).median,
                budget=budget,
                note=f"slowest of {len(proving)}: {max(proving):.0f} ms",
            ),
        ]
        raw |= {
            f"{idle} (% of a core)": idling,
            f"{what}, enable (ms)": enabling,
            f"{what}, in all (ms)": proving,
        }
    return rows, raw


def _processor_shares(workers: Sequence[Connection], *, seconds: float) -> list[float]:
    """Return the percentage of a core that each worker uses while nothing happens."""
    before = [_processor_seconds(worker) for worker in workers]
    began = time.perf_counter()
    time.sleep(seconds)
    passed = time.perf_counter() - began
    return [100 * (_processor_seconds(worker) - used) / passed for worker, used in zip(workers, before, strict=True)]


def _processor_seconds(worker: Connection) -> float:
    worker.send("how much?")
    return float(worker.recv())


def _cycles(operator: EnhancedMaintenanceModeService, *, count: int) -> tuple[list[float], list[float]]:
    enabling, proving = [], []
    for _ in range(count):
        began = time.perf_counter()
        operator.enable(reason="benchmark", actor="benchmark")
        enabled = time.perf_counter()
        report = operator.wait_until_quiesced(timeout=timedelta(seconds=30), expected_workers=WORKERS)
        proved = time.perf_counter()
        if not report.quiesced:
            raise SystemExit(f"sixteen idle workers were not quiet: {'; '.join(report.obstacles)}")
        enabling.append((enabled - began) * 1000)
        proving.append((proved - began) * 1000)
        operator.disable(actor="benchmark")
        time.sleep(0.1)
    return enabling, proving


@contextmanager
def _idle_workers(url: str) -> Iterator[list[Connection]]:
    pairs = [_processes.Pipe() for _ in range(WORKERS)]
    workers = [_processes.Process(target=_idle, args=(url, theirs), daemon=True) for _, theirs in pairs]
    try:
        for worker in workers:
            worker.start()
        for ours, _ in pairs:
            if not ours.poll(_START_SECONDS):
                raise SystemExit("a worker process did not start")
            ours.recv()
        yield [ours for ours, _ in pairs]
    finally:
        for ours, _ in pairs:
            ours.close()
        for worker in workers:
            worker.join(5)
            worker.kill()
            worker.join()


def _idle(url: str, connection: Connection) -> None:
    service = make_service(url)
    service.start()
    connection.send("ready")
    with suppress(EOFError):  # the other end is closed
        while connection.recv():
            connection.send(time.process_time())
    service.close()
