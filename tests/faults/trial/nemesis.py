"""The nemesis: does one harm after another, drawn by the seed, records each, and always heals it."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Protocol

from .clock import set_offset
from .disk import Disk
from .history import Fault, Recorder, now
from .operators import Operator
from .proxy import Proxy
from .systems import Server

_LONGEST_STEP_SECONDS = 20 * 60
"""Less than the timeout of the windows that are open while clocks are stepped: a clock beyond it ends them, rightly."""


class RedisUnderTest(Protocol):
    """What is done to a Redis."""

    def start(self) -> None: ...

    def kill(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Harm:
    """One kind of harm: done when the block begins, healed when it ends.

    Attributes:
        cuts: the machines that it cuts off from the store.
        is_loss: whether the store loses what it holds.
        longest_seconds: for how long it is done at most.
    """

    name: str
    do: Callable[[Random], contextlib.AbstractContextManager[None]]
    cuts: tuple[str, ...] = ()
    is_loss: bool = False
    shortest_seconds: float = 0.1
    longest_seconds: float = 1.0


class Nemesis:
    """Draws harms, now and then a second one, of those beside, on top of the first."""

    def __init__(self, harms: Sequence[Harm], *, beside: Sequence[Harm], recorder: Recorder, rng: Random) -> None:
        self._harms = harms
        self._beside = beside
        self._recorder = recorder
        self._rng = rng
        self._pause = threading.Event()

    def rage(self, *, seconds: float) -> None:
        """Do harm for so long; everything is healed when this returns."""
        until = now() + seconds
        queue: list[Harm] = []
        while now() < until:
            self._pause.wait(self._rng.uniform(0.1, 0.6))
            queue = queue or self._rng.sample(self._harms, len(self._harms))
            with ExitStack() as stack:
                stack.enter_context(self._harm(queue.pop(), until=until))
                if self._rng.random() < 0.3:
                    stack.enter_context(self._harm(self._rng.choice(self._beside), until=until))

    @contextmanager
    def _harm(self, harm: Harm, *, until: float) -> Iterator[None]:
        began = now()
        with harm.do(self._rng):
            done = now()
            yield
            seconds = self._rng.uniform(harm.shortest_seconds, harm.longest_seconds)
            self._pause.wait(min(seconds, max(0.1, until - now())))
            undone = now()
        self._recorder.record(
            Fault(
                began=began,
                held_from=done,
                held_until=undone,
                ended=now(),
                name=harm.name,
                cuts=harm.cuts,
                is_loss=harm.is_loss,
            )
        )


def harms_to_workers(servers: Sequence[Server], *, steps_clocks: bool) -> list[Harm]:
    """Return what can be done to workers: kill, stop, rotate, and set their clocks."""

    def some_worker(rng: Random) -> int:
        workers = rng.choice(servers).workers
        return rng.choice(workers) if workers else 0

    @contextmanager
    def killed(rng: Random) -> Iterator[None]:
        _signal(some_worker(rng), signal.SIGKILL)
        yield

    @contextmanager
    def stopped(rng: Random) -> Iterator[None]:
        worker = some_worker(rng)
        _signal(worker, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(worker, signal.SIGCONT)

    @contextmanager
    def rotated(rng: Random) -> Iterator[None]:
        for server in servers:  # uvicorn gives up one of its workers for good when a new one is slow
            if server.kind == "flask":
                _signal(server.process.pid, signal.SIGHUP)
        yield

    @contextmanager
    def stepped(rng: Random) -> Iterator[None]:
        clock = rng.choice(servers).clock
        set_offset(clock, rng.uniform(-_LONGEST_STEP_SECONDS, _LONGEST_STEP_SECONDS))
        try:
            yield
        finally:
            set_offset(clock, 0)

    harms = [
        Harm("kill a worker", killed),
        Harm("stop a worker", stopped, longest_seconds=4.0),
        Harm("rotate workers", rotated),
    ]
    return harms + ([Harm("step a clock", stepped, longest_seconds=2.0)] if steps_clocks else [])


def harm_to_operators(operator: Operator) -> Harm:
    """Return how an operator dies: in the middle of a command."""

    @contextmanager
    def died(rng: Random) -> Iterator[None]:
        operator.die_enabling(rng.choice(["normal", "emergency"]), after_seconds=rng.uniform(0.1, 0.5))
        yield

    return Harm("kill an operator", died)


def harms_to_sqlite(database: Path, disk: Disk) -> list[Harm]:
    """Return what can be done to a database: fill its disk, and hold its lock."""

    @contextmanager
    def full(rng: Random) -> Iterator[None]:
        try:
            disk.fill()
            yield
        finally:
            disk.free()

    @contextmanager
    def locked(rng: Random) -> Iterator[None]:
        with contextlib.closing(sqlite3.connect(database, timeout=10, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")

    return [Harm("fill the disk", full, longest_seconds=2.0), Harm("lock the database", locked, longest_seconds=2.0)]


def harms_to_redis(redis: RedisUnderTest, flush: Callable[[], None], proxy: Proxy) -> list[Harm]:
    """Return what can be done to a Redis: kill, freeze, empty; and to the network of machine B."""

    @contextmanager
    def down(rng: Random) -> Iterator[None]:
        redis.kill()
        try:
            yield
        finally:
            redis.start()

    @contextmanager
    def frozen(rng: Random) -> Iterator[None]:
        redis.pause()
        try:
            yield
        finally:
            redis.resume()

    @contextmanager
    def emptied(rng: Random) -> Iterator[None]:
        with contextlib.suppress(OSError):
            flush()
        yield

    @contextmanager
    def cut(rng: Random) -> Iterator[None]:
        proxy.cut()
        try:
            yield
        finally:
            proxy.heal()

    @contextmanager
    def stalled(rng: Random) -> Iterator[None]:
        proxy.stall()
        try:
            yield
        finally:
            proxy.heal()

    return [
        _outage("restart Redis", down, cuts=("A", "B")),
        _outage("freeze Redis", frozen, cuts=("A", "B")),
        Harm("empty Redis", emptied, is_loss=True),
        _outage("cut machine B off", cut, cuts=("B",)),
        _outage("stall machine B", stalled, cuts=("B",)),
    ]


def _outage(
    name: str, do: Callable[[Random], contextlib.AbstractContextManager[None]], *, cuts: tuple[str, ...]
) -> Harm:
    # Long enough for an agent to notice: with its next heartbeat, a second later at most.
    return Harm(name, do, cuts=cuts, shortest_seconds=1.5, longest_seconds=3.5)


def _signal(pid: int, number: int) -> None:
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
