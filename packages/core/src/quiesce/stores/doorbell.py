"""What a waiting thread listens for: its own process's bell, and whatever else has a file descriptor."""

from __future__ import annotations

import contextlib
import math
import os
import select
import threading
import weakref
from collections.abc import Collection


class Doorbell:
    """Rings until it is heard, so that no ring is lost between two waits; a forked child has its own.

    It is a pipe, so that a thread can wait for it and for a connection at once.
    """

    _pid: int
    _lock: threading.Lock
    _ends: tuple[int, int] | None
    _is_rung: bool
    _is_commit: bool

    def __init__(self) -> None:
        self._hang()

    def ring(self, *, is_commit: bool = False) -> None:
        """Let ``wait`` return."""
        with self._own():
            self._is_commit |= is_commit
            self._sound()

    def wait(self, timeout_seconds: float, *, beside: int | None = None) -> bool:
        """Return as ``listen`` does: whether a commit was among the rings."""
        self.listen(timeout_seconds, beside)
        if not self._is_commit:
            return False
        with self._own():
            is_commit = self._is_commit
            self._is_commit = False
            return is_commit

    def listen(self, timeout_seconds: float, *beside: int | None) -> Collection[int]:
        """Return at a ring, as soon as one of the other descriptors has something to tell, or after the timeout.

        Returns:
            Those descriptors that have something to tell, or were hung up.
        """
        own = self._pipe()
        poll = select.poll()
        for descriptor in (own, *beside):
            if descriptor is not None:
                poll.register(descriptor, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(max(0, math.ceil(timeout_seconds * 1000)))}
        if own in ready:
            ready.remove(own)
            with self._own():
                self._silence()
        return ready

    def _hang(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._ends = None
        self._is_rung = False
        self._is_commit = False

    def _own(self) -> threading.Lock:
        if os.getpid() != self._pid:
            # A thread that is gone may hold the parent's lock, and the parent hears its pipe.
            self._hang()
        return self._lock

    def _pipe(self) -> int:
        """Return the end that is listened to; a process that never waits needs no pipe."""
        with self._own():
            if self._ends is None:
                self._ends = os.pipe()
                weakref.finalize(self, _close, *self._ends, pid=self._pid).atexit = False  # a thread may still listen
                if self._is_rung:
                    self._is_rung = False
                    self._sound()
            return self._ends[0]

    def _sound(self) -> None:
        if not self._is_rung:
            self._is_rung = True
            if self._ends is not None:
                os.write(self._ends[1], b"!")

    def _silence(self) -> None:
        if self._is_rung and self._ends is not None:
            self._is_rung = False
            os.read(self._ends[0], 1)


def _close(*descriptors: int, pid: int) -> None:
    if os.getpid() != pid:  # a child that became a daemon has closed them, and the numbers may stand for other files
        return
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)
