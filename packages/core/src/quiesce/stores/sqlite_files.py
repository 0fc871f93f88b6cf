"""The files of a SQLite database: made privately, recognised again, never mixed with another's."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from ..model import StoreUnreachableError, StoreURLError
from .mounts import refuse_network_file_system

Identity = tuple[int, int]
"""Device and inode."""


def check_location(path: Path) -> None:
    """Raise ``StoreURLError`` unless a database at ``path`` could be used; creates nothing."""
    try:
        _check_location(path)
    except OSError as exc:
        raise StoreURLError(f"the SQLite store {path} cannot be used: {exc.strerror}") from exc


def identity(path: Path) -> Identity | None:
    """Return what tells the file at ``path`` from one that replaces it; ``None`` when there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def side_files(path: Path) -> tuple[Path, Path]:
    """Return where SQLite keeps the write-ahead log and its index."""
    return path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")


def ensure_file(path: Path, *, stale: frozenset[Identity] = frozenset(), timeout_seconds: float) -> None:
    """Create an empty private file at ``path`` unless there is one.

    Side files that a deleted or replaced database left behind would be read as the new one's, so they go first:
    all of them when the database is missing, else those in ``stale``.
    """
    if not stale and path.exists():
        return
    with _folder_locked(path.parent, timeout_seconds=timeout_seconds):
        missing = not path.exists()
        for side in side_files(path):
            if missing or identity(side) in stale:
                side.unlink(missing_ok=True)
        if missing:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            if os.geteuid() == 0:  # an operator who comes first must not lock the application's user out
                folder = path.parent.stat()
                os.fchown(descriptor, folder.st_uid, folder.st_gid)
            os.close(descriptor)


def _check_location(path: Path) -> None:
    folder = path.parent
    if not folder.is_dir():
        raise StoreURLError(f"the folder {folder} of the SQLite store does not exist")
    if path.exists() and not path.is_file():
        raise StoreURLError(f"{path} is not a file")
    refuse_network_file_system(folder)
    if not _may(folder, os.R_OK | os.W_OK | os.X_OK):
        raise StoreURLError(f"the folder {folder} of the SQLite store is not writable by this user")
    if path.exists() and not _may(path, os.R_OK | os.W_OK):
        raise StoreURLError(f"the SQLite store {path} is not readable and writable by this user")


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


@contextlib.contextmanager
def _folder_locked(folder: Path, *, timeout_seconds: float) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StoreUnreachableError(f"another process holds the folder {folder} locked") from None
                time.sleep(0.01)
        yield
    finally:
        os.close(descriptor)
