"""Where boards lie when there is no database file to lie beside: a folder that only we can write into."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from quiesce.model import BoardError
from quiesce.stores import open_store
from quiesce.stores import runtime_folder as runtime_folder_module
from quiesce.stores.runtime_folder import runtime_folder


@pytest.fixture
def expected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that it will be, without shared memory; not yet there."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(runtime_folder_module, "SHARED_MEMORY", tmp_path / "none")
    return tmp_path / f"quiesce-{os.geteuid()}"


def test_shared_memory_comes_first(expected: Path, tmp_path: Path) -> None:
    """Services with a temporary folder of their own must still meet at one board."""
    (tmp_path / "none").mkdir()

    assert runtime_folder() == tmp_path / "none" / expected.name


def test_the_folder_is_made_for_us_alone(expected: Path) -> None:
    """Whoever can write to the board can open the gate."""
    umask = os.umask(0)
    try:
        assert runtime_folder() == expected
    finally:
        os.umask(umask)

    assert stat.S_IMODE(expected.stat().st_mode) == 0o700
    assert runtime_folder() == expected


def test_a_symbolic_link_is_not_followed(expected: Path, tmp_path: Path) -> None:
    """Anybody may put one into /tmp first."""
    (tmp_path / "theirs").mkdir(0o700)
    expected.symlink_to(tmp_path / "theirs")

    with pytest.raises(BoardError, match="symbolic link"):
        runtime_folder()


def test_a_folder_that_others_can_enter_is_not_trusted(expected: Path) -> None:
    """It may have been made with bad intent, or by accident; either way others can write to it."""
    expected.mkdir()
    expected.chmod(0o770)

    with pytest.raises(BoardError, match="0770"):
        runtime_folder()


def test_a_folder_of_somebody_else_is_not_trusted(expected: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner could change its mode at any time."""
    expected.mkdir(0o700)
    lstat = Path.lstat

    def theirs(path: Path) -> os.stat_result:
        found = list(lstat(path))
        found[stat.ST_UID] = 12345
        return os.stat_result(found)

    monkeypatch.setattr(Path, "lstat", theirs)

    with pytest.raises(BoardError, match="belongs to user 12345"):
        runtime_folder()


def test_without_any_place_the_reason_is_given(expected: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers then follow the store by themselves, and the log says why."""
    monkeypatch.setattr(tempfile, "tempdir", "/proc/nowhere")

    with pytest.raises(BoardError, match="/proc/nowhere"):
        runtime_folder()


def test_all_who_reach_the_same_data_share_a_board_and_nobody_else(expected: Path) -> None:
    """A user's name or an option in the address makes no other data."""
    urls = ["redis://h/1", "redis://h:6379/1", "redis://u:pw@h/1"]
    shared = {open_store(url).board_path for url in urls}
    others = {
        open_store("redis://h/2").board_path,
        open_store("redis://g/1").board_path,
        open_store("redis://h/1", service_name="shop").board_path,
    }

    assert len(shared) == 1
    assert len(others) == 3
    assert not shared & others
    (path,) = shared
    assert path is not None
    assert path.parent == expected
    assert "pw" not in path.name
