"""One connection a process to a SQLite file, safe across threads, forks and a file that is replaced.

A connection for each thread would leak with many short threads. A connection that a child inherits would share its
locks with the parent's without the kernel knowing, so it is closed before each fork and opened again when next used.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from ..model import StoreCorruptError, StoreError, StoreUnreachableError
from . import clock, forking
from .sqlite_files import Identity, ensure_file, identity, side_files
from .sqlite_schema import greet, prepare

BUSY_SECONDS = 2.0
"""How long another process's write is waited for."""
_LOCK_SECONDS = 4.0
_TRANSIENT = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)
_CONTENDED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class Database:
    """The file at ``path``, made when it is first used."""

    def __init__(self, path: Path, *, service: str) -> None:
        self._path = path
        self._service = service
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._connection: sqlite3.Connection | None = None
        self._identity: Identity | None = None
        self._sides: frozenset[Identity] = frozenset()
        self._is_closed = False
        self._is_held_for_fork = False
        forking.watch(self)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection, for single statements."""
        with self._exclusive(), self._translated():
            yield self._connected()

    @contextlib.contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """Lend the connection in a transaction that holds the write lock from its start.

        A durable one is on the disk when it ends, for a power cut too.
        """
        with self._exclusive(), self._translated():
            connection = self._connected()
            connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            if identity(self._path) != self._identity:
                raise StoreUnreachableError(f"{self._path} was replaced while it was written to")

    def close(self) -> None:
        """Close the connection for good."""
        with self._exclusive(is_closing=True):
            self._is_closed = True
            self._drop()

    def check_open(self) -> None:
        """Raise ``StoreError`` when the store is closed."""
        if self._is_closed:
            raise StoreError("the store is closed")

    def before_fork(self) -> None:
        """Close the connection, and keep others from opening one until the fork is over."""
        self._is_held_for_fork = self._lock.acquire(timeout=_LOCK_SECONDS)
        if self._is_held_for_fork:
            with contextlib.suppress(sqlite3.Error):
                self._drop()

    def after_fork_in_parent(self) -> None:
        """Let others go on."""
        if self._is_held_for_fork:
            self._lock.release()

    def after_fork_in_child(self) -> None:
        """Start afresh; whoever held the lock is gone, and an inherited connection may not even be closed."""
        self._pid = os.getpid()
        self._lock = threading.RLock()
        if self._connection is not None:
            import ctypes  # noqa: PLC0415 - only for a connection that before_fork could not close

            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._connection))
            self._connection = None

    @contextlib.contextmanager
    def _exclusive(self, *, is_closing: bool = False) -> Iterator[None]:
        if os.getpid() != self._pid:
            self.after_fork_in_child()
        if not self._lock.acquire(timeout=_LOCK_SECONDS):
            raise StoreUnreachableError(f"{self._path} is in use by another thread")
        try:
            if not is_closing:
                self.check_open()
            yield
        finally:
            self._lock.release()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            code = _primary_code(exc)
            if code not in _CONTENDED:
                with contextlib.suppress(sqlite3.Error):
                    self._drop()
            if code in _TRANSIENT:
                raise StoreUnreachableError(f"{self._path}: {exc}") from exc
            raise StoreCorruptError(f"{self._path}: {exc}") from exc
        except OSError as exc:
            raise StoreUnreachableError(f"{self._path}: {exc.strerror or exc}") from exc

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None and identity(self._path) != self._identity:
            # Before the drop: as long as it is open, its inodes cannot be given to another database's files.
            ensure_file(self._path, stale=self._sides, timeout_seconds=BUSY_SECONDS)
            self._drop()
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        ensure_file(self._path, timeout_seconds=BUSY_SECONDS)
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            before = identity(self._path)
            connection = sqlite3.connect(
                f"file:{quote(os.fsencode(self._path))}?mode=rw",
                uri=True,
                timeout=BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                prepare(connection)
                greet(connection, service=self._service, boot=clock.boot_id(), now=clock.seconds_since_boot())
            except BaseException as exc:
                connection.close()
                # Changing to WAL, and the last close of another process, are refused at once, without a busy wait.
                contended = isinstance(exc, sqlite3.Error) and _primary_code(exc) in _CONTENDED
                if not contended or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
                continue
            if before == identity(self._path):
                self._identity = before
                self._sides = frozenset(side for side in map(identity, side_files(self._path)) if side is not None)
                return connection
            connection.close()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _primary_code(error: sqlite3.Error) -> int:
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF
