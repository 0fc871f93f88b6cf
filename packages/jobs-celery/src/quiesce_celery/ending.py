"""Ending the tasks that run: ask, wait, have their workers kill their processes, and say what became of each.

Before anybody is asked the runs stand in a list in Redis, so that who comes after a crash halfway still reports them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from quiesce import JobFate, JobRecord, JobStop

from .broker import Broker
from .fates import fate_of
from .looking import Seen, look
from .notes import KEPT_SECONDS, KILLING_POOLS, Run

_STEP_SECONDS = 0.05
_KILL_SECONDS = 20.0
_VERIFY_SECONDS = 3.0
_MARGIN_SECONDS = 60
_ORDER = (JobFate.FINISHED, JobFate.RUNNING, JobFate.STOPPED, JobFate.TERMINATED, JobFate.LOST)


def stop(broker: Broker, request: JobStop) -> list[JobRecord]:
    """Return a record for each task that ran, after ending it; may be repeated for the same window."""
    key = broker.ours("ended", request.window_id)
    seen = look(broker)
    _note(
        broker, key, (*seen.runs, *seen.lost)
    )  # before anybody is asked: whoever ends at once would stand in no ledger
    broker.redis.set(broker.ours("stopping"), request.window_id, ex=int(request.grace_seconds) + _MARGIN_SECONDS)
    until = time.monotonic() + request.grace_seconds
    while _running(broker, key) and time.monotonic() < until:
        time.sleep(min(_STEP_SECONDS, max(until - time.monotonic(), 0.0)))
    until = time.monotonic() + _KILL_SECONDS
    while (running := _killable(broker, key)) and time.monotonic() < until:
        broker.redis.hset(broker.ours("asked"), mapping={run.key: run.incarnation for run in running})
        time.sleep(_STEP_SECONDS)
    broker.redis.delete(broker.ours("asked"))
    seen = _verify(broker)
    noted = [Run.decode(body) for body in broker.redis.hvals(key)]
    return _records(broker, noted, seen)


def _note(broker: Broker, key: str, runs: Iterable[Run]) -> None:
    with broker.redis.pipeline(transaction=True) as pipeline:
        for run in runs:
            pipeline.hsetnx(key, run.key, run.encode())
        pipeline.expire(key, KEPT_SECONDS)
        pipeline.execute()


def _running(broker: Broker, key: str) -> tuple[Run, ...]:
    """Write down which tasks run, and return them."""
    seen = look(broker)
    _note(broker, key, (*seen.runs, *seen.lost))
    return seen.runs


def _killable(broker: Broker, key: str) -> list[Run]:
    """Return those whose workers are heard of and can kill them."""
    seen = look(broker)
    _note(broker, key, (*seen.runs, *seen.lost))
    heard = {worker.incarnation for worker in seen.workers}
    return [run for run in seen.runs if run.pool in KILLING_POOLS and run.incarnation in heard]


def _verify(broker: Broker) -> Seen:
    """Wait until the workers too have noticed what was killed."""
    until = time.monotonic() + _VERIFY_SECONDS
    while True:
        seen = look(broker)
        working = {run.incarnation for run in seen.runs}
        if time.monotonic() > until or all(each.active == 0 or each.incarnation in working for each in seen.workers):
            return seen
        time.sleep(_STEP_SECONDS)


def _records(broker: Broker, noted: list[Run], seen: Seen) -> list[JobRecord]:
    """Return one record for each message; one that was delivered twice and came to its end once has done so."""
    silent = {worker.incarnation for worker in seen.silent}
    running = {run.key for run in seen.runs}
    if not noted:
        return []
    outcomes = broker.redis.mget([broker.ours("outcome", run.key) for run in noted])
    best: dict[str, JobRecord] = {}
    for run, outcome in sorted(zip(noted, outcomes, strict=True), key=lambda each: each[0].key):
        record = fate_of(
            run,
            outcome.decode() if isinstance(outcome, bytes) else "",
            is_running=run.key in running,
            is_silent=run.incarnation in silent,
        )
        known = best.get(run.tag)
        if known is None or _ORDER.index(record.fate) < _ORDER.index(known.fate):
            best[run.tag] = record
    return list(best.values())
