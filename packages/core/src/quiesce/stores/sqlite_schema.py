"""The tables of the SQLite store, and the guide's readable view of them."""

from __future__ import annotations

import re
import sqlite3

from ..model import MaintenanceState, StoreCorruptError, StoreError, StoreUnreachableError
from ..model.codec import encode_state

APPLICATION_ID = 0x51756965
"""``Quie``: tells our files from other applications' (SQLite file format, offset 68)."""
VERSION = 2

_TABLES = """
CREATE TABLE state (service TEXT PRIMARY KEY, revision INTEGER NOT NULL, commit_id TEXT NOT NULL,
                    body BLOB NOT NULL, created_boot TEXT NOT NULL, created_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE audit (number INTEGER PRIMARY KEY AUTOINCREMENT, service TEXT NOT NULL, body BLOB NOT NULL);
CREATE INDEX audit_of_service ON audit (service, number);
CREATE TABLE events (service TEXT, revision INTEGER, number INTEGER, body BLOB NOT NULL,
                     PRIMARY KEY (service, revision, number)) WITHOUT ROWID;
CREATE TABLE leases (service TEXT, window_id TEXT, renewals INTEGER NOT NULL,
                     PRIMARY KEY (service, window_id)) WITHOUT ROWID;
CREATE TABLE workers (service TEXT, id TEXT, body BLOB NOT NULL, acknowledgement BLOB, batch INTEGER NOT NULL,
                      boot TEXT NOT NULL, heard_at REAL NOT NULL, PRIMARY KEY (service, id)) WITHOUT ROWID;
CREATE TABLE counts (service TEXT, key BLOB, count INTEGER NOT NULL, PRIMARY KEY (service, key)) WITHOUT ROWID;
CREATE TABLE leader (service TEXT PRIMARY KEY, worker_id TEXT NOT NULL, boot TEXT NOT NULL,
                     until REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE items (service TEXT, collection TEXT, key TEXT, body BLOB NOT NULL, boot TEXT NOT NULL,
                    put_at REAL NOT NULL, turn INTEGER NOT NULL, PRIMARY KEY (service, collection, key)) WITHOUT ROWID;
CREATE INDEX items_by_turn ON items (service, collection, turn);
CREATE VIEW configuration (key, value, description) AS
WITH opened AS (
  SELECT state.service AS service, item.value AS body, row_number() OVER (
    PARTITION BY state.service
    ORDER BY CASE json_extract(item.value, '$.mode') WHEN 'emergency' THEN 0 WHEN 'normal' THEN 1 ELSE 2 END,
             json_extract(item.value, '$.starts_at'), json_extract(item.value, '$.id')) AS place
  FROM state, json_each(CAST(state.body AS TEXT), '$.windows') AS item
  WHERE julianday(json_extract(item.value, '$.starts_at')) <= julianday('now')
    AND coalesce(julianday(json_extract(item.value, '$.ends_at')) > julianday('now'), 1)
    AND coalesce(julianday(json_extract(item.value, '$.ended_at')) > julianday('now'), 1)
), current AS (
  SELECT CASE state.service WHEN 'default' THEN '' ELSE state.service || ':' END AS prefix, opened.body AS body
  FROM state LEFT JOIN opened ON opened.service = state.service AND opened.place = 1
)
SELECT prefix || 'maintenance_mode', iif(body IS NULL, 'false', 'true'),
       'Current maintenance mode status' FROM current
UNION ALL SELECT prefix || 'maintenance_reason', coalesce(json_extract(body, '$.reason'), ''),
       'Current maintenance reason' FROM current
UNION ALL SELECT prefix || 'maintenance_duration',
       CAST(CAST(coalesce(json_extract(body, '$.estimated_seconds'), 0) AS INTEGER) AS TEXT),
       'Estimated maintenance duration in seconds' FROM current
UNION ALL SELECT prefix || 'maintenance_started_at', coalesce(json_extract(body, '$.starts_at'), ''),
       'Maintenance start timestamp' FROM current
UNION ALL SELECT prefix || 'maintenance_mode_type', coalesce(json_extract(body, '$.mode'), 'normal'),
       'Maintenance mode type: normal, emergency, test' FROM current;
"""


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables, or those that a file of an older version lacks; expects an autocommit connection.

    Raises:
        StoreError: a newer version of Quiesce made the file.
        StoreCorruptError: it is another application's.
    """
    if _is_ready(connection):
        return
    if connection.execute("PRAGMA journal_mode=WAL").fetchone() != ("wal",):
        raise StoreUnreachableError("the file system of the database allows no write-ahead log")
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not _is_ready(connection):
            for statement in _TABLES.split(";\n"):
                connection.execute(
                    re.sub(r"^CREATE (TABLE|INDEX|VIEW) ", r"CREATE \1 IF NOT EXISTS ", statement.strip())
                )
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def greet(connection: sqlite3.Connection, *, service: str, boot: str, now: float) -> None:
    """Give the service its row, at revision 0, unless it has one."""
    if connection.execute("SELECT 1 FROM state WHERE service = ?", (service,)).fetchone() is None:
        row = (service, 0, "", encode_state(MaintenanceState()), boot, now)
        connection.execute("INSERT OR IGNORE INTO state VALUES (?, ?, ?, ?, ?, ?)", row)


def _is_ready(connection: sqlite3.Connection) -> bool:
    # In this order: another process may make all of it in one commit, and what holds tables is ours only if it says so.
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application == APPLICATION_ID:
        if version > VERSION:
            raise StoreError(f"the database was made by a newer version of Quiesce (schema {version}, known {VERSION})")
        return bool(version == VERSION)
    if tables:
        raise StoreCorruptError("the database belongs to another application; give Quiesce a file of its own")
    return False
