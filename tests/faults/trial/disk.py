"""A small disk for the store that can be filled: a file system of its own, else a ration for the processes."""

from __future__ import annotations

import contextlib
import errno
import resource
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

_SIZE = "16m"
_CHUNK = 64 * 1024


class Disk(Protocol):
    """Where the store lies."""

    folder: Path

    def fill(self) -> None:
        """Leave no room."""

    def free(self) -> None:
        """Make room again."""


class SmallDisk:
    """A file system in memory, filled with ballast."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Empty the database's log, whose room would be used again, and take all that is left."""
        for database in self.folder.glob("*.db"):
            with (
                contextlib.suppress(sqlite3.OperationalError),  # it is busy, and its log keeps some room
                contextlib.closing(sqlite3.connect(database, timeout=5)) as connection,
            ):
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with self._ballast.open("wb", buffering=0) as ballast:
            for size in (_CHUNK, 4096, 1):
                with contextlib.suppress(OSError):
                    while ballast.write(bytes(size)):
                        pass

    def free(self) -> None:
        """Throw the ballast away."""
        self._ballast.unlink(missing_ok=True)


class RationedDisk:
    """For a user who may mount nothing: every write of these processes fails as on a disk that is full."""

    def __init__(self, folder: Path, processes: Callable[[], Iterable[int]]) -> None:
        self.folder = folder
        self._processes = processes

    def fill(self) -> None:
        """Let them write nothing more (RLIMIT_FSIZE)."""
        self._ration(0)

    def free(self) -> None:
        """Let them write again."""
        self._ration(resource.RLIM_INFINITY)

    def _ration(self, most_bytes: int) -> None:
        for pid in self._processes():
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))


@contextmanager
def small_disk(folder: Path, processes: Callable[[], Iterable[int]]) -> Iterator[Disk]:
    """Yield a disk; it is gone with the block.

    It is mounted outside pytest's folders: what a killed run leaves behind would keep later runs from clearing them up.

    Args:
        folder: is made, and used by a user who may mount nothing.
        processes: all that write to the store, for such a user.
    """
    mounted = Path(tempfile.mkdtemp(prefix="quiesce-disk-"))
    try:
        if _succeeds(["mount", "-t", "tmpfs", "-o", f"size={_SIZE},mode=0700", "tmpfs", str(mounted)]):
            try:
                yield SmallDisk(mounted)
            finally:
                _succeeds(["umount", "-l", str(mounted)])
        else:
            folder.mkdir()
            yield RationedDisk(folder, processes)
    finally:
        mounted.rmdir()


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError as exc:
        if exc.errno not in {errno.ENOENT, errno.EACCES, errno.EPERM}:
            raise
        return False
