"""Counting decisions: an append on the request path, sums and log lines on the agent's."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass, field, replace

from ..model import CountKey, Decision, Outcome

OTHER_PATHS = "(other paths)"
"""Under which would-be refusals are counted when there are too many different paths."""

_FOLD_AT = 20_000
_MOST_PATHS = 500
_MOST_LINES = 100


@dataclass(slots=True)
class Tallied:
    """What was decided in a while.

    Attributes:
        counts: how often, for the store.
        samples: the first refusals and would-be refusals as (decision, path, user), for the log.
        unlogged: how many more there were.
    """

    counts: Counter[CountKey] = field(default_factory=Counter)
    samples: list[tuple[Decision, str, str]] = field(default_factory=list)
    unlogged: int = 0


class Tally:
    """Takes decisions from any thread; its memory is bounded whatever the traffic."""

    def __init__(self) -> None:
        self._pending: deque[tuple[Decision, str, str]] = deque()
        self._folded = Tallied()
        self._lock = threading.Lock()

    def add(self, decision: Decision, *, path: str, user: str) -> None:
        """Count one decision under a window; ``user`` is empty when nobody was identified."""
        self._pending.append((decision, path, user))
        if len(self._pending) >= _FOLD_AT:
            with self._lock:
                self._fold()

    def take(self) -> Tallied:
        """Return all that was added since the last call, each once."""
        with self._lock:
            self._fold()
            taken, self._folded = self._folded, Tallied()
        return taken

    def _fold(self) -> None:
        folded = self._folded
        refused: dict[int, int] = {}  # by identity: one decision serves all requests of a kind, and hashing it is dear
        decisions: dict[int, Decision] = {}
        for _ in range(len(self._pending)):
            decision, path, user = self._pending.popleft()
            if decision.outcome is not Outcome.BYPASSED:
                if len(folded.samples) < _MOST_LINES:
                    folded.samples.append((decision, path, user))
                else:
                    folded.unlogged += 1
            if decision.outcome is Outcome.WOULD_BLOCK:
                self._count(decision, path, 1)
            else:
                identity = id(decision)
                decisions[identity] = decision
                refused[identity] = refused.get(identity, 0) + 1
        for identity, count in refused.items():
            self._count(decisions[identity], "", count)

    def _count(self, decision: Decision, path: str, count: int) -> None:
        if decision.window is None:
            return
        counts = self._folded.counts
        key = CountKey(decision.window.id, decision.operation.name, decision.outcome, path)
        if path and key not in counts and len(counts) >= _MOST_PATHS:
            key = replace(key, path=OTHER_PATHS)
        counts[key] += count
