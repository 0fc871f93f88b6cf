"""How fast queued events reach a receiver, and what that takes of memory: a real worker with the real webhook."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path

import httpcore

from quiesce import EnhancedMaintenanceModeService, EventKind, MaintenanceEvent, Settings, open_store
from quiesce.control.outbox_notes import write_place
from quiesce.control.outbox_rules import Place, end_of
from quiesce.stores.base import MOST_EVENTS

from .harness import Effort, Spread
from .receiver import EARLY, Arrivals, Listen, receiving
from .report import Row
from .stores import ADAPTERS, make_service

PLUGIN = "webhook"
_QUICK_EVENTS = 100
_BARE_POSTS = 1_000
_SAMPLES = 10
_BUDGET_MS = 5.0
"""For each event: 200 a second."""
_MEMORY_BUDGET_MIB = 2.0
_SPARE_EVENTS = 100
_SECRET = "whsec_" + "A" * 32
_START_SECONDS = 30


def measure(folder: Path, *, redis_url: str, effort: Effort) -> tuple[list[Row], dict[str, list[float]]]:
    """Queue nearly as many events as a store keeps, then start a worker; beside it a loop without an outbox."""
    # What the worker itself has to tell meanwhile must not push the oldest out of the store.
    count = MOST_EVENTS - _SPARE_EVENTS if effort.rounds > 100 else _QUICK_EVENTS
    what = f"tell a webhook of {count:,} queued events, each"
    rows: list[Row] = []
    raw: dict[str, list[float]] = {}
    with receiving() as (address, listen):
        arrivals = _sent(_post_bare, (address, min(count, _BARE_POSTS)), listen=listen, count=min(count, _BARE_POSTS))
        bare = _milliseconds(arrivals)
        rows.append(_row(what, "httpcore in a loop", bare, note=f"{1000 / _mean(arrivals):,.0f} a second; unsigned"))
        raw[f"{what}: httpcore in a loop (ms)"] = bare
        for store, url in (("SQLite", f"sqlite:///{folder}/outbox.db"), ("Redis", redis_url)):
            ids, queuing_seconds = _queue(url, count)
            arrivals = _sent(_deliver, (url, address), listen=listen, count=count)
            # What the worker has to tell of its own may come between.
            queued = set(ids)
            told = [each for each in arrivals.ids if each in queued]
            if arrivals.signed != count or len(told) < count - _SPARE_EVENTS or told != ids[: len(told)]:
                raise SystemExit(f"{store}: of {count} events not each arrived once, in order and signed: {len(told)}")
            each = _milliseconds(arrivals)
            note = f"{1000 / _mean(arrivals):,.0f} a second; queued at {count / queuing_seconds:,.0f} a second"
            ratio = Spread.of(each).median / Spread.of(bare).median
            rows.append(_row(what, f"Quiesce, {store}", each, ratio=ratio, budget=_BUDGET_MS, note=note))
            rows.append(_memory_row(what, store, arrivals))
            raw[f"{what}: Quiesce, {store} (ms)"] = each
    return rows, raw


def _row(
    what: str, contender: str, each: list[float], *, note: str, ratio: float | None = None, budget: float | None = None
) -> Row:
    return Row(what=what, contender=contender, unit="ms", spread=Spread.of(each), ratio=ratio, budget=budget, note=note)


def _memory_row(what: str, store: str, arrivals: Arrivals) -> Row:
    count = len(arrivals.ids)
    return Row(
        what=f"{what}: memory added",
        contender=f"Quiesce, {store}",
        unit="MiB",
        spread=Spread.of([arrivals.last_mib - arrivals.early_mib]),
        budget=_MEMORY_BUDGET_MIB,
        note=f"to the peak from event {min(EARLY, count // 2):,} to {count:,}; {arrivals.last_mib:.1f} MiB in all",
    )


def _milliseconds(arrivals: Arrivals) -> list[float]:
    """Return what an event took, in so many equal parts of the whole."""
    times = arrivals.times
    marks = [round(number * (len(times) - 1) / _SAMPLES) for number in range(_SAMPLES + 1)]
    return [1000 * (times[end] - times[begin]) / (end - begin) for begin, end in pairwise(marks)]


def _mean(arrivals: Arrivals) -> float:
    return 1000 * (arrivals.times[-1] - arrivals.times[0]) / (len(arrivals.times) - 1)


def _queue(url: str, count: int) -> tuple[list[str], float]:
    """Commit so many events about an open window, none of which was told; return their ids, and the seconds."""
    with closing(make_service(url)) as service:
        service_name = service.settings.service_name
        service.enable(reason="benchmark", actor="benchmark")
    with closing(open_store(url)) as store:
        state = store.load()
        write_place(store.items, PLUGIN, Place(cursor=end_of(state.revision)), expected=None)
        ids = []
        began = time.perf_counter()
        for _ in range(count):
            event = MaintenanceEvent(
                kind=EventKind.CHANGED,
                at=datetime.now(UTC),
                revision=state.revision + 1,
                number=0,
                window_id=state.windows[0].id,
                reason="benchmark",
                actor="benchmark",
            )
            successor = replace(state, revision=state.revision + 1)
            store.commit(successor, expected_revision=state.revision, audit=(), events=(event,))
            state = successor
            ids.append(f"{service_name}-{event.id}")  # as a notice has it
        return ids, time.perf_counter() - began


def _sent(send: Callable[..., None], arguments: tuple[object, ...], *, listen: Listen, count: int) -> Arrivals:
    """Let a process of its own send, and return what arrived."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=send, args=(*arguments, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(_START_SECONDS) or process.pid is None:
            raise SystemExit("the process that delivers did not start")
        ours.recv()
        arrivals = listen(process.pid, count)
        ours.send("begin")
        return arrivals()
    finally:
        process.kill()
        process.join()


def _deliver(url: str, address: str, connection: Connection) -> None:
    settings = Settings(
        store_url=url,
        disabled_plugins=(*ADAPTERS, "celery", "email", "rq"),
        webhook_url=address,
        webhook_secrets=(_SECRET,),
        webhook_allow_private=True,
    )
    with closing(EnhancedMaintenanceModeService(settings)) as service:
        connection.send("ready")
        connection.recv()
        service.start()
        connection.recv()  # until it is killed


def _post_bare(address: str, count: int, connection: Connection) -> None:
    body = b'{"type":"maintenance.changed","data":"' + b"x" * 600 + b'"}'
    connection.send("ready")
    connection.recv()
    for number in range(count):
        httpcore.request("POST", address, headers={"webhook-id": str(number), "Connection": "close"}, content=body)
    connection.recv()  # its memory is looked at
