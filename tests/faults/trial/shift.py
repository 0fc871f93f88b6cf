"""An operator's shift, as a process: window after window, some by the command line, until standard input ends."""

from __future__ import annotations

import sys
import threading
from datetime import timedelta
from pathlib import Path
from random import Random

from .history import now
from .operators import Operator

_BEAT_SECONDS = 0.5


class Shift:
    """Does one maintenance after another; operators with the same beat get into each other's way."""

    def __init__(self, operator: Operator, *, rng: Random, has_timeouts: bool, stop: threading.Event) -> None:
        self._operator = operator
        self._rng = rng
        self._has_timeouts = has_timeouts
        self._stop = stop

    def work(self) -> None:
        """Go on until the end of the shift."""
        while not self._stop.wait(self._rng.uniform(0.1, 0.5)):
            if self._rng.random() < 0.6:
                self._stop.wait(_BEAT_SECONDS - now() % _BEAT_SECONDS)
            chance = self._rng.random()
            if chance < 0.15:
                self._operator.disable(None)
            elif chance < 0.35:
                self._maintain_by_command_line()
            elif chance < 0.55 and self._has_timeouts:
                self._let_time_out()
            else:
                self._maintain()

    def _mode(self) -> str:
        return self._rng.choices(["normal", "emergency", "test"], [7, 2, 1])[0]

    def _maintain(self) -> None:
        operator, rng, mode = self._operator, self._rng, self._mode()
        window = operator.enable(mode)
        if not window:
            if rng.random() < 0.3:
                operator.disable(None)
            return
        if mode != "test" and operator.prove(window, mode, timeout=timedelta(seconds=rng.uniform(1, 4))):
            for _ in range(rng.randrange(4)):
                self._stop.wait(rng.uniform(0.1, 0.4))
                operator.look(window, mode)
            if rng.random() < 0.3:
                operator.extend(window)
        operator.disable(window)

    def _maintain_by_command_line(self) -> None:
        window, is_quiet = self._operator.enable_by_command_line("normal", wait_seconds=self._rng.randint(1, 3))
        if is_quiet:
            self._stop.wait(self._rng.uniform(0.05, 0.4))
        if window:
            self._operator.disable_by_command_line(None if self._rng.random() < 0.2 else window)

    def _let_time_out(self) -> None:
        window = self._operator.enable("normal", timeout=timedelta(seconds=self._rng.randint(1, 2)))
        while window and self._operator.look(window, "normal"):
            self._stop.wait(0.1)


def main(folder: str, name: str, seed: str, store_url: str, timeouts: str) -> None:
    """Work a shift; ``timeouts`` is ``timeouts`` when windows may have short ones."""
    stop = threading.Event()
    operator = Operator(name, store_url=store_url, folder=Path(folder))
    rng = Random(f"{seed}-operator-{name}")
    shift = Shift(operator, rng=rng, has_timeouts=timeouts == "timeouts", stop=stop)
    working = threading.Thread(target=shift.work)
    working.start()
    sys.stdin.read()
    stop.set()
    working.join()
    operator.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
