"""The audit trail in a SQLite file, as far as it is read, and dropped from its old end."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from ..model import AuditRecord
from ..model.codec import decode_audit
from .commits import AUDIT_PAGE, droppable, names_window
from .sqlite_database import Database


class SqliteAudit:
    """The records of one service."""

    def __init__(self, database: Database, *, service: str) -> None:
        self._database = database
        self._service = service

    def newest(self, limit: int) -> tuple[AuditRecord, ...]:
        """Return the newest, oldest of them first."""
        query = "SELECT body FROM audit WHERE service = ? ORDER BY number DESC LIMIT ?"
        with self._database.reading() as connection:
            rows = connection.execute(query, (self._service, max(limit, 0))).fetchall()
        return tuple(decode_audit(body) for (body,) in reversed(rows))

    def of(self, window_id: str) -> Iterator[AuditRecord]:
        """Yield every one about this window, the oldest first."""
        query = "SELECT number, iif(instr(body, ?), body, NULL) FROM audit WHERE service = ? AND number > ?"
        rows: list[Any] = [(0, None)]
        while rows:
            with self._database.reading() as connection:
                asked = (names_window(window_id), self._service, rows[-1][0], AUDIT_PAGE)
                rows = connection.execute(f"{query} ORDER BY number LIMIT ?", asked).fetchall()
            found = (decode_audit(body) for _, body in rows if body is not None)
            yield from (record for record in found if record.window_id == window_id)

    def all(self) -> Iterator[AuditRecord]:
        """Yield every one, the oldest first."""
        rows: list[Any] = [(-(2**63), None)]
        while rows:
            with self._database.reading() as connection:
                rows = self._page(connection, after=rows[-1][0])
            yield from (decode_audit(body) for _, body in rows)

    def drop(self, *, through: int) -> int:
        """Drop the oldest up to this number, a bounded number of them in each transaction; return how many."""
        total = 0
        while True:
            with self._database.writing(durable=True) as connection:
                rows = self._page(connection, after=-(2**63))
                count = droppable((decode_audit(body) for _, body in rows), through=through)
                if count:
                    last = rows[count - 1][0]
                    connection.execute("DELETE FROM audit WHERE service = ? AND number <= ?", (self._service, last))
            total += count
            if not count:
                return total

    def _page(self, connection: sqlite3.Connection, *, after: int) -> list[Any]:
        query = "SELECT number, body FROM audit WHERE service = ? AND number > ? ORDER BY number LIMIT ?"
        return connection.execute(query, (self._service, after, AUDIT_PAGE)).fetchall()
