"""Measures contenders in turns, so that whatever else the machine does hits all of them alike."""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Run = Callable[[int], object]
"""Does the same thing so many times."""


_FEWEST_CALLS = 8
"""So that what a turn itself costs, such as entering an event loop, is shared by some."""
_MOST_CALLS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is measured: enough to publish, or just enough to see that everything works.

    Attributes:
        rounds: turns of each contender.
        turn_seconds: how long a turn lasts.
        flips: changes of the state in the rows about visibility.
        decisions: how many decisions the row about one machine needs at least.
        processes: fresh processes per contender in the rows about memory.
    """

    rounds: int
    turn_seconds: float
    flips: int
    decisions: int
    processes: int


FULL = Effort(rounds=401, turn_seconds=0.0005, flips=200, decisions=1_000_000, processes=7)
QUICK = Effort(rounds=5, turn_seconds=0.0005, flips=10, decisions=10_000, processes=1)


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of what was measured, and the quarters around it."""

    median: float
    lower: float
    upper: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread:
        """Return the median and the quartiles."""
        if len(samples) < 2:
            return cls(samples[0], samples[0], samples[0])
        lower, _, upper = statistics.quantiles(samples, n=4, method="inclusive")
        return cls(statistics.median(samples), lower, upper)

    def scaled(self, factor: float) -> Spread:
        """Return the same in another unit."""
        return Spread(self.median * factor, self.lower * factor, self.upper * factor)


def take_turns(runs: Mapping[str, Run], *, effort: Effort) -> dict[str, list[float]]:
    """Return nanoseconds per call, one figure for each round and contender.

    In every round each contender has one turn, in an order drawn anew: item *n* of two lists was measured within the
    same few milliseconds, so their difference is free of what changes more slowly.
    """
    counts = {name: _calls_per_turn(run, seconds=effort.turn_seconds) for name, run in runs.items()}
    samples: dict[str, list[float]] = {name: [] for name in runs}
    order = list(runs)
    draw = random.Random(0)
    gc.collect()
    gc.freeze()  # what stays is not looked through again; what a request leaves behind is, as in a server
    try:
        for _ in range(effort.rounds):
            draw.shuffle(order)
            for name in order:
                count = counts[name]
                started = time.perf_counter_ns()
                runs[name](count)
                samples[name].append((time.perf_counter_ns() - started) / count)
    finally:
        gc.unfreeze()
    return samples


def added(samples: Mapping[str, Sequence[float]], name: str, *, over: str) -> list[float]:
    """Return what a contender takes longer than another, round by round."""
    return [mine - other for mine, other in zip(samples[name], samples[over], strict=True)]


def _calls_per_turn(run: Run, *, seconds: float) -> int:
    """Return how many calls fill a turn: short ones, of which most pass without another process taking the core."""
    count = _FEWEST_CALLS
    while True:
        taken = min(_seconds_for(run, count) for _ in range(3))
        if taken >= seconds / 4 or count >= _MOST_CALLS:
            return max(_FEWEST_CALLS, round(count * seconds / max(taken, 1e-9)))
        count *= 4


def _seconds_for(run: Run, count: int) -> float:
    started = time.perf_counter()
    run(count)
    return time.perf_counter() - started
