"""The board: what the processes of one machine share."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from quiesce import BoardError
from quiesce.gate.board import CAPACITY_BYTES, SLOT_BYTES, Board

PAGE = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db-board"


def test_a_fresh_board_holds_nothing(path: Path) -> None:
    """A process that starts first must not take emptiness for a state."""
    board = Board(path)

    assert board.word[()] == 0
    assert board.read() is None


def test_what_one_handle_publishes_the_other_reads(path: Path) -> None:
    """This is how a commit reaches the next request of every process."""
    publisher, reader = Board(path), Board(path)

    publisher.publish(1, b"one")
    publisher.publish(2, b"two")

    assert reader.word[()] == 2
    assert reader.read() == (2, b"two")


def test_it_never_goes_back_to_an_older_revision(path: Path) -> None:
    """A slow publisher must not reopen what a faster one closed."""
    board = Board(path)
    board.publish(5, b"five")

    board.publish(4, b"four")

    assert board.word[()] == 5
    assert board.read() == (5, b"five")


@pytest.mark.parametrize("revisions", [(1, 2), (1, 2, 3)])
def test_a_publisher_that_died_halfway_leaves_the_older_snapshot_readable(
    path: Path, revisions: tuple[int, ...]
) -> None:
    """A kill between two writes must cost no snapshot."""
    board = Board(path)
    for revision in revisions:
        board.publish(revision, b"snapshot %d" % revision)
    newest = revisions[-1]
    target = next(index for index in (0, 1) if (board._slot(index) or (0, b""))[0] == newest - 1)
    with path.open("r+b") as file:  # as if revision newest + 1 was being written there
        file.seek(PAGE + target * SLOT_BYTES)
        file.write(b"\0" * 16 + b"half a snaps")

    assert board.read() == (newest, b"snapshot %d" % newest)
    board.publish(newest + 1, b"whole")
    assert board.read() == (newest + 1, b"whole")


def test_a_damaged_word_is_mended_by_the_next_publication(path: Path) -> None:
    """Else every request would look in vain for ever."""
    board = Board(path)
    board.publish(3, b"three")
    board.word[()] = 999

    board.publish(3, b"three")

    assert board.word[()] == 3


def test_a_snapshot_that_does_not_fit_is_refused_and_changes_nothing(path: Path) -> None:
    """Memory is bounded, and an error must not half-write."""
    board = Board(path)
    board.publish(1, b"x" * CAPACITY_BYTES)

    with pytest.raises(BoardError, match="does not fit"):
        board.publish(2, b"x" * (CAPACITY_BYTES + 1))

    assert board.word[()] == 1


def test_its_size_never_changes_and_its_blocks_are_reserved(path: Path) -> None:
    """Truncation kills readers with SIGBUS, and so does a hole on a full disk."""
    board = Board(path)
    size = path.stat().st_size
    board.publish(1, b"x")
    Board(path)

    assert path.stat().st_size == size
    assert path.stat().st_blocks * 512 >= size
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("spoil", ["unlink", "replace"])
def test_a_board_whose_path_leads_elsewhere_says_so(path: Path, spoil: str) -> None:
    """Old mappings stay silently stale; agents must be able to notice."""
    board = Board(path)
    assert board.is_current()

    path.unlink()
    if spoil == "replace":
        Board(path)

    assert not board.is_current()


def test_a_file_of_another_kind_is_replaced_not_truncated(path: Path) -> None:
    """A board of an older format may still be mapped by somebody."""
    path.write_bytes(b"something else")
    path.chmod(0o600)
    with path.open("rb") as mapped_elsewhere:
        board = Board(path)
        board.publish(1, b"one")

        assert mapped_elsewhere.read() == b"something else"
    assert board.read() == (1, b"one")


def test_a_symbolic_link_is_refused(path: Path, tmp_path: Path) -> None:
    """Nobody may lead the board to a file of their own."""
    Board(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(BoardError, match="cannot be opened"):
        Board(path)


def test_a_board_that_others_can_write_is_refused(path: Path) -> None:
    """Whoever can write it can switch maintenance off."""
    Board(path)
    path.chmod(0o666)

    with pytest.raises(BoardError, match="0600"):
        Board(path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """An operator must read what is wrong."""
    with pytest.raises(BoardError, match="nowhere"):
        Board(tmp_path / "nowhere" / "board")


def test_a_lock_holder_that_does_not_move_is_not_waited_for_without_end(path: Path) -> None:
    """A stopped process must not stop every operator."""
    board = Board(path)
    descriptor = os.open(path, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)

    with pytest.raises(BoardError, match="does not move"):
        board.publish(1, b"one")

    os.close(descriptor)
    board.publish(1, b"one")
    assert board.word[()] == 1


PUBLISH_MANY = """
import sys
from pathlib import Path
from quiesce.gate.board import Board
board = Board(Path(sys.argv[1]))
for revision in range(int(sys.argv[2]), 3000, 2):
    board.publish(revision, b"%d" % revision * (1 + revision % 3000))
"""


def test_processes_that_publish_at_once_never_show_a_torn_or_older_snapshot(path: Path) -> None:
    """The checksum and the lock hold under real concurrency."""
    reader = Board(path)
    publishers = [subprocess.Popen([sys.executable, "-c", PUBLISH_MANY, path, start]) for start in ("1", "2")]

    last = 0
    while any(publisher.poll() is None for publisher in publishers):
        word = reader.word[()]
        newest = reader.read()
        if newest is not None:
            assert newest[1] == b"%d" % newest[0] * (1 + newest[0] % 3000)
            assert newest[0] >= max(last, word)
            last = newest[0]

    assert [publisher.wait() for publisher in publishers] == [0, 0]
    assert last > 0
    assert reader.word[()] == 2999
