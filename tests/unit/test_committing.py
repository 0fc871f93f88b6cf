"""Commits: one writer wins, the machine sees it at once, and a store that lost its contents gets them back."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from quiesce.control import EnhancedMaintenanceModeService
from quiesce.control.committing import SPARE_BYTES, Committer
from quiesce.control.journal import Journal
from quiesce.gate import CAPACITY_BYTES, Board
from quiesce.model import (
    BoardError,
    InvalidValueError,
    MaintenanceState,
    MaintenanceWindow,
    Mode,
    QuiesceError,
    StoreUnreachableError,
    WindowOpenError,
)
from quiesce.model.codec import decode_state, encode_state
from quiesce.stores import Store, open_store
from quiesce.testing import FakeClock
from quiesce.testing.clock import NOON

MakeService = Callable[..., EnhancedMaintenanceModeService]


def a_window(window_id: str, **changes: Any) -> MaintenanceWindow:
    window = MaintenanceWindow(id=window_id, mode=Mode.NORMAL, reason="r", owner="o", starts_at=NOON)
    return replace(window, **changes)


def lose_contents(folder: Path) -> None:
    """Take the database away, as a careless restore does; the board stays."""
    for path in folder.glob("maintenance.db*"):
        if "board" not in path.name:
            path.unlink()


def in_parallel(*calls: Callable[[], object]) -> list[object]:
    """Run the calls at the same moment; return what each gave or raised."""
    barrier = threading.Barrier(len(calls))
    results: list[object] = [None] * len(calls)

    def run(index: int, call: Callable[[], object]) -> None:
        barrier.wait(10)
        try:
            results[index] = call()
        except QuiesceError as exc:
            results[index] = exc

    threads = [threading.Thread(target=run, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def test_of_racing_operators_one_wins_and_the_others_learn_who(make_service: MakeService, sqlite_url: str) -> None:
    """Two operators at once: one window, one record, and a conflict that says what happened."""
    services = [make_service(sqlite_url), make_service(sqlite_url)]

    results = in_parallel(
        *(lambda s=services[n % 2], n=n: s.enable(reason=f"reason {n}", actor=f"operator-{n}") for n in range(8))
    )

    won = [result for result in results if isinstance(result, MaintenanceWindow)]
    lost = [result for result in results if isinstance(result, WindowOpenError)]
    assert (len(won), len(lost)) == (1, 7)
    assert all(won[0].owner in str(error) and error.window_id == won[0].id for error in lost)
    state = services[0].store.load()
    assert (state.revision, [window.id for window in state.windows]) == (1, [won[0].id])
    assert [record.actor for record in services[0].store.audit()] == [won[0].owner]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_racing_extensions_all_count(make_service: MakeService, sqlite_url: str, kind: str) -> None:
    """Compare-and-set loses no update."""
    first = make_service("memory://" if kind == "memory" else sqlite_url)
    second = make_service(store=first.store) if kind == "memory" else make_service(sqlite_url)
    window = first.enable(reason="r", actor="a", duration=60, timeout=60)

    results = in_parallel(*(lambda s=s: s.extend(by=60, actor="b") for s in (first, second) for _ in range(4)))

    assert all(isinstance(result, MaintenanceWindow) for result in results), results
    state = first.store.load()
    assert state.revision == 9
    (extended,) = state.windows
    assert extended.ends_at is not None
    assert window.ends_at is not None
    assert (extended.ends_at - window.ends_at).total_seconds() == 8 * 60
    assert sorted(record.revision for record in first.store.audit()) == list(range(1, 10))


def test_commit_is_on_the_board_when_it_returns(make_service: MakeService, sqlite_url: str) -> None:
    """The next request of every process on the machine sees it, with nobody polling."""
    service = make_service(sqlite_url)

    window = service.enable(reason="r", actor="a")

    assert service.store.board_path is not None
    published = Board(service.store.board_path).read()
    assert published is not None
    assert published[0] == 1
    assert decode_state(published[1]).windows == (window,)


@pytest.mark.parametrize("command", ["status", "extend", "enable", "quiescence"])
def test_lost_store_gets_back_what_the_board_knows(
    make_service: MakeService, sqlite_url: str, tmp_path: Path, command: str
) -> None:
    """Whichever command comes first after the loss, the window is not lost (protocol rule 8)."""
    service = make_service(sqlite_url)
    window = service.enable(reason="r", actor="a")
    service.extend(by=60, actor="a")
    lose_contents(tmp_path)

    match command:
        case "status":
            assert service.get_maintenance_status().is_active
        case "extend":
            assert service.extend(by=60, actor="a").id == window.id
        case "enable":
            assert service.enable(reason="r", mode="emergency", actor="a").mode is Mode.EMERGENCY
        case "quiescence":
            assert service.quiescence().revision > 2

    with contextlib.closing(open_store(sqlite_url)) as store:
        state = store.load()
    assert window.id in {window.id for window in state.windows}
    assert state.revision > 2
    actions = [record.action for record in service.store.audit()]
    assert actions[0] == "store.reseeded"


def test_what_was_committed_on_the_emptied_store_is_kept(
    make_service: MakeService, sqlite_url: str, tmp_path: Path
) -> None:
    """Another machine may have been faster than the re-seeding."""
    service = make_service(sqlite_url)
    for _ in range(2):
        service.enable(reason="r", actor="a")
        service.disable(actor="a")
    old = service.enable(reason="r", actor="a")
    lose_contents(tmp_path)
    new = a_window("theirs", mode=Mode.EMERGENCY)
    with contextlib.closing(open_store(sqlite_url)) as elsewhere:
        elsewhere.commit(MaintenanceState(1, (new,)), expected_revision=0, audit=[])

    status = service.get_maintenance_status()

    assert {window.id for window in status.windows} == {old.id, "theirs"}
    assert status.mode is Mode.EMERGENCY
    assert status.revision > 5


def test_unreadable_board_does_not_stop_a_command(
    make_service: MakeService, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A command must work on a damaged machine; the store is the truth."""
    service = make_service(sqlite_url)
    assert service.store.board_path is not None
    Board(service.store.board_path).publish(99, b"\xff no state")

    with caplog.at_level(logging.WARNING, "quiesce"):
        service.enable(reason="r", actor="a")

    assert service.store.load().revision == 1
    assert "board" in caplog.text


def test_unusable_board_is_said_once(
    make_service: MakeService, sqlite_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """``wait`` asks a hundred times a second, and must not bury the log."""
    (tmp_path / "elsewhere").touch()
    service = make_service(sqlite_url)
    assert service.store.board_path is not None
    service.store.board_path.symlink_to(tmp_path / "elsewhere")

    with caplog.at_level(logging.WARNING, "quiesce"):
        service.enable(reason="r", actor="a")
        for _ in range(20):
            service.quiescence()

    assert len([record for record in caplog.records if "board" in record.getMessage()]) == 1


def a_full_state(clock: FakeClock) -> MaintenanceState:
    """An open window, and as many that were just ended as a command that adds one may leave behind."""
    windows = [a_window("open", starts_at=clock.now())]
    while len(encode_state(MaintenanceState(1, tuple(windows)))) < CAPACITY_BYTES - SPARE_BYTES:
        windows.append(a_window(f"w{len(windows)}", reason="x" * 1000, ended_at=clock.now()))
    return MaintenanceState(1, tuple(windows))


def test_full_state_takes_no_more_windows_and_still_ends_what_is_open(
    service: EnhancedMaintenanceModeService, clock: FakeClock
) -> None:
    """No operator is ever locked out."""
    service.store.commit(a_full_state(clock), expected_revision=0, audit=[])

    with pytest.raises(InvalidValueError, match="too many windows"):
        service.enable(reason="r", actor="a", overlap=True)

    assert service.store.revision() == 1
    assert service.store.audit() == ()
    assert service.disable(actor="a")[0].id == "open"


def test_full_state_takes_an_emergency_and_still_ends_what_is_open(
    service: EnhancedMaintenanceModeService, clock: FakeClock
) -> None:
    """Nobody can tidy up first; and the room for ending windows is not what emergencies without end may fill."""
    service.store.commit(a_full_state(clock), expected_revision=0, audit=[])

    with pytest.raises(InvalidValueError, match="too many windows"):  # noqa: PT012 - which of them it is may vary
        for _ in range(100):
            service.enable(reason="x" * 1000, mode="emergency", actor="a", overlap=True)

    state = service.store.load()
    opened = [window for window in state.windows if window.mode == "emergency"]
    assert opened
    assert len(encode_state(state)) <= CAPACITY_BYTES - SPARE_BYTES // 2
    assert len(service.disable(end_all=True, actor="a")) == len(opened) + 1


def test_windows_that_are_over_make_room_without_any_worker(
    service: EnhancedMaintenanceModeService, clock: FakeClock
) -> None:
    """Nobody cleans up where no worker runs, and an emergency must open there too."""
    service.store.commit(a_full_state(clock), expected_revision=0, audit=[])
    clock.advance(service.settings.cleanup_interval.total_seconds())

    window = service.enable(reason="r", mode="emergency", actor="a")

    assert [found.id for found in service.store.load().windows] == ["open", window.id]
    assert service.store.revision() == 2


def test_window_whose_end_nobody_was_told_is_kept_for_the_next_worker(
    service: EnhancedMaintenanceModeService, clock: FakeClock
) -> None:
    """Whoever heard of the start must hear of the end, however long all workers were away."""
    due = a_window("due", ended_at=clock.now(), hooks_run=frozenset({"on_activate"}))
    service.store.commit(
        MaintenanceState(1, (due, a_window("over", ended_at=clock.now()))), expected_revision=0, audit=[]
    )
    clock.advance(1e6)

    window = service.enable(reason="r", actor="a")

    assert [found.id for found in service.store.load().windows] == ["due", window.id]


def test_full_board_keeps_its_last_state(tmp_path: Path) -> None:
    """What does not fit is refused before anything is written."""
    board = Board(tmp_path / "board")
    board.publish(1, b"{}")

    with pytest.raises(BoardError):
        board.publish(2, b"x" * (CAPACITY_BYTES + 1))

    assert board.read() == (1, b"{}")


def test_change_that_raises_or_declines_writes_nothing(clock: FakeClock) -> None:
    """A conflict leaves no trace."""
    store = open_store("memory://")
    committer = Committer(store=store, clock=clock, board=lambda: None)

    def refuse(_: MaintenanceState) -> tuple[MaintenanceState, Journal]:
        raise InvalidValueError("x", "y")

    with pytest.raises(InvalidValueError):
        committer.commit(refuse)

    assert committer.commit(lambda _: None) == MaintenanceState()
    assert store.revision() == 0


def test_store_that_always_changes_is_given_up(clock: FakeClock) -> None:
    """A command ends within a bounded time, whatever the others do."""
    store = open_store("memory://")
    committer = Committer(store=store, clock=clock, board=lambda: None)
    asked: list[int] = []

    def overtaken(state: MaintenanceState) -> tuple[MaintenanceState, Journal]:
        asked.append(state.revision)
        successor = MaintenanceState(state.revision + 1)
        store.commit(successor, expected_revision=state.revision, audit=[])
        return successor, Journal(state, at=clock.now(), actor="a", source="api")

    with pytest.raises(StoreUnreachableError, match="too fast"):
        committer.commit(overtaken)

    assert asked == list(range(len(asked)))


class _FailingStore:
    """A real store whose commits fail after they happened, as when the answer is lost."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, state: MaintenanceState, **arguments: Any) -> None:
        self._store.commit(state, **arguments)
        raise StoreUnreachableError("the answer was lost")


def test_lost_answer_is_an_error_and_the_board_waits_for_the_agents(sqlite_url: str, make_service: MakeService) -> None:
    """Nothing may be shown as done that the operator was told has failed, until a worker reads it from the store."""
    failing: Any = _FailingStore(open_store(sqlite_url))
    service = make_service(store=failing)

    with pytest.raises(StoreUnreachableError):
        service.enable(reason="r", actor="a")

    assert service.store.board_path is not None
    assert Board(service.store.board_path).read() is None
    assert service.get_maintenance_status().is_active
