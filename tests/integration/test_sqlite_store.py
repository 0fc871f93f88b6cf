"""The SQLite store and its file: modes, forks, crashes, and files that are replaced under it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from quiesce.model import (
    MaintenanceState,
    Mode,
    StoreCorruptError,
    StoreError,
    StoreUnreachableError,
    UnknownWorkerError,
)
from quiesce.stores import Store, clock, open_store
from quiesce.stores.sqlite import SqliteStore
from quiesce.stores.sqlite_schema import prepare
from quiesce.testing import eventually
from quiesce.testing.store_samples import ACKNOWLEDGEMENT, NOON, a_record, a_window, a_worker, beat, commit


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "maintenance.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with opened(path) as store:
        yield store


@contextlib.contextmanager
def opened(path: Path, *, service_name: str = "default") -> Iterator[Store]:
    with contextlib.closing(open_store(f"sqlite:///{path}", service_name=service_name)) as store:
        yield store


def files(path: Path) -> list[str]:
    return sorted(found.name for found in path.parent.iterdir())


def connection_of(store: Store) -> sqlite3.Connection:
    assert isinstance(store, SqliteStore)
    connection = store._database._connection
    assert connection is not None
    return connection


def count_open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def configuration(path: Path) -> dict[str, str]:
    """Read the guide's entries as an operator would, with nothing of ours."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT key, value FROM configuration"))


def test_nothing_is_made_until_it_is_used(path: Path) -> None:
    """Constructing a store reaches nothing, so that an application starts with a full disk."""
    with opened(path):
        assert files(path) == []


def test_files_are_private_from_their_first_instant(path: Path) -> None:
    """Reasons and names are nobody else's business, and whoever can write here can open the gate."""
    seen: set[tuple[str, int]] = set()
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.is_set():
            for entry in os.scandir(path.parent):
                with contextlib.suppress(FileNotFoundError):
                    seen.add((entry.name, stat.S_IMODE(entry.stat().st_mode)))

    umask = os.umask(0)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with opened(path) as store:
            commit(store, 1)
            store.register(a_worker())
            assert files(path) == ["maintenance.db", "maintenance.db-shm", "maintenance.db-wal"]
            eventually(lambda: len(seen) >= 3)
    finally:
        is_over.set()
        watcher.join()
        os.umask(umask)

    assert {mode for _, mode in seen} == {0o600}


def test_a_commit_is_on_the_disk_and_a_heartbeat_need_not_be(store: Store) -> None:
    """A power cut must not reopen the gate; a heartbeat that costs a disk flush each second would wear out disks."""
    commit(store, 1)
    statements: list[str] = []
    connection_of(store).set_trace_callback(statements.append)  # white box: only a power cut could tell

    store.register(a_worker())
    commit(store, 2)
    store.report(a_worker().id, ACKNOWLEDGEMENT, counts={}, batch=1)

    levels = [statement.rpartition("=")[2] for statement in statements if "synchronous" in statement]
    assert levels == ["NORMAL", "FULL", "NORMAL"]


def test_the_guides_entries_can_be_read_with_sql(path: Path, store: Store) -> None:
    """Operators and their scripts know these keys."""
    store.load()
    closed = {
        "maintenance_mode": "false",
        "maintenance_reason": "",
        "maintenance_duration": "0",
        "maintenance_started_at": "",
        "maintenance_mode_type": "normal",
    }
    assert configuration(path) == closed

    began = datetime.now(UTC) - timedelta(minutes=1)
    still = replace(a_window('Say "when" ☂'), mode=Mode.NORMAL, starts_at=began, ends_at=None, ended_at=None)
    rehearsal = replace(still, id="w0", mode=Mode.TEST)
    later = replace(still, id="w2", mode=Mode.EMERGENCY, starts_at=began + timedelta(days=1))
    ended = replace(still, id="w3", mode=Mode.EMERGENCY, ended_at=began + timedelta(seconds=1))
    store.commit(MaintenanceState(1, (rehearsal, still, later, ended)), expected_revision=0, audit=[])

    assert configuration(path) == {
        "maintenance_mode": "true",
        "maintenance_reason": 'Say "when" ☂',
        "maintenance_duration": "2700",
        "maintenance_started_at": began.isoformat(),
        "maintenance_mode_type": "normal",
    }
    over = replace(still, ends_at=began + timedelta(seconds=30))
    store.commit(MaintenanceState(2, (over,)), expected_revision=1, audit=[])
    assert configuration(path) == closed


def test_the_guides_entries_of_other_services_carry_their_name(path: Path, store: Store) -> None:
    """Two services in one file must not be taken for each other."""
    store.load()
    began = datetime.now(UTC) - timedelta(minutes=1)
    window = replace(a_window("shop only"), starts_at=began, ends_at=None, ended_at=None)
    with opened(path, service_name="shop") as shop:
        shop.commit(MaintenanceState(1, (window,)), expected_revision=0, audit=[])

    found = configuration(path)

    assert found["maintenance_mode"] == "false"
    assert found["shop:maintenance_mode"] == "true"
    assert found["shop:maintenance_mode_type"] == "emergency"


def test_a_deleted_file_is_made_anew(path: Path, store: Store) -> None:
    """Writing into a deleted file would look like success, and nobody else would ever see it."""
    with opened(path) as other:
        for number, handle in enumerate((store, other), 1):
            commit(handle, number)
        store.register(a_worker())

        path.unlink()

        assert store.load() == MaintenanceState()
        with pytest.raises(UnknownWorkerError):
            other.report(a_worker().id, ACKNOWLEDGEMENT, counts={}, batch=1)
        commit(other, 1)
        commit(store, 2)
        assert other.revision() == store.revision() == 2
        assert [record.revision for record in other.audit()] == [1, 2]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_new_process_does_not_read_the_log_of_a_deleted_file(path: Path) -> None:
    """Only the database was deleted, and its log is still in use by a process that has not noticed."""
    unaware = start_program(HOLDER, f"sqlite:///{path}")
    assert unaware.stdout is not None
    assert unaware.stdout.readline() == b"8\n"

    path.unlink()

    with opened(path) as fresh:
        assert fresh.load() == MaintenanceState()
        commit(fresh, 1, detail="new")
        assert [record.detail for record in fresh.audit()] == ["new"]
        assert unaware.communicate(b"\n", timeout=30)[0] == b"1\n"
        commit(fresh, 2)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_restored_backup_is_taken_up_whole(path: Path, tmp_path: Path, store: Store) -> None:
    """The write-ahead log of the old file would otherwise be read as the new one's."""
    backup = tmp_path / "backup.db"
    with opened(backup) as made:
        commit(made, 1, detail="from the backup")
    with opened(path) as other:
        for revision in range(1, 9):
            commit(other, revision)
        assert store.revision() == 8

        backup.replace(path)

        assert store.revision() == 1
        assert other.revision() == 1
        commit(store, 2)
        assert [record.detail for record in other.audit()] == ["from the backup", ""]
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_folder_that_disappears_is_an_outage(path: Path, tmp_path: Path) -> None:
    """A volume that was unmounted comes back; until then the last known state holds."""
    folder = tmp_path / "volume"
    folder.mkdir()
    with opened(folder / "m.db") as store:
        commit(store, 1)
        folder.rename(tmp_path / "elsewhere")

        with pytest.raises(StoreUnreachableError, match="volume"):
            store.load()

        (tmp_path / "elsewhere").rename(folder)
        assert store.revision() == 1


def test_another_applications_database_is_left_alone(path: Path) -> None:
    """A wrong setting must not put tables into the shop's data."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE configuration (key, value)")
    before = path.read_bytes()

    with opened(path) as store, pytest.raises(StoreCorruptError, match="another application"):
        store.load()

    assert path.read_bytes() == before


def test_a_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    """A rollback of the application must say so rather than guess at tables that it does not know."""
    with opened(path) as store:
        store.load()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version=99")

    with opened(path) as store, pytest.raises(StoreError, match="newer version"):
        store.load()


def test_a_file_that_is_no_database_is_corrupt(path: Path) -> None:
    """Trying again will not help, and the message names the file."""
    path.write_bytes(b"#!/bin/sh\n" * 500)

    with opened(path) as store, pytest.raises(StoreCorruptError, match=r"maintenance\.db"):
        store.load()


def test_a_state_that_cannot_be_read_is_corrupt(path: Path, store: Store) -> None:
    """Whatever stands there, the gate keeps what it knows."""
    commit(store, 1)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE state SET body = 'x'")
        connection.commit()

    with pytest.raises(StoreCorruptError):
        store.load()


def test_a_locked_file_is_waited_for_and_then_given_up(path: Path, store: Store) -> None:
    """A backup tool that holds the lock must not hang the agent."""
    commit(store, 1)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as blocker:
        blocker.execute("BEGIN IMMEDIATE")
        began = time.monotonic()

        with pytest.raises(StoreUnreachableError, match="locked"):
            commit(store, 2)

        assert 1 < time.monotonic() - began < 6
        assert store.revision() == 1
        blocker.execute("ROLLBACK")
    commit(store, 2)


def test_a_full_disk_is_an_outage_that_ends(path: Path, store: Store) -> None:
    """The last state stays readable, and when there is room again all goes on."""
    commit(store, 1)
    huge = MaintenanceState(2, (a_window("x" * 5_000_000),))
    limit = "PRAGMA max_page_count=40"
    connection_of(store).execute(limit)  # white box: the limit is the connection's own

    with pytest.raises(StoreUnreachableError, match="full"):
        store.commit(huge, expected_revision=1, audit=[a_record(2)])

    assert store.revision() == 1
    assert store.audit() == (a_record(1),)
    store.commit(huge, expected_revision=1, audit=[a_record(2)])
    assert store.revision() == 2


COMMITTER = """
import sys
from datetime import UTC, datetime
from quiesce.model import AuditRecord, MaintenanceState, RevisionConflictError
from quiesce.stores import open_store
store = open_store(sys.argv[1])
while True:
    found = store.revision()
    record = AuditRecord(at=datetime.now(UTC), actor="", source="", action="", revision=found + 1)
    try:
        store.commit(MaintenanceState(found + 1), expected_revision=found, audit=[record])
    except RevisionConflictError:
        continue
    print(found + 1, flush=True)
"""
HOLDER = """
import sys
from quiesce.model import MaintenanceState
from quiesce.stores import open_store
store = open_store(sys.argv[1])
for found in range(8):
    store.commit(MaintenanceState(found + 1), expected_revision=found, audit=[])
print(store.revision(), flush=True)
sys.stdin.readline()
print(store.revision(), flush=True)
store.close()
"""
STARTER = """
import os, pathlib, sys, time
from datetime import UTC, datetime
from quiesce.model import WorkerInfo
from quiesce.stores import open_store
store = open_store(sys.argv[1])
print("ready", flush=True)
while not pathlib.Path(sys.argv[2]).exists():
    time.sleep(0.0005)
store.register(WorkerInfo(str(os.getpid()), "host", os.getpid(), "", 0, "", datetime.now(UTC)))
store.close()
"""


def start_program(source: str, *arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", source, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_commits_of_many_processes_lose_nothing_although_some_are_killed(path: Path) -> None:
    """Workers are killed at any instant; what a commit said was done, is."""
    workers = [start_program(COMMITTER, f"sqlite:///{path}") for _ in range(3)]
    done: list[int] = []
    with opened(path) as store:
        try:
            eventually(lambda: store.revision() > 30, within=30)
        finally:
            for worker in workers:
                worker.kill()
                out, _ = worker.communicate()
                done += [int(line) for line in out.split(b"\n")[:-1]]

        last = store.revision()
        assert [record.revision for record in store.audit(limit=100_000)] == list(range(1, last + 1))
        assert len(done) == len(set(done))
        assert set(done) <= set(range(1, last + 1))
        commit(store, last + 1)


def test_many_processes_that_start_at_once_make_one_file(path: Path) -> None:
    """All workers of a server start in the same instant, on a machine where nothing is there yet."""
    gate = path.parent / "go"
    workers = [start_program(STARTER, f"sqlite:///{path}", gate) for _ in range(6)]
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.readline()

    gate.touch()
    for worker in workers:
        worker.communicate(timeout=30)

    assert [worker.returncode for worker in workers] == [0] * 6
    with opened(path) as store:
        assert {report.worker.id for report in store.workers()} == {str(worker.pid) for worker in workers}


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_a_file_that_another_process_makes_meanwhile_is_not_taken_for_a_stranger(path: Path, moment: int) -> None:
    """Between any two looks at an empty file it can become ours."""
    statements: list[str] = []

    class Overtaken(sqlite3.Connection):
        def execute(self, sql: str, /, *parameters: Any) -> sqlite3.Cursor:
            statements.append(sql)
            if len(statements) == moment + 1:
                with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as faster:
                    prepare(faster)
            return super().execute(sql, *parameters)

    with contextlib.closing(sqlite3.connect(path, isolation_level=None, factory=Overtaken)) as connection:
        prepare(connection)

        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert len(statements) > moment


def test_short_threads_leave_nothing_open(path: Path, store: Store) -> None:
    """A threaded server uses a new thread for each request."""
    commit(store, 1)
    before = count_open_files()

    for _ in range(100):
        thread = threading.Thread(target=store.revision)
        thread.start()
        thread.join()

    assert count_open_files() <= before + 2


def test_a_child_inherits_no_connection(path: Path, store: Store) -> None:
    """A child that shared the parent's locks unknown to the kernel would lose its log when the parent ends."""
    commit(store, 1)
    child = _fork_and_commit_when_told(store, os.fork)

    # The parent is the last one that the kernel knows of, so closing it would take the log away from the child.
    store.close()
    child.go()

    assert child.wait() == 0
    with opened(path) as after:
        assert after.revision() == 2
        assert len(after.audit()) == 2


def test_a_fork_that_python_does_not_see_is_survived(path: Path, store: Store) -> None:
    """Application servers written in C fork without telling Python."""
    commit(store, 1)
    child = _fork_and_commit_when_told(store, ctypes.PyDLL(None).fork)

    child.go()

    assert child.wait() == 0
    assert store.revision() == 2
    commit(store, 3)


def test_what_is_from_before_the_last_boot_is_old(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A heartbeat from before a power cut must not count as fresh, whatever the clock of the new boot says."""
    store.register(a_worker())
    assert beat(store, "before", lease_seconds=1_000_000).is_leader

    monkeypatch.setattr(clock, "boot_id", lambda: "another")

    assert store.workers()[0].heartbeat_age == clock.FROM_ANOTHER_BOOT
    assert store.age() == clock.FROM_ANOTHER_BOOT
    assert beat(store, "after", lease_seconds=60).is_leader


def test_a_step_of_the_wall_clock_moves_no_age(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time synchronisation must not make workers late, or dead ones fresh."""
    store.register(a_worker())

    monkeypatch.setattr(time, "time", NOON.timestamp)

    assert store.workers()[0].heartbeat_age < 10


class _Child:
    def __init__(self, pid: int, pipe: int) -> None:
        self._pid = pid
        self._pipe = pipe

    def go(self) -> None:
        os.write(self._pipe, b"go")
        os.close(self._pipe)

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


def _fork_and_commit_when_told(store: Store, fork: Callable[[], int]) -> _Child:
    told, pipe = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 on forks with threads
        pid = fork()
    if pid == 0:
        status = 1
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)
        try:
            assert store.revision() == 1
            os.read(told, 2)
            commit(store, 2)
            status = 0
        finally:
            os._exit(status)
    os.close(told)
    return _Child(pid, pipe)
