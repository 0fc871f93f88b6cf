"""Both ways of filling a disk must fill it, and leave the witness its pen."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .trial.disk import RationedDisk, small_disk
from .trial.history import Died, read_history

WRITER = """
import sqlite3, sys
from pathlib import Path
from trial.history import Died, Recorder
database = sqlite3.connect(Path(sys.argv[1]) / "some.db", isolation_level=None)
database.execute("PRAGMA journal_mode=WAL")
database.execute("CREATE TABLE held (value)")
recorder = Recorder(Path(sys.argv[2]))
for number, _ in enumerate(sys.stdin):
    try:
        database.execute("INSERT INTO held VALUES (?)", (number,))
        outcome = "written"
    except sqlite3.OperationalError:
        outcome = "full"
    recorder.record(Died(alive_at=number, pid=1))
    print(outcome, flush=True)
"""


@contextmanager
def writer(store: Path, history: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(store), str(history)],
        cwd=Path(__file__).parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def write(process: subprocess.Popen[str]) -> str:
    """Let the process insert a row; return what it says of that."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


@pytest.mark.parametrize("is_rationed", [False, True], ids=["whatever-this-user-may", "rationed"])
def test_a_full_disk_takes_no_row_and_a_freed_one_does(*, is_rationed: bool, tmp_path: Path) -> None:
    """A harm that does no harm would prove nothing."""
    pids: list[int] = []
    with small_disk(tmp_path / "disk", lambda: pids) as disk:
        used = RationedDisk(disk.folder, lambda: pids) if is_rationed else disk
        with writer(used.folder, tmp_path) as process:
            pids.append(process.pid)
            before = write(process)
            used.fill()
            during = write(process)
            used.free()
            after = write(process)

    assert (before, during, after) == ("written", "full", "written")
    assert [fact.alive_at for fact in read_history(tmp_path).of(Died)] == [0, 1, 2]
