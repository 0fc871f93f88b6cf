"""Admission: the in-flight entry, the look, and the decision; no I/O (protocol rules 2 and 5)."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Container, Mapping
from dataclasses import replace
from functools import partial

from ..clock import Clock, monotonic_reading
from ..model import (
    Acknowledgement,
    Decision,
    MaintenanceState,
    OperationType,
    Outcome,
)
from .acknowledging import Entry, count_in_flight
from .board import Board
from .classifier import MaintenanceOperationClassifier
from .passes import PassReader
from .policy import Policy
from .replica import Replica, Snapshot
from .tally import Tally

_WOULD_BLOCK = Outcome.WOULD_BLOCK


class Gate:
    """Where every request of this process enters, is judged, and leaves.

    ``enter`` makes the entry and looks; a positive token means that the request may run: no window is open, or it was
    found under the same state that none refuses such a request. A negative one means that its positive counterpart must
    be taken to ``judge``. Every entry is ended by ``leave``.
    """

    def __init__(
        self, *, classifier: MaintenanceOperationClassifier, policy: Policy, board: Board, clock: Clock
    ) -> None:
        self.classifier = classifier
        self.policy = policy
        self._replica = Replica(clock=clock, board=board)
        self._monotonic = clock.monotonic
        self._read_clock, self._clock_id = monotonic_reading(clock)
        self._revive: Callable[[], None] | None = None
        self._has_guards = False
        # Neither is made anew after a fork: what a child inherits ends entries by number, and must not hit its own.
        self._tokens = itertools.count(1)
        self._in_flight: dict[int, Entry] = {}
        self.pop: Callable[[int, None], object] = self._in_flight.pop
        """``leave`` for the hot path, called with ``(token, None)``: the table's own method, which needs no frame."""
        self._start_afresh()
        self.passes = PassReader(self, now=clock.now)
        classifier.on_change = self.forget_decisions

    def _start_afresh(self) -> None:
        self._lock = threading.RLock()
        self.tally = Tally()
        self._in_flight.clear()
        self._was_started = False
        self._is_reviving = False
        self._is_stale = False
        self._lease_until = -1.0
        # With nothing open, the hot path compares these two and the board's word, nothing else.
        self._check_at = -1.0
        self._seen_word = -1
        self._word = self._replica.board.word
        self._judge_at = -1.0
        self._snapshot = self._replica.snapshot
        self._passing: Container[tuple[str, str]] = ()

    # -- the request path

    def enter(self, method: str, path: str) -> int:
        """Make the in-flight entry, then look; return its token, negated when the request must be judged first."""
        token = next(self._tokens)
        now = self._read_clock(self._clock_id)
        self._in_flight[token] = (now, method, path, False)
        if self._word[()] == self._seen_word and (
            now < self._check_at or (now < self._judge_at and (method, path) in self._passing)
        ):
            return token
        return -token

    def judge(self, token: int) -> Decision | None:
        """Return the decision on an entered request before anybody asks who sent it.

        ``None`` means that this process has no valid lease: call ``revive_and_judge`` then, which may block for a few
        seconds, so never on an event loop.
        """
        started, method, path, _ = self._in_flight[token]
        if self._word[()] != self._seen_word or started >= self._judge_at:
            self.renew()
        snapshot = self._snapshot
        decision = snapshot.decisions.get((method, path)) or self._decide(snapshot, method, path)
        if started >= self._lease_until and not self.has_lease:
            if not self._may_pass_without_lease(decision):
                return None
            self._revive_soon()
        if decision.outcome is _WOULD_BLOCK:
            self.tally.add(decision, path, "")
        return decision

    def _may_pass_without_lease(self, decision: Decision) -> bool:
        return decision.outcome is Outcome.EXEMPT or (
            self._was_started and decision.operation == OperationType.READ_OPERATIONS
        )

    def _revive_soon(self) -> None:
        """Revive beside the request: a worker that only gets health checks is to be listed too."""
        if self._revive is not None and not self._is_reviving:
            self._is_reviving = True
            threading.Thread(target=self._revive_aside, name="quiesce-revival", daemon=True).start()

    def _revive_aside(self) -> None:
        try:
            self.revive()
        finally:
            self._is_reviving = False

    def bypass(self, token: int, decision: Decision, *, user: str) -> Decision:
        """Let a refused request pass, mark its entry, count it; return the decision that then holds."""
        started, method, path, _ = self._in_flight[token]
        passed = replace(decision, outcome=Outcome.BYPASSED)
        self._in_flight[token] = (started, method, path, True)
        self.tally.add(passed, path, user)
        return passed

    def refuse(self, token: int, decision: Decision, *, user: str = "") -> None:
        """Count and log a refusal, and end the entry."""
        self.tally.add(decision, self._in_flight.pop(token)[2], user)

    def leave(self, token: int) -> None:
        """End the entry; a second call does nothing."""
        self._in_flight.pop(token, None)

    def revive(self) -> None:
        """Register this process and renew its state from the store, within a bounded time; may block."""
        if self._revive is not None:
            self._revive()

    def revive_and_judge(self, token: int) -> Decision:
        """Revive, then judge anew; a store out of reach leaves the last known state in force."""
        self.revive()
        _, method, path, _ = self._in_flight[token]
        return self.judge(token) or self._decide(self.renew(), method, path)

    def explain(self, method: str, path: str) -> Decision:
        """Return what would be decided now on a request of somebody who is no admin; counts nothing."""
        return self._decide(self.renew(), method, path)

    # -- the agent's side

    @property
    def snapshot(self) -> Snapshot:
        """What this process applies."""
        return self._snapshot

    @property
    def is_stale(self) -> bool:
        """Whether the process has lost touch with the store and goes on with the last state it knows."""
        return self._is_stale

    @property
    def in_flight(self) -> Mapping[int, Entry]:
        """The live entries by token: start (monotonic), method, path, bypass."""
        return self._in_flight

    @property
    def board(self) -> Board:
        """The board that is looked at."""
        return self._replica.board

    @property
    def has_lease(self) -> bool:
        """Whether requests are admitted without asking the store."""
        return self._monotonic() < self._lease_until

    def expect_guards(self) -> None:
        """Judge every request from now on while a window is open, because a guard may ask who its caller is."""
        with self._lock:
            self._has_guards = True
            self.renew()

    @property
    def judge_at(self) -> float:
        """Monotonic time at which the windows must be judged anew, if nothing happens before."""
        return self._judge_at

    @property
    def has_news(self) -> bool:
        """Whether board or clock may have changed what this process applies since it last looked."""
        return self._word[()] != self._seen_word or self._monotonic() >= self._judge_at

    def on_lapse(self, revive: Callable[[], None]) -> None:
        """Set what ``revive`` does."""
        self._revive = revive

    def renew(self) -> Snapshot:
        """Take a newer snapshot from the board if there is one, judge the windows by the clock anew; no I/O."""
        with self._lock:
            word, is_complete = self._replica.renew()
            # The word is remembered last: until then a request that looks comes here and waits for the lock.
            self._publish_locally()
            self._seen_word = word if is_complete else -1
            return self._snapshot

    def adopt(self, state: MaintenanceState) -> bool:
        """Apply a state from the store if it is newer than what this process applies; say whether it was."""
        with self._lock:
            is_newer = self._replica.adopt(state)
            self.renew()
            return is_newer

    def use(self, board: Board) -> None:
        """Look at another board from now on."""
        with self._lock:
            self._replica.board = board
            self._seen_word = -1
            self._word = board.word
            self.renew()

    def forget_decisions(self) -> None:
        """Decide anew on what was decided before, because what decisions depend on has changed."""
        with self._lock:
            self._replica.forget_decisions()
            self.renew()

    def extend_lease(self, *, seconds: float, is_stale: bool) -> None:
        """Admit without asking the store for so many seconds; ``is_stale``: because it does not answer."""
        with self._lock:
            self._was_started = True
            self._lease_until = self._monotonic() + seconds
            if is_stale != self._is_stale:
                self._is_stale = is_stale
                self._replica.forget_decisions()
            self.renew()

    def end_lease(self) -> None:
        """Admit nothing more than reads until ``revive``."""
        with self._lock:
            self._lease_until = -1.0
            self.renew()

    def acknowledge(self) -> Acknowledgement:
        """Renew, then count what is in flight and refused under what was renewed (protocol rule 3)."""
        snapshot = self.renew()
        if not snapshot.effective.enforced or not self.policy.is_enabled:
            return Acknowledgement(snapshot.revision, is_stale=self._is_stale, websockets=0)
        return count_in_flight(
            self._entries(),
            snapshot,
            decide=partial(self._decide, snapshot),
            now=self._monotonic(),
            is_stale=self._is_stale,
        )

    def forget_parent(self) -> None:
        """Begin anew in a forked child: nothing is in flight here, and no lease was given to this process."""
        self._start_afresh()

    def _entries(self) -> list[Entry]:
        while True:
            try:
                return list(self._in_flight.values())
            except RuntimeError:  # a finaliser that the copy set off ended an entry
                continue

    def _decide(self, snapshot: Snapshot, method: str, path: str) -> Decision:
        decision = snapshot.decisions.get((method, path))
        if decision is None:
            decision = self.policy.decide(snapshot, method, path, classifier=self.classifier, is_stale=self._is_stale)
            snapshot.remember(method, path, decision)
        return decision

    def _publish_locally(self) -> None:
        snapshot = self._replica.snapshot
        self._snapshot = snapshot
        self._passing = () if self._has_guards else snapshot.passing
        change_at = self._replica.change_at
        self._judge_at = min(self._lease_until, change_at)
        is_shut = self.policy.is_enabled and (
            snapshot.effective.is_active or self.policy.is_shut(is_stale=self._is_stale)
        )
        self._check_at = -1.0 if is_shut else self._judge_at
