"""Ending the jobs that run: ask, wait, have their workers kill them, and say what became of each.

Before a job is killed it stands in a list in Redis, so that who comes after a crash halfway still reports it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

from redis import Redis
from rq import get_current_job
from rq.command import send_stop_job_command
from rq.exceptions import InvalidJobOperation, NoSuchJobError

from quiesce import JobRecord, JobStop, QuiesceError

from .fates import Seen, fate_of
from .holding import STOPPING_KEY, is_wake_up
from .looking import started

KEPT_SECONDS = 30 * 24 * 3600
"""How long RQ's Redis remembers what was ended and what was put back."""

_STEP_SECONDS = 0.05
_KILL_SECONDS = 20.0
_AGAIN_SECONDS = 1.0
_MARGIN_SECONDS = 60


class StoppedForMaintenanceError(QuiesceError):
    """Raised by a job that ends unfinished because ``stopping`` said so; it is then put back after maintenance."""


def stopping() -> bool:
    """Whether the RQ job that asks is to end now; one short question to RQ's Redis. Outside a job: no."""
    job = get_current_job()
    return job is not None and bool(job.connection.exists(STOPPING_KEY))


def stop(redis: Redis, request: JobStop) -> list[JobRecord]:
    """Return a record for each job that ran, after ending it; may be repeated for the same window."""
    key = f"quiesce:rq:ended:{request.window_id}"
    _note_running(redis, key)  # before anybody is asked: whoever ends at once would stand in no ledger
    redis.set(STOPPING_KEY, request.window_id, ex=int(request.grace_seconds) + _MARGIN_SECONDS)
    until = time.monotonic() + request.grace_seconds
    while _note_running(redis, key) and time.monotonic() < until:
        time.sleep(min(_STEP_SECONDS, max(until - time.monotonic(), 0.0)))
    until = time.monotonic() + _KILL_SECONDS
    sent: dict[str, float] = {}
    while (running := _note_running(redis, key)) and time.monotonic() < until:
        _kill(redis, key, running, sent)
        time.sleep(_STEP_SECONDS)
    redis.expire(key, KEPT_SECONDS)
    seen = {Seen.read(id_, body).id: Seen.read(id_, body) for id_, body in redis.hgetall(key).items()}
    return [fate_of(redis, each, is_running=each.id in running) for each in seen.values()]


def _note_running(redis: Redis, key: str) -> set[str]:
    """Write down which jobs run, and return those whose workers are still heard of."""
    running = set()
    for job in started(redis):
        if is_wake_up(job.id):
            continue
        redis.hsetnx(key, job.id, json.dumps({"queue": job.queue, "killed": False}))
        if not job.is_silent:
            running.add(job.id)
    return running


def _kill(redis: Redis, key: str, running: set[str], sent: dict[str, float]) -> None:
    """Have the workers kill these jobs; again after a while, for a command that nobody heard is gone."""
    now = time.monotonic()
    for id_ in running:
        if now - sent.get(id_, float("-inf")) < _AGAIN_SECONDS:
            continue
        sent[id_] = now
        found: Mapping[str, object] = json.loads(redis.hget(key, id_) or "{}")
        redis.hset(key, id_, json.dumps({**found, "killed": True}))
        try:
            send_stop_job_command(redis, id_)
        except (InvalidJobOperation, NoSuchJobError):
            continue  # it ended in this moment, or its worker has not taken it over yet
