"""A bell beside the board: whoever shows a state wakes the machine's agents, which need not keep looking.

It is a named pipe through which nothing is ever sent. The agents have it open for reading; opening it for writing and
closing it again hangs up on all of them (poll(2), POLLHUP), those too that are busy and ask later. An agent that was
hung up on opens it anew and *then* looks at the board, so that what is shown meanwhile rings again.
"""

from __future__ import annotations

import contextlib
import os
import select
import stat
from pathlib import Path

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_TRIES = 5


def ring(board: Path) -> None:
    """Wake the agents that listen to the bell of this board; without a bell they find out within a second."""
    with contextlib.suppress(OSError):  # ENXIO: nobody listens
        os.close(os.open(bell_of(board), _WRITE))


def bell_of(board: Path) -> Path:
    """Return where the bell of a board lies."""
    return board.with_name(f"{board.name}-bell")


class BoardBell:
    """An agent's ear; deaf until it is mended, and wherever pipes do not behave as they must."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._descriptor: int | None = None

    @property
    def descriptor(self) -> int | None:
        """Is hung up on when the bell rings; ``None``: nothing will be heard."""
        return self._descriptor

    def attend(self) -> None:
        """Get ready for the next ring; to be done before the board is looked at."""
        if self._descriptor is None or self._path is None or not _is_hung_up(self._descriptor):
            return
        self.close()
        with contextlib.suppress(OSError):
            self._descriptor = _open(self._path)
            if _is_hung_up(self._descriptor):  # rung again by chance, or a pipe that would let nobody sleep
                self.close()

    def mend(self, board: Path | None) -> None:
        """See that the bell of this board is heard, if it has one that works."""
        path = None if board is None else bell_of(board)
        if path == self._path and self._descriptor is not None and _leads_to(self._path, self._descriptor):
            return
        self.close()
        self._path = path
        if board is not None and path is not None:
            with contextlib.suppress(OSError):
                _create(path, owner=board.stat().st_uid)
                self._descriptor = _tried(board)

    def close(self) -> None:
        """Hear nothing more."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _tried(board: Path) -> int | None:
    """Return the bell, open, if it is silent until it rings, hangs up then, and is silent again when opened anew."""
    has_rung = False
    for _ in range(_TRIES):  # siblings that start may ring it meanwhile
        descriptor = _open(bell_of(board))
        if _is_hung_up(descriptor):
            os.close(descriptor)
        elif has_rung:
            return descriptor
        else:
            ring(board)
            has_rung = _is_hung_up(descriptor)
            os.close(descriptor)
            if not has_rung:
                return None
    return None


def _create(path: Path, *, owner: int) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkfifo(path, 0o600)
        if os.geteuid() == 0:
            descriptor = _open(path)
            try:
                os.fchown(descriptor, owner, -1)
            finally:
                os.close(descriptor)


def _open(path: Path) -> int:
    """Return the bell, open for reading.

    Raises:
        OSError: there is none, or it is none, or others could keep it from ringing.
    """
    descriptor = os.open(path, _READ)
    status = os.fstat(descriptor)
    if stat.S_ISFIFO(status.st_mode) and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return descriptor
    os.close(descriptor)
    raise PermissionError(f"{path} is no bell of ours")


def _is_hung_up(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def _leads_to(path: Path | None, descriptor: int) -> bool:
    try:
        return path is not None and os.path.samestat(path.stat(follow_symlinks=False), os.fstat(descriptor))
    except OSError:
        return False
