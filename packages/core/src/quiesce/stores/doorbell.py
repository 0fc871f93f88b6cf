"""What a waiting thread listens for within its own process."""

from __future__ import annotations

import os
import threading


class Doorbell:
    """Rings until it is heard, so that no ring is lost between two waits; a forked child has its own."""

    _pid: int
    _condition: threading.Condition
    _is_rung: bool
    _is_commit: bool

    def __init__(self) -> None:
        self._hang()

    @property
    def is_rung(self) -> bool:
        """Whether a ring has not been heard yet."""
        return self._is_rung

    def ring(self, *, is_commit: bool = False) -> None:
        """Let ``wait`` return."""
        with self._own():
            self._is_rung = True
            self._is_commit |= is_commit
            self._condition.notify_all()

    def wait(self, timeout_seconds: float) -> bool:
        """Return at a ring, or after the timeout: whether a commit was among the rings."""
        with self._own():
            self._condition.wait_for(lambda: self._is_rung, max(timeout_seconds, 0.0))
            is_commit = self._is_commit
            self._is_rung = self._is_commit = False
            return is_commit

    def _hang(self) -> None:
        self._pid = os.getpid()
        self._condition = threading.Condition()
        self._is_rung = False
        self._is_commit = False

    def _own(self) -> threading.Condition:
        if os.getpid() != self._pid:
            # A thread that is gone may hold the parent's.
            self._hang()
        return self._condition
