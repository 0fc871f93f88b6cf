"""The store in a SQLite file: all processes of one machine."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..model import (
    Acknowledgement,
    AuditRecord,
    CountKey,
    Heartbeat,
    MaintenanceEvent,
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
    decode_count_key,
    decode_event,
    decode_state,
    decode_worker,
    encode_acknowledgement,
    encode_audit,
    encode_count_key,
    encode_event,
    encode_state,
    encode_worker,
)
from . import clock
from .base import MOST_EVENTS, MOST_SILENT, SILENT_SECONDS, Change
from .commits import check_commit, events_after, follows
from .doorbell import Doorbell
from .sqlite_audit import SqliteAudit
from .sqlite_database import Database
from .sqlite_files import check_location
from .sqlite_items import SqliteItems


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
        self._audit = SqliteAudit(self._database, service=service_name)
        self._items = SqliteItems(self._database, service=service_name)
        self._bell = Doorbell()

    @property
    def url(self) -> str:
        """The address, with the absolute path."""
        return f"sqlite:///{self._path}"

    @property
    def board_path(self) -> Path | None:
        """Beside the database; a service other than the default has its own."""
        suffix = "" if self._service == "default" else f"-{_digest(self._service)}"
        return self._path.with_name(f"{self._path.name}-board{suffix}")

    def load(self) -> MaintenanceState:
        """Return the committed state."""
        return decode_state(self._of_service("body"))

    def revision(self) -> int:
        """Return the committed revision."""
        return int(self._of_service("revision"))

    def commit(
        self,
        state: MaintenanceState,
        *,
        expected_revision: int,
        audit: Sequence[AuditRecord],
        events: Sequence[MaintenanceEvent] = (),
    ) -> None:
        """Replace the state and append the records and events; on the disk when it returns."""
        check_commit(state, expected_revision=expected_revision, events=events)
        body = encode_state(state)
        records = [(self._service, encode_audit(record)) for record in audit]
        happened = [(self._service, event.revision, event.number, encode_event(event)) for event in events]
        with self._database.writing(durable=True) as connection:
            found, commit_id = self._select(connection, "revision, commit_id")
            if found != expected_revision or not follows(state, commit_id):
                raise RevisionConflictError(expected_revision, found)
            connection.execute(
                "UPDATE state SET revision = ?, commit_id = ?, body = ? WHERE service = ?",
                (state.revision, state.commit_id, body, self._service),
            )
            connection.executemany("INSERT INTO audit (service, body) VALUES (?, ?)", records)
            if happened:
                connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", happened)
                connection.execute(
                    "DELETE FROM events WHERE service = ? AND (revision, number) <= (SELECT revision, number"
                    " FROM events WHERE service = ? ORDER BY revision DESC, number DESC LIMIT 1 OFFSET ?)",
                    (self._service, self._service, MOST_EVENTS),
                )
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
        self,
        worker_id: str,
        acknowledgement: Acknowledgement,
        *,
        counts: Mapping[CountKey, int],
        batch: int,
        lease_seconds: float = 0.0,
        asks_for_silent: bool = False,
    ) -> Heartbeat:
        """Write heartbeat, acknowledgement and counts."""
        key = (self._service, worker_id)
        rows = [(self._service, encode_count_key(counted), count) for counted, count in counts.items()]
        body = encode_acknowledgement(acknowledgement)
        boot = clock.boot_id()
        with self._database.writing() as connection:
            found = connection.execute("SELECT batch FROM workers WHERE service = ? AND id = ?", key).fetchone()
            if found is None:
                raise UnknownWorkerError(f"worker {worker_id} is not listed")
            now = clock.seconds_since_boot()
            connection.execute(
                "UPDATE workers SET acknowledgement = ?, batch = max(batch, ?), boot = ?, heard_at = ?"
                " WHERE service = ? AND id = ?",
                (body, batch, boot, now, *key),
            )
            if batch > found[0]:
                connection.executemany(
                    "INSERT INTO counts VALUES (?, ?, ?) ON CONFLICT (service, key) DO UPDATE SET"
                    " count = count + excluded.count",
                    rows,
                )
            is_leader = (
                lease_seconds > 0
                and connection.execute(
                    "INSERT INTO leader VALUES (?, ?, ?, ?) ON CONFLICT (service) DO UPDATE SET"
                    " worker_id = excluded.worker_id, boot = excluded.boot, until = excluded.until"
                    " WHERE worker_id = excluded.worker_id OR boot <> excluded.boot OR until <= ?",
                    (*key, boot, now + lease_seconds, now),
                ).rowcount
                == 1
            )
            silent = self._silent(connection, boot=boot, now=now) if asks_for_silent else ()
            revision, commit_id = self._select(connection, "revision, commit_id")
        return Heartbeat(revision, commit_id, is_leader, silent)

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

    def resign(self, worker_id: str) -> None:
        """Give the lease back."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM leader WHERE service = ? AND worker_id = ?", (self._service, worker_id))

    def audit(self, *, limit: int = 100) -> tuple[AuditRecord, ...]:
        """Return the newest records, oldest of them first."""
        return self._audit.newest(limit)

    def audit_of(self, window_id: str) -> Iterator[AuditRecord]:
        """Yield every record about this window, the oldest first."""
        return self._audit.of(window_id)

    def audit_trail(self) -> Iterator[AuditRecord]:
        """Yield every record, the oldest first."""
        return self._audit.all()

    def drop_audit(self, *, through: int) -> int:
        """Drop records from the old end."""
        return self._audit.drop(through=through)

    def events(self, *, after: str = "", limit: int = 100) -> tuple[MaintenanceEvent, ...]:
        """Return the oldest events after the one of this id."""
        query = "SELECT body FROM events WHERE service = ? AND (revision, number) > (?, ?) ORDER BY revision, number"
        with self._database.reading() as connection:
            asked = (self._service, *events_after(after), max(limit, 0))
            rows = connection.execute(f"{query} LIMIT ?", asked).fetchall()
        return tuple(decode_event(body) for (body,) in rows)

    def renew_lease(self, window_id: str) -> None:
        """Count one more renewal."""
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO leases VALUES (?, ?, 1) ON CONFLICT (service, window_id) DO UPDATE SET"
                " renewals = renewals + 1",
                (self._service, window_id),
            )

    def lease_renewals(self) -> Mapping[str, int]:
        """Return how often each lease was renewed."""
        with self._database.reading() as connection:
            query = "SELECT window_id, renewals FROM leases WHERE service = ?"
            return dict(connection.execute(query, (self._service,)).fetchall())

    def drop_lease(self, window_id: str) -> None:
        """Forget the renewals of a lease."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM leases WHERE service = ? AND window_id = ?", (self._service, window_id))

    @property
    def items(self) -> SqliteItems:
        """The collections beside the state."""
        return self._items

    def age(self) -> float:
        """Return the seconds since the file was made."""
        return clock.age(self._of_service("created_boot"), self._of_service("created_at"))

    def wait_for_change(self, *, timeout_seconds: float, beside: int | None = None) -> Change | None:
        """Return after the timeout, or earlier when this object commits or is woken; other processes use the board."""
        return Change() if self._bell.wait(timeout_seconds, beside=beside) else None

    def wake(self) -> None:
        """Let ``wait_for_change`` return; one that is called later returns at once, so that no ring is lost."""
        self._bell.ring()

    def close(self) -> None:
        """Close the file."""
        self._database.close()
        self.wake()

    def _silent(self, connection: sqlite3.Connection, *, boot: str, now: float) -> tuple[tuple[WorkerInfo, float], ...]:
        rows = connection.execute(
            "SELECT body, boot, heard_at FROM workers WHERE service = ? AND (boot <> ? OR heard_at < ?)"
            " ORDER BY boot = ?, heard_at LIMIT ?",
            (self._service, boot, now - SILENT_SECONDS, boot, MOST_SILENT),
        ).fetchall()
        return tuple((decode_worker(body), clock.age(then, heard_at)) for body, then, heard_at in rows)

    def _of_service(self, column: str) -> Any:
        with self._database.reading() as connection:
            return self._select(connection, column)[0]

    def _select(self, connection: sqlite3.Connection, columns: str) -> Any:
        row = connection.execute(f"SELECT {columns} FROM state WHERE service = ?", (self._service,)).fetchone()  # noqa: S608 - our own column names
        if row is None:
            raise StoreCorruptError(f"{self._path} has lost the state of service {self._service!r}")
        return row


def _digest(service: str) -> str:
    import hashlib  # noqa: PLC0415 - brings OpenSSL, without which a command starts sooner

    return hashlib.sha256(service.encode()).hexdigest()[:16]
