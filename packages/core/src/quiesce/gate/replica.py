"""This process's snapshot: an immutable state, what is in force under it, and the decisions made so far."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..model import Decision, EffectiveMaintenance, MaintenanceState, Outcome, StoreCorruptError, effective
from ..model.codec import decode_state

if TYPE_CHECKING:
    from ..clock import Clock
    from .board import Board

_MOST_DECISIONS = 4096
_LONGEST_PATH = 512

logger = logging.getLogger("quiesce")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state as judged at one time; the decisions only ever grow, and go with it.

    Attributes:
        decisions: by method and path.
        passing: those methods and paths that nothing refuses and nobody counts.
    """

    state: MaintenanceState
    effective: EffectiveMaintenance
    decisions: dict[tuple[str, str], Decision] = field(default_factory=dict, compare=False, repr=False)
    passing: set[tuple[str, str]] = field(default_factory=set, compare=False, repr=False)

    @property
    def revision(self) -> int:
        """The state's revision."""
        return self.state.revision

    def remember(self, method: str, path: str, decision: Decision) -> None:
        """Keep a decision for the next request alike, in bounded memory."""
        if len(path) <= _LONGEST_PATH:
            if len(self.decisions) >= _MOST_DECISIONS:
                self.decisions.clear()
                self.passing.clear()
            self.decisions[method, path] = decision
            if decision.outcome in {Outcome.PASSED, Outcome.EXEMPT}:
                self.passing.add((method, path))


class Replica:
    """Keeps the snapshot; its caller holds a lock. It never goes back to an older revision."""

    def __init__(self, *, clock: Clock, board: Board) -> None:
        self.board = board
        self.snapshot = Snapshot(MaintenanceState(), EffectiveMaintenance())
        self.change_at = float("inf")
        """Monotonic time at which the windows must be judged anew; projected, so the agent refreshes it often."""
        self._clock = clock
        self._unreadable_word = 0

    def renew(self) -> tuple[int, bool]:
        """Take the board's snapshot if it is newer, and judge the windows by the clock.

        Returns:
            The word that was looked at, and whether all that it stands for was taken.
        """
        word = self.board.word[()]
        state = self.snapshot.state
        is_complete = True
        if word > state.revision:
            found = self._read(word)
            is_complete = found is not None
            state = found or state
        self._judge(state)
        return word, is_complete

    def adopt(self, state: MaintenanceState) -> bool:
        """Apply a newer state; say whether it was newer."""
        if state.revision <= self.snapshot.revision:
            return False
        self._judge(state)
        return True

    def forget_decisions(self) -> None:
        """Drop the cached decisions because something else than the state changed what they depend on."""
        self.snapshot = Snapshot(self.snapshot.state, self.snapshot.effective)

    def _judge(self, state: MaintenanceState) -> None:
        now, monotonic = self._clock.now(), self._clock.monotonic()
        judged = effective(state, now)
        if state is not self.snapshot.state or judged != self.snapshot.effective:
            self.snapshot = Snapshot(state, judged)
        wait = float("inf") if judged.next_change is None else (judged.next_change - now).total_seconds()
        self.change_at = monotonic + wait

    def _read(self, word: int) -> MaintenanceState | None:
        problem = "holds no readable snapshot"
        try:
            newest = self.board.read()
            if newest is not None and newest[0] >= word:
                return decode_state(newest[1])
        except StoreCorruptError as exc:
            problem = str(exc)
        if self._unreadable_word != word:
            self._unreadable_word = word
            logger.error("board %s %s; going on with revision %d", self.board.path, problem, self.snapshot.revision)
        return None
