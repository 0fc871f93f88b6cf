"""Counting decisions: an append on the request path, sums and log lines on the agent's."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TypeVar

from ..model import CallerKind, CountKey, Decision, Outcome

OTHER_PATHS = "(other paths)"
"""Under which would-be refusals are counted when there are too many different paths."""

_FOLD_AT = 2_000
_MOST_PATHS = 500
_MOST_LINES = 100
_REFUSED = Outcome.REFUSED
_PASS = "pass:"  # noqa: S105 - what a pass's holder is called begins so

T = TypeVar("T")


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
    """Takes decisions from any thread; its memory is bounded whatever the traffic.

    Every decision is appended to exactly one of four lists. Appending, copying and deleting the beginning of a list
    are atomic, so that adding needs no lock and nothing is lost or counted twice.
    """

    def __init__(self) -> None:
        self._listed: list[tuple[Decision, str, str]] = []
        """Refusals that will be log lines."""
        self._unlisted: list[Decision] = []
        """All further ones of nobody in particular; without paths, which a hostile client makes long."""
        self._unlisted_users: list[Decision] = []
        """Those of somebody who was identified."""
        self._others: list[tuple[Decision, str, str]] = []
        self._folded = Tallied()
        self._lock = threading.Lock()

    def add(self, decision: Decision, path: str, user: str) -> None:
        """Count one decision under a window; ``user`` is empty when nobody was identified."""
        if decision.outcome is _REFUSED:
            if len(self._listed) < _MOST_LINES:
                self._listed.append((decision, path, user))
                return
            unlisted = self._unlisted_users if user else self._unlisted
            unlisted.append(decision)
            is_full = len(unlisted) >= _FOLD_AT
        else:
            self._others.append((decision, path, user))
            is_full = len(self._others) >= _FOLD_AT
        if is_full:
            with self._lock:
                self._fold()

    def take(self) -> Tallied:
        """Return all that was added since the last call, each once."""
        with self._lock:
            self._fold()
            taken, self._folded = self._folded, Tallied()
        return taken

    def _fold(self) -> None:
        listed, unlisted, of_users = _drain(self._listed), _drain(self._unlisted), _drain(self._unlisted_users)
        self._folded.unlogged += len(unlisted) + len(of_users)
        self._count_refused([decision for decision, _, user in listed if not user] + unlisted, CallerKind.UNMARKED)
        self._count_refused([decision for decision, _, user in listed if user] + of_users, CallerKind.USER)
        others = _drain(self._others)
        for decision, path, user in others:
            if decision.outcome is Outcome.WOULD_BLOCK:
                self._count(decision, 1, path=path)
            else:
                is_by_pass = decision.outcome is Outcome.BYPASSED and user.startswith(_PASS)
                self._count(decision, 1, caller=CallerKind.PASS if is_by_pass else CallerKind.UNMARKED)
        self._sample(listed)
        self._sample([entry for entry in others if entry[0].outcome is Outcome.WOULD_BLOCK])

    def _sample(self, entries: list[tuple[Decision, str, str]]) -> None:
        room = _MOST_LINES - len(self._folded.samples)
        self._folded.samples += entries[:room]
        self._folded.unlogged += len(entries[room:])

    def _count_refused(self, refused: list[Decision], caller: CallerKind) -> None:
        # By identity: one decision serves all requests of a kind, and hashing it is dear.
        identities = [*map(id, refused)]
        decisions = dict(zip(identities, refused, strict=True))
        for identity, count in Counter(identities).items():
            self._count(decisions[identity], count, caller=caller)

    def _count(
        self, decision: Decision, count: int, *, path: str = "", caller: CallerKind = CallerKind.UNMARKED
    ) -> None:
        if decision.window is None:
            return
        counts = self._folded.counts
        key = CountKey(decision.window.id, decision.operation.name, decision.outcome, path, caller)
        if path and key not in counts and len(counts) >= _MOST_PATHS:
            key = replace(key, path=OTHER_PATHS)
        counts[key] += count


def _drain(pending: list[T]) -> list[T]:
    """Take what is in the list; what another thread appends meanwhile stays for the next time."""
    drained = pending[:]
    del pending[: len(drained)]
    return drained
