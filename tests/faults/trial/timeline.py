"""Which windows are certainly open, or possibly, at a time and on a machine; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .history import Ending, Fault, History, Opening, Outcome, Verdict

BOUND_SECONDS = {"A": 0.0, "B": 2.0}
"""Within what time after a command has returned a machine applies it; ``A`` is the operators' own."""
RECOVERY_SECONDS = 5.0
"""Within what time after a fault is over a machine that it cut off has caught up."""
CLOCK_SLACK_SECONDS = 0.05
"""How far a timeout by the wall clock and the same by the history's clock may lie apart."""


def is_refused_by(mode: str, kind: str) -> bool:
    """Whether a window of this mode refuses this kind of operation to everybody who is no admin."""
    return mode == "emergency" or (mode == "normal" and kind == "write")


@dataclass(frozen=True, slots=True)
class _Life:
    """One window: from and to when it is possibly and, as the operators' machine sees it, certainly open.

    The ends are what commands make of it; at ``timeout`` it is over whatever they do.
    """

    mode: str
    possibly_from: float
    certainly_from: float
    certainly_to: float
    possibly_to: float
    timeout: float
    proved_at: float
    """From here on every machine refuses what it covers, because a report said quiesced."""


class Timeline:
    """What the operators' commands mean for requests, doubts included."""

    def __init__(self, history: History) -> None:
        endings = history.of(Ending)
        proofs: dict[str, float] = {}
        for verdict in history.of(Verdict):
            if verdict.is_quiesced:
                proofs[verdict.window] = min(verdict.answered, proofs.get(verdict.window, verdict.answered))
        self._lives = [
            _life(opening, endings, proved_at=proofs.get(opening.window, float("inf")))
            for opening in history.of(Opening)
            if opening.outcome in {Outcome.DONE, Outcome.UNKNOWN}
        ]
        self._faults = sorted(history.of(Fault), key=lambda fault: fault.began)

    def is_refused(
        self, kind: str, *, machine: str, sent: float, received: float, known_at: float | None = None
    ) -> bool | None:
        """Say whether a request of somebody who is no admin must be refused; ``None``: either answer is right.

        With ``known_at``, by what the machine knew at that time: no command counts that came later, but clocks go on.
        """
        since, until = (sent, received) if known_at is None else (known_at, known_at)
        is_doubtful = False
        for life in self._lives:
            if not is_refused_by(life.mode, kind):
                continue
            is_running = received < life.timeout - CLOCK_SLACK_SECONDS
            seen_from = min(life.proved_at, self._seen(life.certainly_from, machine))
            if is_running and seen_from <= since and until < life.certainly_to:
                return True
            is_over = sent >= life.timeout + CLOCK_SLACK_SECONDS
            is_possible = life.possibly_from <= until and since < self._seen(life.possibly_to, machine)
            is_doubtful |= is_possible and not is_over
        return None if is_doubtful else False

    def _seen(self, at: float, machine: str) -> float:
        """Return when the machine has seen at the latest what was done at ``at``."""
        seen = at + BOUND_SECONDS[machine]
        if not BOUND_SECONDS[machine]:
            return seen
        for fault in self._faults:
            if machine in fault.cuts and fault.began < seen and fault.ended + RECOVERY_SECONDS > at:
                seen = max(seen, fault.ended + RECOVERY_SECONDS)
        return seen


def covers(ending: Ending, window: str, *, opened_at: float) -> bool:
    """Whether this command may have ended the window, if it ended anything."""
    if ending.target:
        return ending.target == window
    return window in ending.ended or (ending.outcome is not Outcome.DONE and ending.returned > opened_at)


def _life(opening: Opening, endings: Sequence[Ending], *, proved_at: float) -> _Life:
    never = float("inf")
    if opening.outcome is Outcome.UNKNOWN:
        # It may even come late; only an ending of all that was asked for afterwards, and done, fences it off.
        fences = [
            ending.returned
            for ending in endings
            if ending.outcome is Outcome.DONE and not ending.target and ending.asked >= opening.returned
        ]
        return _Life(opening.mode, opening.asked, never, never, min(fences, default=never), never, never)
    found = [ending for ending in endings if covers(ending, opening.window, opened_at=opening.asked)]
    doubtful = [each.asked for each in found if each.outcome in {Outcome.DONE, Outcome.UNKNOWN}]
    over = [
        each.returned
        for each in found
        if each.outcome is Outcome.DONE or (each.outcome is Outcome.NOTHING and each.asked >= opening.returned)
    ]
    return _Life(
        opening.mode,
        opening.asked,
        opening.returned,
        min(doubtful, default=never),
        min(over, default=never),
        never if opening.holds_until is None else opening.holds_until,
        proved_at,
    )
