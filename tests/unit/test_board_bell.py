"""The bell beside the board: rung by whoever shows a state, heard by every agent of the machine."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from quiesce.gate.board import Board
from quiesce.gate.board_bell import BoardBell, bell_of, ring
from quiesce.stores.doorbell import Doorbell
from quiesce.testing import eventually


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A board that exists."""
    path = tmp_path / "store.db-board"
    Board(path).close()
    return path


@pytest.fixture
def bell(path: Path) -> Iterator[BoardBell]:
    bell = BoardBell()
    bell.mend(path)
    yield bell
    bell.close()


def is_rung(bell: BoardBell, *, within: float = 0.0) -> bool:
    assert bell.descriptor is not None
    return bool(Doorbell().listen(within, bell.descriptor))


def test_whoever_publishes_rings(path: Path, bell: BoardBell) -> None:
    """An agent that sleeps until its next heartbeat must learn at once of what an operator has changed."""
    assert not is_rung(bell)

    Board(path).publish(1, b"one")

    assert is_rung(bell, within=30)


def test_what_is_no_news_does_not_ring(path: Path, bell: BoardBell) -> None:
    """Every agent shows what it has heard; each must not wake all the others again."""
    board = Board(path)
    board.publish(2, b"two")
    bell.attend()

    board.publish(2, b"two")
    board.publish(1, b"one")

    assert not is_rung(bell)


def test_all_hear_it_also_those_that_are_busy(path: Path) -> None:
    """One that took a ring for itself would leave its siblings asleep."""
    bells = [BoardBell() for _ in range(16)]
    for bell in bells:
        bell.mend(path)

    ring(path)

    for bell in bells:
        assert is_rung(bell)
        bell.attend()
        assert not is_rung(bell)
        bell.close()


def test_a_ring_between_two_looks_is_not_lost(path: Path, bell: BoardBell) -> None:
    """The board is looked at after the bell is ready again, so whatever was shown later rings later."""
    seen = 0
    board, looker = Board(path), Board(path)

    def publish() -> None:
        for revision in range(1, 2_001):
            board.publish(revision, b"state")

    publisher = threading.Thread(target=publish)
    publisher.start()
    while seen < 2_000:
        assert bell.descriptor is None or is_rung(bell, within=30)
        bell.attend()
        if bell.descriptor is None:  # rung again at the same moment; an agent polls until its next heartbeat
            bell.mend(path)
        seen = looker.word[()]
    publisher.join()


def test_it_is_heard_from_another_process(path: Path, bell: BoardBell) -> None:
    """The operator's command is one."""
    code = "import sys, pathlib; from quiesce.gate.board_bell import ring; ring(pathlib.Path(sys.argv[1]))"

    subprocess.run([sys.executable, "-c", code, str(path)], check=True)

    assert is_rung(bell)


def test_ringing_where_nobody_listens_does_nothing(path: Path) -> None:
    """A command on a machine without workers has nobody to wake, and leaves nothing behind."""
    ring(path)
    assert not bell_of(path).exists()

    bell = BoardBell()
    bell.mend(path)
    bell.close()
    ring(path)

    assert bell_of(path).stat().st_mode & 0o777 == 0o600


def test_a_bell_that_was_taken_away_is_put_back(path: Path, bell: BoardBell) -> None:
    """A clean-up job that deletes it must not leave the agents deaf for good."""
    bell_of(path).unlink()

    bell.mend(path)

    ring(path)
    assert is_rung(bell)


def test_a_bell_that_was_replaced_is_taken(path: Path, bell: BoardBell) -> None:
    """Whoever rings reaches the one that the path leads to."""
    bell_of(path).unlink()
    os.mkfifo(bell_of(path), 0o600)

    bell.mend(path)

    ring(path)
    assert is_rung(bell)


def test_what_is_no_bell_is_not_listened_to(path: Path, tmp_path: Path) -> None:
    """A file never hangs up, a pipe that others may write to could be kept from ringing, and a link leads astray."""
    os.mkfifo(tmp_path / "elsewhere", 0o600)
    bell = BoardBell()

    def is_deaf() -> bool:
        bell.mend(path)
        is_deaf = bell.descriptor is None
        bell_of(path).unlink()
        return is_deaf

    bell_of(path).write_text("")
    ring(path)
    assert bell_of(path).read_text() == ""
    assert is_deaf()
    bell_of(path).symlink_to(tmp_path / "elsewhere")
    assert is_deaf()
    os.mkfifo(bell_of(path))
    bell_of(path).chmod(0o666)
    assert is_deaf()
    assert not is_deaf()
    bell.close()


def test_a_board_of_one_process_has_no_bell(bell: BoardBell) -> None:
    """Nobody else can show anything there."""
    bell.mend(None)

    assert bell.descriptor is None


def test_many_that_start_at_once_all_hear_it(path: Path) -> None:
    """Each tries it when it starts, which rings it for the others."""
    bells = [BoardBell() for _ in range(8)]

    def hears(bell: BoardBell) -> bool:
        bell.mend(path)
        return bell.descriptor is not None

    def start(bell: BoardBell) -> None:
        eventually(partial(hears, bell))

    threads = [threading.Thread(target=start, args=(bell,)) for bell in bells]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for bell in bells:
        bell.attend()
        eventually(partial(hears, bell))

    ring(path)

    assert all(is_rung(bell) for bell in bells)
    for bell in bells:
        bell.close()
