"""The session manager: who was active, who may log in, and whether it works."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from quiesce import (
    EnhancedMaintenanceModeService,
    InvalidValueError,
    MaintenanceSessionManager,
    NoOpenWindowError,
    OperationType,
    Principal,
    SessionPolicy,
    Settings,
    StoreUnreachableError,
    WindowOpenError,
)
from quiesce.control.session_index import SESSIONS, SessionIndex, session_body
from quiesce.model.sessions import FIRST_EPOCH
from quiesce.stores.memory import MemoryStore
from quiesce.testing import FakeClock, eventually
from quiesce.testing.clock import NOON

BOB, EVE = Principal("bob"), Principal("eve")
ADMIN = Principal("root", is_admin=True)
LATELY = timedelta(minutes=15)


@pytest.fixture
def worker(service: EnhancedMaintenanceModeService) -> EnhancedMaintenanceModeService:
    """A service whose process is registered, without the thread that writes by itself: the clock stands still."""
    service.start()
    return service


def written(service: EnhancedMaintenanceModeService, clock: FakeClock, *, seconds: float = 11) -> None:
    """Let the agent's thread write what was noted."""
    clock.advance(seconds)
    eventually(lambda: not service.sessions._notes._pending)
    clock.advance(1)
    eventually(lambda: service.sessions.stats().is_tracked)


def test_active_sessions_are_counted_and_listed(worker: EnhancedMaintenanceModeService, clock: FakeClock) -> None:
    """The guide's "current user sessions and admin sessions"."""
    for principal, key in ((BOB, "b1"), (BOB, "b2"), (EVE, "e1"), (ADMIN, "r1"), (BOB, "b1")):
        worker.sessions.note_activity(principal, key)
    written(worker, clock)

    stats = worker.sessions.stats()
    listed = worker.sessions.list()

    assert (stats.users, stats.admins, stats.is_estimate, stats.within) == (3, 1, False, LATELY)
    assert sorted((each.user_id, each.is_admin) for each in listed) == [
        ("bob", False),
        ("bob", False),
        ("eve", False),
        ("root", True),
    ]
    assert not any(each.is_over for each in listed)
    assert [each.idle for each in listed] == sorted(each.idle for each in listed)


def test_no_id_of_a_session_gets_into_the_store(worker: EnhancedMaintenanceModeService, clock: FakeClock) -> None:
    """Who reads the store must not be able to take over a session; nor may a hostile id break it."""
    keys = ("a-very-secret-cookie", "x" * 5000, "\udcff\x00", "")
    for key in keys:
        worker.sessions.note_activity(BOB, key)
    written(worker, clock)

    stored = [(item.key, item.body) for item in worker.store.items.newest("sessions.users")]
    assert len(stored) == len(keys)
    whole = repr(stored)
    assert "secret" not in whole
    assert "xxxx" not in whole
    assert all(len(name) == 32 and len(body) < 100 for name, body in stored)


def test_sessions_that_were_ended_do_not_count(worker: EnhancedMaintenanceModeService, clock: FakeClock) -> None:
    """After a revocation an operator watches the number fall; admins stay."""
    for principal, key in ((BOB, "b"), (EVE, "e"), (ADMIN, "r")):
        worker.sessions.note_activity(principal, key)
    written(worker, clock)

    worker.sessions.end_user("bob", actor="ann")
    one_ended, marked = worker.sessions.stats(), {each.user_id: each.is_over for each in worker.sessions.list()}
    worker.sessions.invalidate(actor="ann")
    all_ended = worker.sessions.stats()

    assert (one_ended.users, one_ended.admins) == (1, 1)
    assert marked == {"bob": True, "eve": False, "root": False}
    assert (all_ended.users, all_ended.admins) == (0, 1)


def test_what_was_noted_before_the_end_does_not_come_after_it(worker: EnhancedMaintenanceModeService) -> None:
    """The second between a request and the write must not count a session that is over."""
    worker.stop()  # so that nothing is written but by this test
    for principal, key in ((BOB, "b"), (ADMIN, "r")):
        worker.sessions.note_activity(principal, key)
    worker.sessions.invalidate(actor="ann")

    worker.sessions._notes.flush()

    assert [session.user_id for session in worker.sessions.list()] == ["root"]


def test_clean_up_takes_out_what_is_over(worker: EnhancedMaintenanceModeService, clock: FakeClock) -> None:
    """The guide's session clean-up; what counts stays."""
    for principal, key in ((BOB, "b"), (EVE, "e"), (ADMIN, "r")):
        worker.sessions.note_activity(principal, key)
    written(worker, clock)
    epoch = worker.sessions.end_user("bob", actor="ann")

    gone = SessionIndex(worker.store.items).clean(epoch)

    assert gone == 1
    assert {each.user_id for each in worker.sessions.list()} == {"eve", "root"}


def test_the_leader_cleans_up_by_itself(worker: EnhancedMaintenanceModeService, clock: FakeClock) -> None:
    """Every MAINTENANCE_CLEANUP_INTERVAL, in one process of the cluster."""
    worker.sessions.note_activity(BOB, "b")
    written(worker, clock)
    worker.sessions.end_user("bob", actor="ann")

    clock.advance(worker.settings.cleanup_interval.total_seconds() + 1)

    eventually(lambda: worker.sessions.list() == ())


def test_an_admin_who_was_demoted_is_counted_once(worker: EnhancedMaintenanceModeService, clock: FakeClock) -> None:
    """By what they are now."""
    worker.sessions.note_activity(Principal("bob", is_admin=True), "b")
    written(worker, clock)
    worker.sessions.note_activity(BOB, "b")
    written(worker, clock)

    stats = worker.sessions.stats()

    assert (stats.users, stats.admins) == (1, 0)


@pytest.mark.parametrize(("principal", "counted"), [(BOB, (1, 0)), (ADMIN, (0, 1))])
def test_a_session_that_nobody_was_asked_about_is_whose_it_was(
    worker: EnhancedMaintenanceModeService, clock: FakeClock, principal: Principal, counted: tuple[int, int]
) -> None:
    """On an open gate nobody is asked, and whoever logged in an hour ago is active all the same."""
    worker.sessions.note_activity(principal, "b")
    written(worker, clock)
    clock.advance(3600)
    worker.sessions.note_activity(None, "b")
    written(worker, clock)

    stats = worker.sessions.stats()

    assert (stats.users, stats.admins) == counted
    assert not stats.is_estimate
    assert [session.user_id for session in worker.sessions.list()] == [principal.user_id]


@pytest.mark.parametrize("key", ["never noted", ""])
def test_a_session_of_nobody_known_is_not_counted_and_not_kept_quiet(
    worker: EnhancedMaintenanceModeService, clock: FakeClock, key: str
) -> None:
    """Taken for a user's it could be a visitor's or an admin's; left out in silence there would be too few."""
    worker.sessions.note_activity(BOB, "b")
    worker.sessions.note_activity(None, key)
    written(worker, clock)

    def says_so() -> bool:
        clock.advance(1.5)
        return worker.sessions.stats().is_estimate

    eventually(says_so)
    assert worker.sessions.stats().users == 1
    assert len(worker.sessions.list()) == 1


def test_a_session_that_another_process_is_about_to_tell_of_is_waited_for(
    worker: EnhancedMaintenanceModeService,
) -> None:
    """Whoever logs in is sent on at once, mostly to another process."""
    worker.stop()  # so that nothing is written but by this test
    notes = worker.sessions._notes
    notes.note("b", user_id=None, is_admin=False, generation=0)
    notes.flush()
    (key,) = notes._sought
    worker.store.items.put(SESSIONS[False].name, {key: session_body("bob", 0)})

    notes.flush()

    assert (notes._sought, notes._has_unnamed) == ({}, False)
    assert worker.sessions.list()[0].user_id == "bob"


def test_nothing_tracked_is_unknown_and_not_zero(service: EnhancedMaintenanceModeService) -> None:
    """Zero would tell an operator that nobody is logged in."""
    stats = service.sessions.stats()

    assert (stats.users, stats.admins, stats.is_tracked, stats.is_estimate) == (None, None, False, True)


def test_a_full_index_says_that_it_is_an_estimate(
    worker: EnhancedMaintenanceModeService, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be more than it holds."""
    worker.sessions.note_activity(BOB, "b")
    written(worker, clock)
    assert not worker.sessions.stats().is_estimate

    full = {f"{number:032x}": session_body("x", 0) for number in range(1000)}
    for start in range(10):
        items: Mapping[str, bytes | None] = {f"{start}{key}": body for key, body in full.items()}
        worker.store.items.put(SESSIONS[True].name, items, keep=SESSIONS[True].keep)

    assert worker.sessions.stats().is_estimate


def test_memory_is_bounded_whatever_the_traffic(worker: EnhancedMaintenanceModeService, clock: FakeClock) -> None:
    """And the numbers say that some were not noted."""
    worker.sessions.note_activity(BOB, "b")
    written(worker, clock)
    notes = worker.sessions._notes
    for number in range(30_000):
        notes.note(f"s{number}", user_id="bob", is_admin=False, generation=0)
    assert len(notes._pending) <= 5_000
    assert len(notes.remembered) <= 20_000

    clock.advance(30)

    eventually(lambda: worker.sessions.stats().is_estimate)


def test_a_store_that_fails_costs_notes_and_nothing_else(
    make_service: Any, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The agent's thread must live, and the sessions come back when the store does."""

    class Failing:
        def __init__(self, items: Any) -> None:
            self.items = items
            self.error: Exception | None = StoreUnreachableError("cut off by the test")

        def put(self, *arguments: Any, **named: Any) -> bool:
            if self.error is not None:
                raise self.error
            return bool(self.items.put(*arguments, **named))

    store = MemoryStore()
    service = make_service(store=store)
    service.start()
    notes = service.sessions._notes
    failing = notes._items = Failing(store.items)
    service.sessions.note_activity(BOB, "b")
    clock.advance(11)
    eventually(lambda: "could not be noted" in caplog.text)
    failing.error = RuntimeError("a plugin's own")
    service.sessions.note_activity(BOB, "b")
    clock.advance(2)
    eventually(lambda: not notes._pending)
    failing.error = None
    service.sessions.note_activity(BOB, "b")

    written(service, clock)

    assert service.sessions.stats().users == 1
    assert caplog.text.count("could not be noted") == 1


def test_logins_are_prevented_and_restored(service: EnhancedMaintenanceModeService) -> None:
    """One concept: a window that covers logging in and nothing else."""
    service.start()
    window = service.sessions.prevent_logins(reason="Attack on passwords", actor="ann")

    assert window.operations == frozenset({OperationType.AUTHENTICATION.name})
    assert window.session_policy is SessionPolicy.KEEP
    assert service.sessions.refuse_login(BOB, path="/login") is not None
    assert service.sessions.refuse_login(ADMIN, path="/login") is None
    assert service.explain("POST", "/orders").is_allowed
    with pytest.raises(WindowOpenError, match=window.id):
        service.sessions.prevent_logins(reason="again", actor="eve")
    assert [ended.id for ended in service.sessions.restore_logins(actor="ann")] == [window.id]
    assert service.sessions.refuse_login(BOB, path="/login") is None
    assert {record.action for record in service.store.audit()} >= {"window.enabled", "window.ended"}


def test_restoring_logins_ends_no_other_window(service: EnhancedMaintenanceModeService) -> None:
    """A migration must not be opened to users by somebody who means passwords."""
    other = service.enable(reason="Database upgrade", sessions="keep", actor="ann")
    service.sessions.prevent_logins(reason="r", actor="ann")

    service.sessions.restore_logins(actor="ann")

    assert [window.id for window in service.get_maintenance_status().windows] == [other.id]
    with pytest.raises(NoOpenWindowError, match=f"window {other.id} refuses them"):
        service.sessions.restore_logins(actor="ann")


@pytest.mark.parametrize(
    ("ask", "field"),
    [
        (lambda manager: manager.list(limit=0), "limit"),
        (lambda manager: manager.list(limit=1001), "limit"),
        (lambda manager: manager.list(skip=-1), "skip"),
        (lambda manager: manager.list(skip=10_000), "skip"),
        (lambda manager: manager.stats(within=-1), "within"),
        (lambda manager: manager.end_user("", actor="ann"), "user"),
        (lambda manager: manager.end_user("a\nb", actor="ann"), "user"),
        (lambda manager: manager.prevent_logins(reason="", actor="ann"), "reason"),
        (lambda manager: manager.prevent_logins(reason="r", timeout=-1, actor="ann"), "timeout"),
    ],
)
def test_what_cannot_be_is_named_and_changes_nothing(
    service: EnhancedMaintenanceModeService, ask: Callable[[MaintenanceSessionManager], object], field: str
) -> None:
    """Bad input is a clear error."""
    with pytest.raises(InvalidValueError) as caught:
        ask(service.sessions)

    assert caught.value.field == field
    assert service.store.revision() == 0


def test_health_is_one_line_for_an_operator(service: EnhancedMaintenanceModeService) -> None:
    """The guide prints it."""
    before = service.sessions.health_check()
    service.sessions.invalidate(actor="ann")
    health = service.sessions.health_check()

    assert (before.is_ok, before.generation, before.valid_after, before.indexed) == (True, 0, None, 0)
    assert (health.generation, health.valid_after) == (1, NOON)
    assert str(health) == (
        "ok: store memory:// answers; generation 1, everyone's sessions last ended: 2031-05-04T12:00:00Z;"
        " 0 in the index, no worker tracks activity"
    )


def test_a_manager_is_made_from_a_configuration(sqlite_url: str) -> None:
    """The guide's diagnostic snippet, with a configuration object as it has one."""

    class Config:
        MAINTENANCE_STORE_URL = sqlite_url

    manager = MaintenanceSessionManager(Config())
    try:
        assert str(manager.health_check()).startswith("ok: store sqlite:")
        assert manager._runtime.agent is None
    finally:
        manager.close()


def test_health_of_a_store_that_cannot_be_reached_is_said() -> None:
    """Whoever runs the diagnosis has no use for a traceback."""
    manager = MaintenanceSessionManager(Settings(store_url="redis://127.0.0.1:1/0"))
    try:
        health = manager.health_check()
    finally:
        manager.close()

    assert not health.is_ok
    assert str(health).startswith("NOT ok: store redis://127.0.0.1:1/0: ")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.INFO, "quiesce")
    return lambda: [r.getMessage() for r in caplog.records if "Session invalidated" in r.getMessage()]


def test_ended_sessions_are_logged_in_the_guides_words(
    worker: EnhancedMaintenanceModeService, clock: FakeClock, lines: Callable[[], list[str]]
) -> None:
    """Operators' alerts match this text; who ended them is told apart."""
    worker.enable(reason="r", actor="ann")
    worker.sessions.log_invalidated(Principal('user456"\n'))
    worker.sessions.end_user("eve", actor="ann")
    worker.sessions.log_invalidated(EVE)
    clock.advance(2)

    eventually(lambda: len(lines()) == 2)

    assert lines() == [
        '[MAINTENANCE] Session invalidated: user="user456\\"\\n" reason="maintenance_activation"',
        '[MAINTENANCE] Session invalidated: user="eve" reason="ended_by_operator"',
    ]


def test_a_command_that_ends_all_sessions_is_no_maintenance(
    worker: EnhancedMaintenanceModeService, clock: FakeClock, lines: Callable[[], list[str]]
) -> None:
    """The log must not speak of a window that nobody opened."""
    worker.sessions.invalidate(actor="ann")
    worker.sessions.log_invalidated(BOB)
    clock.advance(2)

    eventually(lambda: len(lines()) == 1)

    assert 'reason="ended_by_operator"' in lines()[0]


def test_many_lines_are_summed_up(
    worker: EnhancedMaintenanceModeService, clock: FakeClock, lines: Callable[[], list[str]]
) -> None:
    """A million sessions end at once, and the log must stay readable."""
    clock.advance(2)
    for number in range(350):
        worker.sessions.log_invalidated(Principal(f"user{number}"))
    clock.advance(2)

    eventually(lambda: lines() and "more" in lines()[-1])

    listed = [line for line in lines() if "user=" in line]
    (rest,) = [line for line in lines() if "user=" not in line]
    assert len(listed) + int(rest.split(": ")[1].split()[0]) == 350
    assert len(listed) <= 200


def test_an_index_of_another_version_is_read(service: EnhancedMaintenanceModeService) -> None:
    """What cannot be read is nobody's, and no error."""
    service.store.items.put("sessions.users", {"a": b"nonsense", "b": b"[1]", "c": b"\xff"})

    assert [each.user_id for each in SessionIndex(service.store.items).list(FIRST_EPOCH, limit=10, skip=0)] == ["?"] * 3
