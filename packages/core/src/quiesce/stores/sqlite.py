"""The store in a SQLite file: all processes of one machine."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..model import (
    Acknowledgement,
    AuditRecord,
    CountKey,
    MaintenanceState,
    RevisionConflictError,
    StoreCorruptError,
    StoreURLError,
    UnknownWorkerError,
    WorkerInfo,
    WorkerReport,
)
from ..model.codec import (
    decode_acknowledgement,
    decode_audit,
    decode_count_key,
    decode_state,
    decode_worker,
    encode_acknowledgement,
    encode_audit,
    encode_count_key,
    encode_state,
    encode_worker,
)
from . import clock
from .commits import check_commit
from .doorbell import Doorbell
from .sqlite_database import Database
from .sqlite_files import check_location


class SqliteStore:
    """A store that the processes of one machine share through a file.

    Ages are measured by the time since boot, so that clock steps do not move them; what was written before the last
    boot is ``clock.FROM_ANOTHER_BOOT`` seconds old.

    Raises:
        StoreURLError: the folder is missing, not writable, or on a network file system.
    """

    def __init__(self, path: Path, *, service_name: str = "default") -> None:
        try:
            self._path = path.resolve()
        except (OSError, RuntimeError) as exc:
            raise StoreURLError(f"the SQLite store {path} cannot be used: {exc}") from exc
        check_location(self._path)
        self._service = service_name
        self._database = Database(self._path, service=service_name)
        self._bell = Doorbell()

    @property
    def url(self) -> str:
        """The address, with the absolute path."""
        return f"sqlite:///{self._path}"

    @property
    def board_path(self) -> Path | None:
        """Beside the database; a service other than the default has its own."""
        service = self._service
        suffix = "" if service == "default" else "-" + hashlib.sha256(service.encode()).hexdigest()[:16]
        return self._path.with_name(f"{self._path.name}-board{suffix}")

    def load(self) -> MaintenanceState:
        """Return the committed state."""
        return decode_state(self._of_service("body"))

    def revision(self) -> int:
        """Return the committed revision."""
        return int(self._of_service("revision"))

    def commit(self, state: MaintenanceState, *, expected_revision: int, audit: Sequence[AuditRecord]) -> None:
        """Replace the state and append the records; on the disk when it returns."""
        check_commit(state, expected_revision=expected_revision)
        body = encode_state(state)
        records = [(self._service, encode_audit(record)) for record in audit]
        with self._database.writing(durable=True) as connection:
            found = self._select(connection, "revision")
            if found != expected_revision:
                raise RevisionConflictError(expected_revision, found)
            connection.execute(
                "UPDATE state SET revision = ?, body = ? WHERE service = ?", (state.revision, body, self._service)
            )
            connection.executemany("INSERT INTO audit (service, body) VALUES (?, ?)", records)
        self._bell.ring(is_commit=True)

    def register(self, worker: WorkerInfo) -> None:
        """List the worker; the number of its last batch is kept."""
        body = encode_worker(worker)
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO workers VALUES (?, ?, ?, NULL, -1, ?, ?) ON CONFLICT (service, id) DO UPDATE SET"
                " body = excluded.body, acknowledgement = NULL, boot = excluded.boot, heard_at = excluded.heard_at",
                (self._service, worker.id, body, clock.boot_id(), clock.seconds_since_boot()),
            )

    def report(
        self, worker_id: str, acknowledgement: Acknowledgement, *, counts: Mapping[CountKey, int], batch: int
    ) -> None:
        """Write heartbeat, acknowledgement and counts."""
        key = (self._service, worker_id)
        rows = [(self._service, encode_count_key(counted), count) for counted, count in counts.items()]
        body = encode_acknowledgement(acknowledgement)
        with self._database.writing() as connection:
            found = connection.execute("SELECT batch FROM workers WHERE service = ? AND id = ?", key).fetchone()
            if found is None:
                raise UnknownWorkerError(f"worker {worker_id} is not listed")
            connection.execute(
                "UPDATE workers SET acknowledgement = ?, batch = max(batch, ?), boot = ?, heard_at = ?"
                " WHERE service = ? AND id = ?",
                (body, batch, clock.boot_id(), clock.seconds_since_boot(), *key),
            )
            if batch > found[0]:
                connection.executemany(
                    "INSERT INTO counts VALUES (?, ?, ?) ON CONFLICT (service, key) DO UPDATE SET"
                    " count = count + excluded.count",
                    rows,
                )

    def deregister(self, worker_id: str) -> None:
        """Take the worker off the list."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM workers WHERE service = ? AND id = ?", (self._service, worker_id))

    def workers(self) -> tuple[WorkerReport, ...]:
        """Return every listed worker's last report."""
        query = "SELECT body, acknowledgement, boot, heard_at FROM workers WHERE service = ? ORDER BY id"
        with self._database.reading() as connection:
            rows = connection.execute(query, (self._service,)).fetchall()
        return tuple(
            WorkerReport(
                decode_worker(body),
                None if acknowledgement is None else decode_acknowledgement(acknowledgement),
                clock.age(boot, heard_at),
            )
            for body, acknowledgement, boot, heard_at in rows
        )

    def counts(self) -> Mapping[CountKey, int]:
        """Return all counts."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT key, count FROM counts WHERE service = ?", (self._service,)).fetchall()
        return {decode_count_key(key): count for key, count in rows}

    def lead(self, worker_id: str, *, lease_seconds: float) -> bool:
        """Take or renew the leader's lease."""
        boot = clock.boot_id()
        with self._database.writing() as connection:
            now = clock.seconds_since_boot()
            taken = connection.execute(
                "INSERT INTO leader VALUES (?, ?, ?, ?) ON CONFLICT (service) DO UPDATE SET"
                " worker_id = excluded.worker_id, boot = excluded.boot, until = excluded.until"
                " WHERE worker_id = excluded.worker_id OR boot <> excluded.boot OR until <= ?",
                (self._service, worker_id, boot, now + lease_seconds, now),
            )
            return taken.rowcount == 1

    def resign(self, worker_id: str) -> None:
        """Give the lease back."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM leader WHERE service = ? AND worker_id = ?", (self._service, worker_id))

    def audit(self, *, limit: int = 100) -> tuple[AuditRecord, ...]:
        """Return the newest records, oldest of them first."""
        query = "SELECT body FROM audit WHERE service = ? ORDER BY number DESC LIMIT ?"
        with self._database.reading() as connection:
            rows = connection.execute(query, (self._service, max(limit, 0))).fetchall()
        return tuple(decode_audit(body) for (body,) in reversed(rows))

    def age(self) -> float:
        """Return the seconds since the file was made."""
        return clock.age(self._of_service("created_boot"), self._of_service("created_at"))

    def wait_for_change(self, *, timeout_seconds: float) -> bool:
        """Return after the timeout, or earlier when this object commits or is woken; other processes use the board."""
        return self._bell.wait(timeout_seconds)

    def wake(self) -> None:
        """Let ``wait_for_change`` return; one that is called later returns at once, so that no ring is lost."""
        self._bell.ring()

    def close(self) -> None:
        """Close the file."""
        self._database.close()
        self.wake()

    def _of_service(self, column: str) -> Any:
        with self._database.reading() as connection:
            return self._select(connection, column)

    def _select(self, connection: sqlite3.Connection, column: str) -> Any:
        row = connection.execute(f"SELECT {column} FROM state WHERE service = ?", (self._service,)).fetchone()  # noqa: S608 - our own column names
        if row is None:
            raise StoreCorruptError(f"{self._path} has lost the state of service {self._service!r}")
        return row[0]
