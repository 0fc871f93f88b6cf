"""Worker processes that decide over and over and remember when; and what they say about an operator's changes.

All processes of a machine share ``CLOCK_MONOTONIC``, so a worker's times can be held against the operator's.
"""

from __future__ import annotations

import multiprocessing
import time
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from .field import WRITE
from .stores import make_service

_MOST_DECISIONS = 12_000_000
"""How many a worker remembers; it goes on deciding, but bears no witness to what comes after."""
_START_SECONDS = 60.0
_ANSWER_SECONDS = 60.0
_SIGHT_SECONDS = 2.0
_FAREWELL_SECONDS = 5.0

_processes = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True)
class Flip:
    """One change of the state: when its commit began and had returned (ns), and what holds from then on."""

    began: int
    returned: int
    is_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Testimony:
    """What one worker saw.

    Attributes:
        decisions: made while exactly one answer was right.
        stale: those of them that gave the other answer.
        latencies: for each change, nanoseconds from the commit's return to the end of the first new decision; of one
            that was not seen before the next, to that.
        unseen: how many were not seen before the next; there is nothing to be seen of that one either.
    """

    decisions: int
    stale: int
    latencies: tuple[int, ...]
    unseen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a worker is to do.

    Attributes:
        url: of the store.
        board_folder: of the machine that the worker stands for; ``None``: this one.
        pause_seconds: between two decisions; 0: it never rests.
    """

    url: str
    board_folder: Path | None = None
    pause_seconds: float = 0.0


class Witnesses:
    """Running workers; made by ``witnesses``."""

    def __init__(self, connections: Sequence[Connection], *, stop: Any, latest: Any) -> None:
        self._connections = connections
        self._stop = stop
        self._latest = latest

    def wait_for(self, change: Flip) -> None:
        """Return when every worker decides by this change, or after a bounded time."""
        deadline = time.monotonic() + _SIGHT_SECONDS
        while set(self._latest) != {int(change.is_open)} and time.monotonic() < deadline:
            time.sleep(0.001)

    def testify(self, flips: Sequence[Flip]) -> list[Testimony]:
        """Let the workers stop, and return what each saw of the changes."""
        self._stop.value = 1
        for connection in self._connections:
            connection.send(list(flips))
        return [_received(connection, within=_ANSWER_SECONDS) for connection in self._connections]


@contextmanager
def witnesses(task: Task, *, count: int) -> Iterator[Witnesses]:
    """Yield so many workers, all of which decide already; they end with the block."""
    stop: Any = _processes.RawValue("b", 0)
    latest: Any = _processes.RawArray("b", count)
    pairs = [_processes.Pipe() for _ in range(count)]
    workers = [
        _processes.Process(target=_work, args=(task, stop, latest, number, theirs), daemon=True)
        for number, (_, theirs) in enumerate(pairs)
    ]
    with _running(workers, grace_seconds=_FAREWELL_SECONDS):
        try:
            connections = [ours for ours, _ in pairs]
            for connection in connections:
                _received(connection, within=_START_SECONDS)
            yield Witnesses(connections, stop=stop, latest=latest)
        finally:
            stop.value = 1


@contextmanager
def busy_cores(count: int) -> Iterator[None]:
    """Keep so many cores busy with something else."""
    with _running([_processes.Process(target=_burn, daemon=True) for _ in range(count)], grace_seconds=0):
        yield


def flip(change: Callable[[], object], *, is_open: bool) -> Flip:
    """Make a change, and note when."""
    began = time.monotonic_ns()
    change()
    return Flip(began, time.monotonic_ns(), is_open)


@contextmanager
def _running(workers: Sequence[Any], *, grace_seconds: float) -> Iterator[None]:
    try:
        for worker in workers:
            worker.start()
        yield
    finally:
        for worker in workers:
            if worker.pid is not None:
                worker.join(grace_seconds)
                worker.kill()
                worker.join()


def _received(connection: Connection, *, within: float) -> Any:
    if not connection.poll(within):
        raise SystemExit(f"a worker process did not answer within {within:g} s")
    return connection.recv()


def _burn() -> None:
    while True:
        sum(range(10_000))


def _work(task: Task, stop: Any, latest: Any, number: int, connection: Connection) -> None:
    service = make_service(task.url, board_folder=task.board_folder)
    service.start()
    connection.send("ready")
    began, ended, refused = _decide(service.gate, stop, latest, number, pause_seconds=task.pause_seconds)
    flips: list[Flip] = connection.recv()
    connection.send(testimony(flips, began=began, ended=ended, refused=refused))
    service.close()


def _decide(
    gate: Any, stop: Any, latest: Any, number: int, *, pause_seconds: float
) -> tuple[array[int], array[int], bytearray]:
    began, ended, refused = array("q"), array("q"), bytearray()
    enter, judge, leave, now = gate.enter, gate.judge, gate.leave, time.monotonic_ns
    while not stop.value:
        started = now()
        token = enter(WRITE.method, WRITE.path)
        if token > 0:
            is_refused = False
        else:
            token = -token
            decision = judge(token) or gate.revive_and_judge(token)
            is_refused = not decision.is_allowed
        leave(token)
        if len(refused) < _MOST_DECISIONS:
            began.append(started)
            ended.append(now())
            refused.append(is_refused)
        latest[number] = is_refused
        if pause_seconds:
            time.sleep(pause_seconds)
    return began, ended, refused


def testimony(flips: Sequence[Flip], *, began: Sequence[int], ended: Sequence[int], refused: bytearray) -> Testimony:
    """Judge one worker's decisions, in order of time, against the operator's changes.

    A decision that began after a commit had returned, and ended before the next one began, has one right answer.
    """
    if len(refused) >= _MOST_DECISIONS:
        flips = [change for change in flips if change.returned < ended[-1]]
    decisions = stale = unseen = 0
    latencies = []
    is_unseen = False
    for change, following in zip(flips, [*flips[1:], None], strict=True):
        first = bisect_right(began, change.returned)
        last = len(ended) if following is None else max(first, bisect_left(ended, following.began))
        decisions += last - first
        stale += refused.count(not change.is_open, first, last)
        seen = refused.find(change.is_open, bisect_left(ended, change.began), last)
        if is_unseen:
            seen = 0
        elif seen >= 0:
            latencies.append(max(0, ended[seen] - change.returned))
        elif following is not None:
            latencies.append(following.began - change.returned)
            unseen += 1
        is_unseen = seen < 0
    return Testimony(decisions=decisions, stale=stale, latencies=tuple(latencies), unseen=unseen)
