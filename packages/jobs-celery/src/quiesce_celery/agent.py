"""A worker's thread that tells Redis of the worker, hears whether work is held back, and kills what is to be ended."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace

from celery import Celery
from redis import RedisError

from . import processes
from .connecting import broker_of
from .notes import BEAT_SECONDS, KILLING_POOLS, Report, Run
from .requests import Requests
from .scripts import Scripts

_REAP_EVERY = 5
_STOP_SECONDS = 3.0
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError)

logger = logging.getLogger("quiesce")


class WorkerAgent:
    """The thread, and what the worker's event loop and it tell each other.

    Attributes:
        requests: the worker's.
        hold: the hold that Redis told of last; empty: work is not held back.
        pool: the kind of its pool.
    """

    def __init__(self, app: Celery, *, node: str, pool: str) -> None:
        pid = os.getpid()
        self.hold = ""
        self.pool = pool
        self._app = app
        self._report = Report(
            node=node,
            incarnation=uuid.uuid4().hex,
            machine=processes.machine(),
            pid=pid,
            began=processes.begun_at(pid),
            pool=pool,
            is_listening=bool(app.conf.worker_enable_remote_control),
        )
        self.requests = Requests(node=node, incarnation=self._report.incarnation, pool=pool)
        self._wake = threading.Event()
        self._stopping = False
        self._beats = 0
        self._thread = threading.Thread(target=self._run, name="quiesce-celery", daemon=True)

    def start(self) -> None:
        """Begin to tell."""
        self._thread.start()

    def stop(self) -> None:
        """Take leave: the worker takes nothing more. What still runs is written down beside."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def tell(self, *, held: str, reserved: int, active: int, queues: tuple[str, ...]) -> None:
        """Take in how things stand; what has changed is told at once."""
        report = replace(self._report, held=held, reserved=reserved, active=active, queues=queues)
        if report != self._report:
            self._report = report
            self._wake.set()

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._beat()
            except (RedisError, OSError, *_UNREADABLE) as exc:
                logger.warning("celery: %s cannot tell how it stands: %s", self._report.node, exc)
            self._wake.wait(BEAT_SECONDS)
            self._wake.clear()
        try:
            broker = broker_of(self._app)
            for name in ("workers", "seen"):
                broker.redis.hdel(broker.ours(name), self._report.incarnation)
        except (RedisError, OSError) as exc:
            logger.warning("celery: %s could not take leave: %s", self._report.node, exc)

    def _beat(self) -> None:
        broker = broker_of(self._app)
        report = self._report
        now = broker.redis.time()[0]
        with broker.redis.pipeline(transaction=True) as pipeline:
            pipeline.hset(broker.ours("workers"), report.incarnation, report.encode())
            pipeline.hset(broker.ours("seen"), report.incarnation, now)
            pipeline.get(broker.ours("held"))
            pipeline.hgetall(broker.ours("asked"))
            _, _, held, asked = pipeline.execute()
        self.hold = held.decode() if held else ""
        mine = [key for key, whose in asked.items() if whose.decode() == report.incarnation]
        if mine and report.pool in KILLING_POOLS:
            self._kill(
                Scripts(broker), [Run.decode(body) for body in broker.redis.hmget(broker.ours("running"), mine) if body]
            )
        self._beats += 1
        if self.hold or self._beats % _REAP_EVERY == 1:
            self._reap(Scripts(broker))

    def _kill(self, scripts: Scripts, runs: list[Run]) -> None:
        for run in runs:
            # Opened first: whoever gets the same process id later is not what it leads to.
            with contextlib.suppress(ProcessLookupError), _opened(run.pid) as process:
                if run.is_gone or not scripts.claim(run):
                    continue
                self.requests.doom(run)
                signal.pidfd_send_signal(process, signal.SIGKILL)

    def _reap(self, scripts: Scripts) -> None:
        """Take out what processes of this machine that have ended left behind, be they ours or not."""
        broker = broker_of(self._app)
        for body in broker.redis.hvals(broker.ours("running")):
            run = Run.decode(body)
            if run.is_gone:
                scripts.reap(run)
        for body in broker.redis.hvals(broker.ours("workers")):
            report = Report.decode(body)
            if report.is_gone:
                broker.redis.hdel(broker.ours("workers"), report.incarnation)
                broker.redis.hdel(broker.ours("seen"), report.incarnation)


@contextlib.contextmanager
def _opened(pid: int) -> Iterator[int]:
    process = os.pidfd_open(pid)
    try:
        yield process
    finally:
        os.close(process)
