"""The board: a small mapped file by which the processes of one machine share the current snapshot.

Layout: magic (8 bytes), the revision word (8 bytes), padding to one page, then two slots. A slot is revision, length
and CRC-32 (8 + 4 + 4 bytes) and the snapshot's bytes. A publisher fills the slot that is not the newest and stores the
word last, so one that dies halfway leaves the other slot readable. The file never changes its size: truncating it would
kill readers with SIGBUS. It is never replaced while it is good: old mappings would go stale unnoticed.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import stat
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..model import BoardError
from .board_bell import ring

MAGIC = b"QUIESCE\x01"
SLOT_BYTES = 128 * 1024
CAPACITY_BYTES = SLOT_BYTES - 16
"""The longest snapshot that fits."""

_PAGE = 4096
_SIZE = _PAGE + 2 * SLOT_BYTES
_HEADER = struct.Struct("<QII")
_LOCK_SECONDS = 1.0


class Board:
    """A mapped board; ``path=None`` makes one that only this process and its children see.

    ``word`` is a view without dimensions: ``word[()]`` is the newest revision, and costs a memory read.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._lock = threading.Lock()
        if path is None:
            self._identity: tuple[int, int] | None = None
            self._map = mmap.mmap(-1, _SIZE)
            self._map[: len(MAGIC)] = MAGIC
        else:
            descriptor = _open(path)
            try:
                self._identity = _identity(os.fstat(descriptor))
                self._map = mmap.mmap(descriptor, _SIZE)
            except (OSError, ValueError) as exc:
                raise BoardError(f"board {path} cannot be mapped: {exc}") from exc
            finally:
                os.close(descriptor)
        self._view = memoryview(self._map)
        self.word = self._view[8:16].cast("Q", ())

    def read(self) -> tuple[int, bytes] | None:
        """Return the newest revision and its snapshot, or ``None`` when nothing readable was published."""
        newest: tuple[int, bytes] | None = None
        for _ in range(8):  # a publisher may be overwriting what is being read
            slots = [slot for slot in (self._slot(0), self._slot(1)) if slot is not None]
            newest = max(slots, key=lambda slot: slot[0], default=None)
            if newest is not None and newest[0] >= self.word[()]:
                break
        return newest

    def publish(self, revision: int, snapshot: bytes) -> None:
        """Make the snapshot the newest, unless a newer one is there; then only mend the word. Rings the board's bell.

        Raises:
            BoardError: the snapshot is too long, or another publisher holds the lock and does not move.
        """
        if len(snapshot) > CAPACITY_BYTES:
            raise BoardError(f"a snapshot of {len(snapshot)} bytes does not fit the board's {CAPACITY_BYTES}")
        with self._locked():
            revisions = [slot[0] if slot else -1 for slot in (self._slot(0), self._slot(1))]
            newest = max(revisions)
            if newest < revision:
                self._write(revisions.index(min(revisions)), revision, snapshot)
                newest = revision
            is_news = self.word[()] != newest
            if is_news:
                self.word[()] = newest
        if is_news and self.path is not None:
            ring(self.path)

    def is_current(self) -> bool:
        """Whether the path still leads to the mapped file, whole."""
        if self.path is None:
            return True
        try:
            status = self.path.stat(follow_symlinks=False)
        except OSError:
            return False
        return _identity(status) == self._identity and status.st_size == _SIZE

    @property
    def is_private(self) -> bool:
        """Whether no other process can see it."""
        return self.path is None

    def close(self) -> None:
        """Unmap; a gate that still compares the word keeps the mapping alive."""
        self.word.release()
        self._view.release()
        self._map.close()

    def _slot(self, index: int) -> tuple[int, bytes] | None:
        start = _PAGE + index * SLOT_BYTES
        revision, length, checksum = _HEADER.unpack_from(self._map, start)
        if length > CAPACITY_BYTES or length == 0:
            return None
        data = self._map[start + _HEADER.size : start + _HEADER.size + length]
        return (revision, data) if _checksum(revision, data) == checksum else None

    def _write(self, index: int, revision: int, snapshot: bytes) -> None:
        start = _PAGE + index * SLOT_BYTES
        _HEADER.pack_into(self._map, start, 0, 0, 0)
        self._map[start + _HEADER.size : start + _HEADER.size + len(snapshot)] = snapshot
        _HEADER.pack_into(self._map, start, revision, len(snapshot), _checksum(revision, snapshot))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if self.path is None:
            with self._lock:
                yield
            return
        descriptor = _open(self.path)  # an open file of its own excludes threads and forked siblings alike
        try:
            deadline = time.monotonic() + _LOCK_SECONDS
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise BoardError(f"board {self.path} is locked by a process that does not move") from None
                    time.sleep(0.0002)
            yield
        finally:
            os.close(descriptor)


def _checksum(revision: int, data: bytes) -> int:
    return zlib.crc32(data, zlib.crc32(revision.to_bytes(8, "little")))


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _open(path: Path) -> int:
    for _ in range(3):  # another process may create or replace it meanwhile
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            _create(path)
            continue
        except OSError as exc:
            raise BoardError(f"board {path} cannot be opened: {exc.strerror}") from exc
        try:
            if _is_sound(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        path.unlink(missing_ok=True)
    raise BoardError(f"board {path} cannot be opened: it changes all the time")


def _is_sound(descriptor: int, path: Path) -> bool:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise BoardError(f"board {path} is not a regular file")
    if status.st_uid not in {os.geteuid(), 0, _owner(path)}:
        raise BoardError(f"board {path} belongs to user {status.st_uid}, who could forge it")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise BoardError(f"board {path} can be written by others; it must have mode 0600")
    return status.st_size == _SIZE and os.pread(descriptor, len(MAGIC), 0) == MAGIC


def _owner(path: Path) -> int:
    """Return who should own the board: the owner of the store's file that it lies beside, else of the folder."""
    beside = path.with_name(path.name.removesuffix("-board"))
    try:
        return (beside if beside != path else path.parent).stat(follow_symlinks=False).st_uid
    except OSError:
        return path.parent.stat().st_uid


def _create(path: Path) -> None:
    import tempfile  # noqa: PLC0415 - most processes find a board

    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as exc:
        raise BoardError(f"board {path} cannot be created: {exc.strerror}") from exc
    try:
        # Blocks are reserved now: on a full disk a later store into a hole would kill the process with SIGBUS.
        os.posix_fallocate(descriptor, 0, _SIZE)
        os.pwrite(descriptor, MAGIC, 0)
        if os.geteuid() == 0:
            os.fchown(descriptor, _owner(path), -1)
        os.link(name, path)
    except FileExistsError:
        pass
    except OSError as exc:
        raise BoardError(f"board {path} cannot be created: {exc.strerror}") from exc
    finally:
        os.close(descriptor)
        Path(name).unlink(missing_ok=True)
