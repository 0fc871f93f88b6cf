"""Hooks and clean-up: once for each window, isolated from each other, and marked."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from quiesce.control.committing import Committer
from quiesce.control.hooks import due_hook
from quiesce.control.lifecycle import Lifecycle, forgettable
from quiesce.model import (
    Acknowledgement,
    BypassPass,
    CountKey,
    EventKind,
    MaintenanceState,
    MaintenanceWindow,
    Mode,
    Outcome,
)
from quiesce.plugins import PluginManager, hookimpl
from quiesce.stores import Store, open_store
from quiesce.stores.memory import MemoryStore
from quiesce.testing import FakeClock, eventually
from quiesce.testing.clock import NOON
from quiesce.testing.store_samples import a_worker

KEEP = timedelta(minutes=5)


class Recorder:
    """A plugin that keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, int]] = []

    @hookimpl
    def on_activate(self, window: MaintenanceWindow, state: MaintenanceState) -> None:
        self.calls.append(("on_activate", window.id, state.revision))

    @hookimpl
    def on_deactivate(self, window: MaintenanceWindow, state: MaintenanceState) -> None:
        self.calls.append(("on_deactivate", window.id, state.revision))

    @property
    def hooks(self) -> list[tuple[str, str]]:
        return [(hook, window_id) for hook, window_id, _ in self.calls]


class Raising:
    @hookimpl
    def on_activate(self) -> None:
        raise RuntimeError("line one\nline two")


class Hanging:
    def __init__(self) -> None:
        self.release = threading.Event()

    @hookimpl
    def on_activate(self) -> None:
        self.release.wait(30)


@pytest.fixture
def store() -> Iterator[Store]:
    store = open_store("memory://")
    yield store
    store.close()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def plugins(recorder: Recorder) -> PluginManager:
    plugins = PluginManager()
    plugins.register(recorder, "recorder")
    return plugins


@pytest.fixture
def lifecycle(store: Store, plugins: PluginManager, clock: FakeClock) -> Lifecycle:
    return make_lifecycle(store, plugins, clock)


def make_lifecycle(store: Store, plugins: PluginManager, clock: FakeClock, *, timeout: float = 5) -> Lifecycle:
    committer = Committer(store=store, clock=clock, board=lambda: None)
    return Lifecycle(
        plugins=plugins,
        commit=committer.commit,
        clock=clock,
        hook_timeout=timedelta(seconds=timeout),
        keep_ended=KEEP,
        counts=store.counts,
    )


def a_window(window_id: str = "w", **changes: Any) -> MaintenanceWindow:
    window = MaintenanceWindow(
        id=window_id,
        mode=Mode.NORMAL,
        reason="upgrade",
        owner="anna",
        starts_at=NOON,
        raised=frozenset({EventKind.STARTED}),
    )
    return replace(window, **changes)


def commit(store: Store, *windows: MaintenanceWindow) -> MaintenanceState:
    revision = store.revision()
    state = MaintenanceState(revision + 1, windows)
    store.commit(state, expected_revision=revision, audit=[])
    return state


def run(lifecycle: Lifecycle, state: MaintenanceState) -> None:
    """One heartbeat of the leader, until what it started is done."""
    lifecycle.step(state, actor="worker:1")
    thread = lifecycle._thread  # there is no other way to know that nothing more will happen
    if thread is not None:
        thread.join(20)
        assert not thread.is_alive()


def test_each_hook_runs_once_and_is_marked(
    lifecycle: Lifecycle, store: Store, recorder: Recorder, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Plugins hear of the start and of the end, with the guide's log lines, and the trail says so."""
    caplog.set_level(logging.INFO, "quiesce")
    commit(store, a_window(ends_at=NOON + timedelta(minutes=45)))
    for _ in range(3):
        run(lifecycle, store.load())
    clock.advance(45 * 60)
    for _ in range(3):
        run(lifecycle, store.load())

    assert recorder.hooks == [("on_activate", "w"), ("on_deactivate", "w")]
    assert store.load().windows[0].hooks_run == {"on_activate", "on_deactivate"}
    records = store.audit()
    assert [(r.action, r.actor, r.source, r.window_id, r.revision) for r in records] == [
        ("hook.on_activate", "worker:1", "agent", "w", 2),
        ("window.ended", "worker:1", "agent", "w", 3),
        ("hook.on_deactivate", "worker:1", "agent", "w", 4),
    ]
    assert records[0].detail.startswith("recorder: ok in ")
    assert [record.getMessage() for record in caplog.records] == [
        '[MAINTENANCE] Maintenance mode activated: reason="upgrade"',
        '[MAINTENANCE] Maintenance mode deactivated: duration="45 minutes"',
    ]


def test_leader_that_knows_an_older_state_repeats_nothing(
    lifecycle: Lifecycle, store: Store, recorder: Recorder
) -> None:
    """A heartbeat may look at the state from just before the marks were made."""
    before = commit(store, a_window())
    run(lifecycle, before)

    run(lifecycle, before)

    assert recorder.hooks == [("on_activate", "w")]


def test_next_leader_runs_what_is_left(
    store: Store, plugins: PluginManager, recorder: Recorder, clock: FakeClock
) -> None:
    """The one before died after the first hook."""
    commit(store, a_window("done", hooks_run=frozenset({"on_activate"})), a_window("left", mode=Mode.TEST))

    run(make_lifecycle(store, plugins, clock), store.load())

    assert recorder.hooks == [("on_activate", "left")]


def test_mark_that_cannot_be_written_lets_the_next_one_try(
    store: Store, plugins: PluginManager, recorder: Recorder, clock: FakeClock
) -> None:
    """Rather twice than never."""
    state = commit(store, a_window())
    broken = MemoryStore()
    commit(broken, a_window())
    lifecycle = make_lifecycle(broken, plugins, clock)
    original = recorder.calls

    class Closing:
        @hookimpl
        def on_activate(self) -> None:
            broken.close()

    plugins.register(Closing(), "closing")
    run(lifecycle, state)
    run(make_lifecycle(store, plugins, clock), state)

    assert [hook for hook, _, _ in original] == ["on_activate", "on_activate"]
    assert store.load().windows[0].hooks_run == {"on_activate"}


def test_failing_and_hanging_plugins_are_isolated_and_recorded(
    store: Store, plugins: PluginManager, recorder: Recorder, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """One notifier's trouble is not another's, and the trail tells which it was."""
    hanging = Hanging()
    plugins.register(Raising(), "a-raising")
    plugins.register(hanging, "b-hanging")
    lifecycle = make_lifecycle(store, plugins, clock, timeout=0.2)
    commit(store, a_window())

    try:
        run(lifecycle, store.load())
    finally:
        hanging.release.set()

    assert recorder.hooks == [("on_activate", "w")]
    assert store.load().windows[0].hooks_run == {"on_activate"}
    (record,) = store.audit()
    for fact in ("a-raising: RuntimeError", "b-hanging: timed out", "recorder: ok"):
        assert fact in record.detail
    assert "\n" not in record.detail
    failures = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert len(failures) == 2
    assert "a-raising" in failures[0]


def test_step_returns_at_once_and_starts_nothing_beside_what_runs(
    store: Store, clock: FakeClock, recorder: Recorder
) -> None:
    """The agent's heartbeat never waits for a plugin, and a slow plugin is not called again meanwhile."""
    hanging = Hanging()
    plugins = PluginManager()
    plugins.register(hanging, "hanging")
    plugins.register(recorder, "recorder")
    lifecycle = make_lifecycle(store, plugins, clock, timeout=20)
    state = commit(store, a_window())

    for _ in range(5):
        lifecycle.step(state, actor="worker:1")
    eventually(lambda: bool(recorder.calls))
    assert recorder.hooks == [("on_activate", "w")]
    hanging.release.set()
    run(lifecycle, state)

    assert recorder.hooks == [("on_activate", "w")]


def test_window_that_ended_with_nobody_there_has_no_hooks(
    lifecycle: Lifecycle, store: Store, recorder: Recorder, clock: FakeClock
) -> None:
    """Users who never heard of the start must not be told of the end."""
    commit(store, a_window(ended_at=NOON), a_window("later", starts_at=NOON + timedelta(hours=1)))

    run(lifecycle, store.load())

    assert recorder.calls == []
    assert [record.action for record in store.audit()] == ["window.ended"]


def test_hooks_are_told_the_state_of_their_time(lifecycle: Lifecycle, store: Store, recorder: Recorder) -> None:
    """The second of two windows sees the mark of the first."""
    commit(store, a_window("n"), a_window("e", mode=Mode.EMERGENCY))

    run(lifecycle, store.load())

    assert recorder.calls == [("on_activate", "n", 1), ("on_activate", "e", 2)]


def test_what_is_over_is_forgotten_after_a_while(lifecycle: Lifecycle, store: Store, clock: FakeClock) -> None:
    """The state stays small; the trail stays whole."""
    told = frozenset({"on_activate"})
    commit(
        store,
        a_window("seen", ended_at=NOON, hooks_run=told | {"on_deactivate"}),
        a_window("unseen", ended_at=NOON),
        a_window("due", ended_at=NOON, hooks_run=told),
        a_window("open", hooks_run=told),
    )
    clock.advance(KEEP.total_seconds() - 1)
    run(lifecycle, store.load())
    assert len(store.load().windows) == 4

    clock.advance(1)
    run(lifecycle, store.load())

    assert [window.id for window in store.load().windows] == ["open"]
    assert {r.window_id for r in store.audit() if r.action == "window.forgotten"} == {"seen", "unseen", "due"}
    assert [r.window_id for r in store.audit() if r.action == "hook.on_deactivate"] == ["due"]


def test_whom_a_window_let_through_stands_in_the_trail(lifecycle: Lifecycle, store: Store, clock: FakeClock) -> None:
    """An auditor asks who was let through; one record a window says it, never one a request."""
    commit(store, a_window(ended_at=NOON))
    store.register(a_worker("w1"))
    counts = {
        CountKey("w", "payments", Outcome.BYPASSED): 3,
        CountKey("w", "uploads", Outcome.REFUSED): 2,
        CountKey("other", "uploads", Outcome.BYPASSED): 9,
    }
    store.report("w1", Acknowledgement(1), counts=counts, batch=1)
    clock.advance(KEEP.total_seconds())

    run(lifecycle, store.load())

    (record,) = (record for record in store.audit() if record.action == "window.forgotten")
    assert record.detail == "3 let through as administrators, 2 refused"


def test_window_that_was_forgotten_meanwhile_is_no_error(lifecycle: Lifecycle, store: Store) -> None:
    """Another operator may clear it while its hook runs."""
    stale = commit(store, a_window())
    commit(store)

    run(lifecycle, stale)

    assert store.load() == MaintenanceState(2)


@pytest.mark.parametrize(
    ("changes", "hook"),
    [
        ({}, "on_activate"),
        ({"hooks_run": frozenset({"on_activate"})}, None),
        ({"starts_at": NOON + timedelta.resolution}, None),
        ({"ended_at": NOON}, None),
        ({"ended_at": NOON, "hooks_run": frozenset({"on_activate"})}, "on_deactivate"),
        ({"ends_at": NOON, "hooks_run": frozenset({"on_activate"})}, "on_deactivate"),
        ({"ends_at": NOON, "hooks_run": frozenset({"on_activate", "on_deactivate"})}, None),
    ],
)
def test_due_hook(changes: dict[str, Any], hook: str | None) -> None:
    """Judged by the clock and the marks, nothing else."""
    window = a_window(**changes)

    found = due_hook(MaintenanceState(1, (window,)), NOON)

    assert found == (None if hook is None else (window, hook))


def test_plugins_of_a_worker_hear_of_a_window(
    make_service: Callable[..., Any], plugins: PluginManager, recorder: Recorder, clock: FakeClock
) -> None:
    """Service, agent, leadership and hooks together."""
    service = make_service(plugins=plugins)
    service.start()
    window = service.enable(reason="r", actor="a")

    def told(hook: str) -> Callable[[], bool]:
        def check() -> bool:
            clock.advance(0.2)
            return (hook, window.id) in recorder.hooks

        return check

    eventually(told("on_activate"))
    service.disable(actor="a")
    eventually(told("on_deactivate"))

    assert recorder.hooks == [("on_activate", window.id), ("on_deactivate", window.id)]


def test_what_has_not_been_told_to_be_over_is_not_forgotten(store: Store, clock: FakeClock) -> None:
    """All workers were away when it ended; the first one back must still say so."""
    window = a_window(ended_at=NOON, hooks_run=frozenset({"on_activate", "on_deactivate"}))
    clock.advance(2 * KEEP.total_seconds())

    untold = forgettable(MaintenanceState(1, (window,)), clock.now(), keep_ended=KEEP)
    told = replace(window, raised=frozenset({EventKind.STARTED, EventKind.ENDED}))

    assert untold == []
    assert forgettable(MaintenanceState(1, (told,)), clock.now(), keep_ended=KEEP) == ["w"]


def test_passes_are_forgotten_together_some_time_after_they_expired(
    lifecycle: Lifecycle, store: Store, clock: FakeClock
) -> None:
    """They ride along to every process with each commit; a commit for each that expires would be worse."""
    passes = tuple(BypassPass(id=f"{n}", name="Ann", expires_at=NOON + timedelta(minutes=n)) for n in range(1, 4))
    longer = BypassPass(id="longer", name="Ann", expires_at=NOON + timedelta(days=1), is_revoked=True)
    store.commit(MaintenanceState(1, passes=(*passes, longer)), expected_revision=0, audit=[])

    clock.advance(KEEP.total_seconds() + 59)
    run(lifecycle, store.load())
    before = store.revision()
    clock.advance(121)
    run(lifecycle, store.load())
    run(lifecycle, store.load())

    assert (before, store.revision()) == (1, 2)
    assert store.load().passes == (longer,)
    assert store.audit() == ()
