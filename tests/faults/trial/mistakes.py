"""Two mistakes that a gate could make, each with its race held open by files until the test lets it go on.

``counts-before-renewal`` breaks protocol rule 3, ``looks-before-entering`` breaks rule 2.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest import mock

import quiesce.control.worker
from quiesce import Gate
from quiesce.model import Acknowledgement
from quiesce.testing import eventually

_BARRIER_SECONDS = 20.0


class Barrier:
    """Three files: ``armed`` by the test, ``reached`` by the mistake, ``passed`` by the test."""

    def __init__(self, folder: Path) -> None:
        self.armed = folder / "armed"
        self.reached = folder / "reached"
        self.passed = folder / "passed"

    def hold(self) -> None:
        """Wait here, if the barrier is armed, until the test lets this go on."""
        if self.armed.exists():
            self.reached.touch()
            eventually(self.passed.exists, within=_BARRIER_SECONDS)


class CountsBeforeRenewal(Gate):
    """Counts what is in flight, and only then takes the newer state that it acknowledges."""

    barrier: Barrier
    _counted: Acknowledgement

    def acknowledge(self) -> Acknowledgement:
        if not self.barrier.passed.exists():  # later counts would be right, and the wrong one has to be read first
            self._counted = super().acknowledge()
            self.barrier.hold()
        return replace(super().acknowledge(), in_flight=self._counted.in_flight, oldest=self._counted.oldest)


class LooksBeforeEntering(Gate):
    """Looks at the board's word, and only then makes the entry that an acknowledgement counts."""

    barrier: Barrier

    def enter(self, method: str, path: str) -> int:
        looked = super().enter(method, path)
        self.leave(abs(looked))
        self.barrier.hold()
        entered = abs(super().enter(method, path))
        return entered if looked > 0 else -entered


_MISTAKES: dict[str, type[CountsBeforeRenewal | LooksBeforeEntering]] = {
    "counts-before-renewal": CountsBeforeRenewal,
    "looks-before-entering": LooksBeforeEntering,
}
MISTAKES = tuple(_MISTAKES)


def make_mistake(name: str, *, folder: Path) -> None:
    """Let the services of this process have a gate that makes this mistake."""
    broken = _MISTAKES[name]
    broken.barrier = Barrier(folder)
    mock.patch.object(quiesce.control.worker, "Gate", broken).start()
