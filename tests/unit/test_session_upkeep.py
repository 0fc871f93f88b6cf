"""``on_session_invalidate``: once in the cluster, in the background, again when it failed, by the next leader too."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from quiesce import EnhancedMaintenanceModeService, SessionInvalidation, Store, hookimpl, open_store
from quiesce.control.committing import Committer
from quiesce.control.session_upkeep import DONE, SessionUpkeep
from quiesce.plugins import PluginManager
from quiesce.testing import FakeClock, eventually
from quiesce.testing.clock import NOON

Step = Callable[[], None]


class Recorder:
    """Keeps what it is told, and fails as often as it is asked to."""

    def __init__(self, failures: int = 0) -> None:
        self.calls: list[SessionInvalidation] = []
        self.failures = failures

    @hookimpl
    def on_session_invalidate(self, invalidation: SessionInvalidation) -> None:
        self.calls.append(invalidation)
        if len(self.calls) <= self.failures:
            raise RuntimeError("no disk")


class Hanging:
    def __init__(self) -> None:
        self.release = threading.Event()
        self.began = threading.Event()

    @hookimpl
    def on_session_invalidate(self) -> None:
        self.began.set()
        self.release.wait(30)


@pytest.fixture
def store() -> Iterator[Store]:
    store = open_store("memory://")
    yield store
    store.close()


@pytest.fixture
def service(store: Store, clock: FakeClock) -> EnhancedMaintenanceModeService:
    """Somewhere else an operator ends sessions; no worker of its own."""
    return EnhancedMaintenanceModeService({"MAINTENANCE_STORE_URL": "memory://"}, store=store, clock=clock)


def leader(store: Store, clock: FakeClock, **plugins: object) -> SessionUpkeep:
    manager = PluginManager()
    for name, plugin in plugins.items():
        manager.register(plugin, name)
    commit = Committer(store=store, clock=clock, board=lambda: None).commit
    interval = timedelta(minutes=5)
    return SessionUpkeep(plugins=manager, commit=commit, items=store.items, clock=clock, interval=interval)


def step(upkeep: SessionUpkeep, store: Store) -> None:
    upkeep.step(store.load(), actor="worker:w")


def audited(store: Store) -> list[str]:
    return [record.detail for record in store.audit() if record.action == "hook.on_session_invalidate"]


def mark(store: Store, plugin: str) -> bytes | None:
    return store.items.get(DONE, [plugin]).get(plugin)


def test_plugins_are_told_once_of_what_was_ended(
    store: Store, clock: FakeClock, service: EnhancedMaintenanceModeService
) -> None:
    """By a window or by a command; the audit trail has what became of it."""
    recorder = Recorder()
    upkeep = leader(store, clock, recorder=recorder)
    step(upkeep, store)
    window = service.enable(reason="r", actor="ann")
    service.sessions.invalidate(user_id="bob", actor="ann")

    step(upkeep, store)
    eventually(lambda: mark(store, "recorder") == b"2")
    for _ in range(3):
        step(upkeep, store)

    assert recorder.calls == [
        SessionInvalidation(generation=1, at=NOON, window_id=window.id),
        SessionInvalidation(generation=2, at=NOON, user_id="bob"),
    ]
    first, second = audited(store)
    assert first.startswith("recorder: ok in ")
    assert second.endswith("user bob's below 2")


def test_the_next_leader_goes_on_and_repeats_nothing(
    store: Store, clock: FakeClock, service: EnhancedMaintenanceModeService
) -> None:
    """A million deletions are not begun anew because a worker was restarted."""
    recorder = Recorder()
    service.sessions.invalidate(actor="ann")
    step(leader(store, clock, recorder=recorder), store)
    eventually(lambda: mark(store, "recorder") == b"1")
    service.sessions.end_user("bob", actor="ann")

    successor = leader(store, clock, recorder=recorder)
    step(successor, store)
    eventually(lambda: mark(store, "recorder") == b"2")

    assert [(call.generation, call.user_id) for call in recorder.calls] == [(1, None), (2, "bob")]


def test_only_the_last_of_several_revocations_is_told(
    store: Store, clock: FakeClock, service: EnhancedMaintenanceModeService
) -> None:
    """It contains the others."""
    recorder = Recorder()
    for user in (None, "bob", None):
        service.sessions.invalidate(user_id=user, actor="ann")

    step(leader(store, clock, recorder=recorder), store)
    eventually(lambda: mark(store, "recorder") == b"3")

    assert [(call.generation, call.user_id) for call in recorder.calls] == [(3, None)]


def test_a_failing_plugin_is_called_again_later_and_later(
    store: Store, clock: FakeClock, service: EnhancedMaintenanceModeService
) -> None:
    """A Redis that is down for an hour is no reason to give up, nor to hammer it."""
    failing, other = Recorder(failures=2), Recorder()
    upkeep = leader(store, clock, failing=failing, other=other)
    service.sessions.invalidate(actor="ann")

    step(upkeep, store)
    eventually(lambda: len(audited(store)) == 2 and mark(store, "other") == b"1")
    eventually(lambda: not any(t.name == "quiesce-sessions-failing" for t in threading.enumerate()))
    step(upkeep, store)
    assert len(failing.calls) == 1
    assert mark(store, "failing") is None

    clock.advance(10)
    step(upkeep, store)
    eventually(lambda: len(audited(store)) == 3)
    eventually(lambda: not any(t.name == "quiesce-sessions-failing" for t in threading.enumerate()))
    clock.advance(10)
    step(upkeep, store)
    assert len(failing.calls) == 2

    clock.advance(10)
    step(upkeep, store)
    eventually(lambda: mark(store, "failing") == b"1")
    assert [len(plugin.calls) for plugin in (failing, other)] == [3, 1]
    assert any("no disk" in detail for detail in audited(store))


def test_a_plugin_that_takes_long_holds_up_nobody(
    store: Store, clock: FakeClock, service: EnhancedMaintenanceModeService
) -> None:
    """It may take an hour; it runs once meanwhile, and the others hear of the next revocation."""
    hanging, recorder = Hanging(), Recorder()
    upkeep = leader(store, clock, hanging=hanging, recorder=recorder)
    service.sessions.invalidate(actor="ann")
    step(upkeep, store)
    eventually(lambda: hanging.began.is_set() and mark(store, "recorder") == b"1")

    service.sessions.invalidate(actor="ann")
    step(upkeep, store)
    eventually(lambda: mark(store, "recorder") == b"2")
    assert sum(thread.name == "quiesce-sessions-hanging" for thread in threading.enumerate()) == 1

    hanging.release.set()
    eventually(lambda: mark(store, "hanging") == b"1")


def test_a_mark_never_goes_back(store: Store, clock: FakeClock, service: EnhancedMaintenanceModeService) -> None:
    """A former leader that wakes up late must not have a newer one's work done again."""
    upkeep = leader(store, clock, recorder=Recorder())
    store.items.put(DONE, {"recorder": b"7"})

    upkeep._mark("recorder", 3)

    assert mark(store, "recorder") == b"7"


def test_a_leading_worker_does_it_by_itself(sqlite_url: str) -> None:
    """End to end, with the agent's thread and a real store."""
    recorder, plugins = Recorder(), PluginManager()
    plugins.register(recorder, "recorder")
    service = EnhancedMaintenanceModeService({"MAINTENANCE_STORE_URL": sqlite_url}, plugins=plugins)
    try:
        service.start()
        window = service.enable(reason="r", actor="ann")

        eventually(lambda: bool(recorder.calls) and mark(service.store, "recorder") == b"1")
    finally:
        service.close()

    assert [call.window_id for call in recorder.calls] == [window.id]
