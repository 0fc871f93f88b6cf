"""Collections in a SQLite file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from . import clock
from .items import MOST_ITEMS, Item, check_changes, check_collection
from .sqlite_database import Database

_RECENT = "service = ? AND collection = ? AND (? OR (boot = ? AND put_at >= ?))"


class SqliteItems:
    """All collections of one service; what was put before the last boot is very old."""

    def __init__(self, database: Database, *, service: str) -> None:
        self._database = database
        self._service = service

    def put(
        self,
        collection: str,
        changes: Mapping[str, bytes | None],
        *,
        expected: Mapping[str, bytes | None] = MappingProxyType({}),
        keep: int = MOST_ITEMS,
        durable: bool = True,
    ) -> bool:
        """Change the items if those expected are as expected; say whether they were."""
        check_changes(changes, expected)
        one = (self._service, check_collection(collection))
        with self._database.writing(durable=durable) as connection:
            for key, body in expected.items():
                query = "SELECT body FROM items WHERE service = ? AND collection = ? AND key = ?"
                found = connection.execute(query, (*one, key)).fetchone()
                if (None if found is None else found[0]) != body:
                    return False
            boot, now = clock.boot_id(), clock.seconds_since_boot()
            (last,) = connection.execute(
                "SELECT coalesce(max(turn), 0) FROM items WHERE service = ? AND collection = ?", one
            ).fetchone()
            gone = [(*one, key) for key, body in changes.items() if body is None]
            connection.executemany("DELETE FROM items WHERE service = ? AND collection = ? AND key = ?", gone)
            put = [
                (*one, key, body, boot, now, last + number)
                for number, (key, body) in enumerate(changes.items(), start=1)
                if body is not None
            ]
            connection.executemany("INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?, ?, ?, ?)", put)
            connection.execute(
                "DELETE FROM items WHERE service = ? AND collection = ? AND turn <= (SELECT turn FROM items"
                " WHERE service = ? AND collection = ? ORDER BY turn DESC LIMIT 1 OFFSET ?)",
                (*one, *one, keep),
            )
        return True

    def get(self, collection: str, keys: Sequence[str]) -> dict[str, bytes]:
        """Return the bodies of those that are there."""
        found: dict[str, bytes] = {}
        with self._database.reading() as connection:
            for key in keys:
                row = connection.execute(
                    "SELECT body FROM items WHERE service = ? AND collection = ? AND key = ?",
                    (self._service, collection, key),
                ).fetchone()
                if row is not None:
                    found[key] = row[0]
        return found

    def newest(
        self, collection: str, *, within_seconds: float | None = None, limit: int = 1000, skip: int = 0
    ) -> tuple[Item, ...]:
        """Return items, the one put last first."""
        query = f"SELECT key, body, boot, put_at FROM items WHERE {_RECENT} ORDER BY turn DESC LIMIT ? OFFSET ?"  # noqa: S608 - our own condition
        with self._database.reading() as connection:
            asked = (*self._recent(collection, within_seconds), max(limit, 0), skip)
            rows = connection.execute(query, asked).fetchall()
        return tuple(Item(key, body, clock.age(boot, put_at)) for key, body, boot, put_at in rows)

    def count(self, collection: str, *, within_seconds: float | None = None) -> int:
        """Return how many there are."""
        with self._database.reading() as connection:
            query = f"SELECT count(*) FROM items WHERE {_RECENT}"  # noqa: S608 - our own condition
            return int(connection.execute(query, self._recent(collection, within_seconds)).fetchone()[0])

    def _recent(self, collection: str, within_seconds: float | None) -> tuple[object, ...]:
        since = clock.seconds_since_boot() - (within_seconds or 0.0)
        return (self._service, collection, within_seconds is None, clock.boot_id(), since)
