"""Signals while a command waits or runs another program: taken when asked for, so that none comes at a bad moment."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Self

from ..model import QuiesceError

_TAKEN = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_FROM_KERNEL = 0x80
"""SI_KERNEL: how Linux marks what a terminal sends to everybody in its foreground, our child too."""


class SignalledError(QuiesceError):
    """Raised when a signal asks this process to end."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = signal.Signals(number).name
        super().__init__(f"interrupted by {self.name}")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A signal that came.

    Attributes:
        number: which.
        is_for_all: whether the kernel sent it to the whole process group.
    """

    number: int
    is_for_all: bool = False


class TakenSignals:
    """Blocks the signals that would end this process, so that they wait until ``next`` asks; for the main thread.

    Those that this process was started to ignore (``nohup``) stay ignored, here and in the child. Threads that are
    started meanwhile block them too.
    """

    def __enter__(self) -> Self:
        self._noted: list[int] = []
        taken = [number for number in _TAKEN if signal.getsignal(number) is not signal.SIG_IGN]
        self._handlers = {number: signal.signal(number, self._note) for number in taken}
        # Where SIGCHLD is ignored, the kernel forgets the exit codes of children.
        self._handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._set = frozenset(self._handlers)
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, self._set)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        while self._is_any_here():
            self.next()
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        for number, handler in self._handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def next(self) -> Arrival:
        """Wait for the next signal; SIGCHLD, when a child has ended, is one."""
        if self._noted:
            return Arrival(self._noted.pop(0))
        # Not sigtimedwait: interrupted by SIGCONT when its time is up, CPython returns signals that never came.
        info = signal.sigwaitinfo(self._set)
        return Arrival(info.si_signo, info.si_code == _FROM_KERNEL)

    def pause(self, seconds: float) -> None:
        """Wait so long.

        Raises:
            SignalledError: a signal came.
        """
        time.sleep(seconds)
        while self._is_any_here():
            arrival = self.next()
            if arrival.number != signal.SIGCHLD:
                raise SignalledError(arrival.number)

    def _is_any_here(self) -> bool:
        return bool(self._noted) or bool(signal.sigpending() & self._set)

    def start(self, program: str, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a child with the signal mask that this process was given; what comes meanwhile is kept for ``next``.

        Raises:
            OSError: the program cannot be executed.
        """
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        try:
            return subprocess.Popen(arguments, executable=program, close_fds=False)  # noqa: S603 - the operator's own
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, self._set)

    def _note(self, number: int, _: FrameType | None) -> None:
        self._noted.append(number)
