"""How soon a change is seen: by the workers of the operator's machine, and over Redis by those of another."""

from __future__ import annotations

import os
import statistics
import time
from contextlib import ExitStack
from pathlib import Path

from quiesce import EnhancedMaintenanceModeService

from .harness import Effort, Spread
from .report import Row
from .stores import make_service
from .witnesses import Flip, Task, Testimony, Witnesses, busy_cores, flip, witnesses

Samples = dict[str, list[float]]

_LOCAL_HOLD_SECONDS = 0.01
_LOCAL_LIMIT_SECONDS = 60.0
_REMOTE_HOLD_SECONDS = 0.02
_REMOTE_PAUSE_SECONDS = 0.0002
_CORES = len(os.sched_getaffinity(0))


def on_one_machine(folder: Path, *, effort: Effort) -> tuple[list[Row], Samples]:
    """Count the decisions that a worker still made by the old state after the operator's command had returned."""
    url = f"sqlite:///{folder}/visibility.db"
    operator = make_service(url)
    started = time.monotonic()
    found: list[Testimony] = []
    flips = 0
    while flips < effort.flips or (
        sum(each.decisions for each in found) < effort.decisions and time.monotonic() - started < _LOCAL_LIMIT_SECONDS
    ):
        with witnesses(Task(url=url), count=max(2, _CORES)) as workers:
            changes = _flips(operator, workers, count=effort.flips, hold_seconds=_LOCAL_HOLD_SECONDS)
            found += workers.testify(changes)
            flips += len(changes)
    operator.close()
    decisions, stale = sum(each.decisions for each in found), sum(each.stale for each in found)
    note = f"of {decisions:,} decisions in {max(2, _CORES)} processes over {flips} changes"
    is_shown = decisions >= effort.decisions
    if not is_shown:
        note = (
            f"not shown: {effort.decisions:,} decisions are wanted, and there was time for {note.removeprefix('of ')}"
        )
    row = Row(
        what="change seen on one machine (SQLite)",
        contender="Quiesce",
        unit="stale",
        spread=Spread(stale, stale, stale),
        budget=0 if is_shown or stale else None,
        note=note,
    )
    return [row], {"visibility: stale": [stale], "visibility: decisions": [decisions]}


def over_redis(folder: Path, *, redis_url: str, effort: Effort) -> tuple[list[Row], Samples]:
    """Measure from the commit's return to the first new decision on another machine, which has a board of its own."""
    rows: list[Row] = []
    raw: Samples = {}
    for title, budget, pause_seconds, burners in (
        ("idle", 5.0, _REMOTE_PAUSE_SECONDS, 0),
        ("every core busy", 25.0, _REMOTE_PAUSE_SECONDS, _CORES),
        ("workers themselves flat out", 25.0, 0.0, 0),
    ):
        board_folder = folder / title.replace(" ", "-")
        board_folder.mkdir(mode=0o700)
        task = Task(url=redis_url, board_folder=board_folder, pause_seconds=pause_seconds)
        with ExitStack() as stack:
            operator = make_service(redis_url, board_folder=folder)
            stack.callback(operator.close)
            workers = stack.enter_context(witnesses(task, count=2))
            stack.enter_context(busy_cores(burners))
            changes = _flips(operator, workers, count=effort.flips, hold_seconds=_REMOTE_HOLD_SECONDS)
            found = workers.testify(changes)
        new_rows, latencies = _latency_rows(title, found, budget=budget)
        rows += new_rows
        raw[f"over Redis, {title} (ms)"] = latencies
    return rows, raw


def _flips(
    operator: EnhancedMaintenanceModeService, workers: Witnesses, *, count: int, hold_seconds: float
) -> list[Flip]:
    """Open and close a window in turn, each when the last was seen; an even number of changes leaves it closed."""
    changes = []
    for number in range(count):
        if number % 2 == 0:
            changes.append(flip(lambda: operator.enable(reason="benchmark", actor="benchmark"), is_open=True))
        else:
            changes.append(flip(lambda: operator.disable(actor="benchmark"), is_open=False))
        time.sleep(hold_seconds)
        workers.wait_for(changes[-1])
    return changes


def _latency_rows(title: str, found: list[Testimony], *, budget: float) -> tuple[list[Row], list[float]]:
    latencies = [each / 1e6 for testimony in found for each in testimony.latencies]
    unseen = sum(testimony.unseen for testimony in found)
    what = f"change seen over Redis, {title}"
    note = f"{len(latencies)} sightings" + (f", {unseen} of them not before the next change" if unseen else "")
    if len(latencies) < 2:
        raise SystemExit(f"{what}: the workers of the other machine saw no change")
    p99 = statistics.quantiles(latencies, n=100, method="inclusive")[98]
    return [
        Row(what=f"{what}: median", contender="Quiesce", unit="ms", spread=Spread.of(latencies), note=note),
        Row(what=f"{what}: p99", contender="Quiesce", unit="ms", spread=Spread(p99, p99, p99), budget=budget),
    ], latencies
