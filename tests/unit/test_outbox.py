"""The outbox: every notifier is told everything once and in order, at its own pace, whoever dies or fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from quiesce import (
    Audience,
    ConflictError,
    DeliveryError,
    EventKind,
    MaintenanceEvent,
    Notice,
    Settings,
    Store,
    hookimpl,
)
from quiesce.control.outbox import Outbox
from quiesce.control.outbox_delivery import DeliveryEnd
from quiesce.control.outbox_notes import PLACES, read_dead, read_places, write_attended, write_place
from quiesce.control.outbox_rules import Place, make_test_notice
from quiesce.plugins import PluginManager
from quiesce.stores.memory import MemoryStore
from quiesce.testing import FakeClock, eventually
from quiesce.testing.clock import NOON

from .conftest import MakeService


class Recorder:
    """Keeps what it delivers; raises what it is given first, an item for each call; refuses one event for ever."""

    def __init__(self, *errors: BaseException | None) -> None:
        self.notices: list[Notice] = []
        self.tried: list[tuple[str, int]] = []
        self.errors = list(errors)
        self.refused = ""

    @hookimpl
    def notify(self, event: MaintenanceEvent, notice: Notice) -> None:
        assert notice.event is event
        self.tried.append((event.id, notice.attempt))
        if event.id == self.refused:
            raise OSError("down")
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        self.notices.append(notice)

    @property
    def told(self) -> list[str]:
        return [notice.event.id for notice in self.notices]


class Hanging:
    def __init__(self) -> None:
        self.began, self.release = threading.Event(), threading.Event()
        self.error: Exception | None = None

    @hookimpl
    def notify(self) -> None:
        self.began.set()
        self.release.wait(30)
        if self.error is not None:
            raise self.error


@pytest.fixture
def store() -> Iterator[Store]:
    store = MemoryStore()
    yield store
    store.close()


@pytest.fixture
def make_outbox(store: Store, clock: FakeClock) -> Iterator[Callable[..., Outbox]]:
    made: list[Outbox] = []

    def make(*, is_enabled: bool = True, on: Store | None = None, **plugins: object) -> Outbox:
        outbox = Outbox(
            plugins=manager(**plugins),
            store=on or store,
            clock=clock,
            service_name="shop",
            hook_timeout_seconds=20.0,
            settings=lambda: Settings(notifications_enabled=is_enabled),
            claim_seconds=1.0,
        )
        made.append(outbox)
        return outbox

    yield make
    for outbox in made:
        outbox.stop()


def manager(**plugins: object) -> PluginManager:
    plugin_manager = PluginManager()
    for name, plugin in plugins.items():
        plugin_manager.register(plugin, name)
    return plugin_manager


def commit(store: Store, count: int = 1) -> list[str]:
    """Commit one event in each of some revisions; return their ids."""
    ids = []
    for _ in range(count):
        state = store.load()
        revision = state.revision + 1
        event = MaintenanceEvent(kind=EventKind.STARTED, at=NOON, revision=revision, number=0)
        store.commit(replace(state, revision=revision), expected_revision=state.revision, audit=(), events=(event,))
        ids.append(event.id)
    return ids


def settle(outbox: Outbox, store: Store, clock: FakeClock, until: Callable[[], Any]) -> None:
    """Let time pass as heartbeats do, until it is so."""

    def beat() -> Any:
        outbox.step(store.load())
        clock.advance(1)
        return until()

    eventually(beat)


def hang(hanging: Hanging, outbox: Outbox, store: Store) -> None:
    """Let heartbeats come until the notifier is called; one that comes while a look ends begins nothing."""

    def is_called() -> bool:
        outbox.step(store.load())
        return hanging.began.is_set()

    eventually(is_called)


def begin(outbox: Outbox, store: Store, clock: FakeClock, *names: str) -> None:
    """Let the notifiers be seen for the first time."""
    settle(outbox, store, clock, lambda: all(is_free(store, name) for name in names))


def is_free(store: Store, name: str) -> bool:
    found = read_places(store.items).get(name)
    return found is not None and not found[0].claimed_by


def place_of(store: Store, name: str) -> Place:
    return read_places(store.items)[name][0]


def test_each_notifier_is_told_every_event_once_and_in_order(
    store: Store, clock: FakeClock, make_outbox: Callable[..., Outbox]
) -> None:
    """Also more than one page of them, which nobody holds in memory."""
    a, b = Recorder(), Recorder()
    outbox = make_outbox(a=a, b=b)
    begin(outbox, store, clock, "a", "b")

    ids = commit(store, 250)
    settle(outbox, store, clock, lambda: len(a.told) >= 250 and len(b.told) >= 250)

    assert a.told == b.told == ids
    settle(outbox, store, clock, lambda: is_free(store, "a") and place_of(store, "a").cursor == ids[-1])
    assert a.told == ids


def test_new_notifier_begins_with_what_comes(
    store: Store, clock: FakeClock, make_outbox: Callable[..., Outbox]
) -> None:
    """Nobody wants last year's windows in a new channel."""
    commit(store, 3)
    recorder = Recorder()
    outbox = make_outbox(a=recorder)
    begin(outbox, store, clock, "a")

    ids = commit(store)
    settle(outbox, store, clock, lambda: recorder.told)

    assert recorder.told == ids


def test_next_leader_goes_on_where_the_last_one_was(
    store: Store, clock: FakeClock, make_outbox: Callable[..., Outbox]
) -> None:
    """The place is the store's, not the process's."""
    first, second = Recorder(), Recorder()
    outbox = make_outbox(a=first)
    begin(outbox, store, clock, "a")
    before = commit(store, 2)
    settle(outbox, store, clock, lambda: len(first.told) == 2 and is_free(store, "a"))
    outbox.stop()

    after = commit(store, 2)
    successor = make_outbox(a=second)
    settle(successor, store, clock, lambda: len(second.told) == 2)

    assert (first.told, second.told) == (before, after)


def test_failed_notice_is_tried_again_before_any_later_one(
    store: Store, clock: FakeClock, make_outbox: Callable[..., Outbox]
) -> None:
    """Order is kept, the id stays, and each try says which it is."""
    recorder = Recorder(RuntimeError("down"), RuntimeError("down"))
    outbox = make_outbox(a=recorder)
    begin(outbox, store, clock, "a")

    first, second = commit(store, 2)
    settle(outbox, store, clock, lambda: len(recorder.told) == 2)

    assert recorder.tried == [(first, 1), (first, 2), (first, 3), (second, 1)]


def test_failure_is_not_tried_again_before_its_pause(
    store: Store, clock: FakeClock, make_outbox: Callable[..., Outbox]
) -> None:
    """Not by new events either: ten windows do not hammer a receiver that asked for an hour."""
    recorder = Recorder(DeliveryError("busy", retry_after_seconds=3600))
    outbox = make_outbox(a=recorder)
    begin(outbox, store, clock, "a")

    commit(store)
    settle(outbox, store, clock, lambda: recorder.tried and is_free(store, "a"))
    commit(store, 3)
    for _ in range(20):
        outbox.step(store.load())
        clock.advance(10)
        eventually(lambda: is_free(store, "a"))
    assert len(recorder.tried) == 1

    clock.advance(3600)
    settle(outbox, store, clock, lambda: len(recorder.told) == 4)


def test_hanging_notifier_delays_only_itself(
    store: Store, clock: FakeClock, make_outbox: Callable[..., Outbox]
) -> None:
    """People whose channel works are told at once."""
    hanging, recorder = Hanging(), Recorder()
    outbox = make_outbox(a=hanging, b=recorder)
    begin(outbox, store, clock, "a", "b")

    ids = commit(store, 3)
    settle(outbox, store, clock, lambda: len(recorder.told) == 3)

    assert hanging.began.wait(10)
    assert recorder.told == ids
    assert place_of(store, "a").claimed_by
    hanging.release.set()


def test_call_that_hangs_is_not_overtaken_by_its_own_repeat() -> None:
    """It may still deliver; beside another call it would turn the order round."""
    hanging, notice = Hanging(), make_test_notice(service_name="s", revision=1, actor="a", now=NOON)
    plugins = manager(**{f"hanging-{id(hanging)}": hanging})
    (name,) = plugins.implements("notify")

    first = plugins.notify(notice, settings=Settings(), timeout_seconds=0.05, only=name)
    second = plugins.notify(notice, settings=Settings(), timeout_seconds=0.05, only=name)
    hanging.release.set()

    assert "timed out" in (first.error or "")
    assert "was not called" in (second.error or "")
    eventually(lambda: plugins.notify(notice, settings=Settings(), timeout_seconds=5, only=name).ok)


def test_look_that_finds_nothing_writes_nothing(
    store: Store, clock: FakeClock, make_outbox: Callable[..., Outbox]
) -> None:
    """An idle service must not make its store's disk spin for every notifier."""
    outbox = make_outbox(a=Recorder())
    begin(outbox, store, clock, "a")
    commit(store)
    settle(outbox, store, clock, lambda: is_free(store, "a") and place_of(store, "a").cursor == "1-0")
    beat = place_of(store, "a").beat

    for _ in range(30):
        outbox.step(store.load())
        clock.advance(10)
    outbox.stop()

    assert place_of(store, "a").beat == beat


def test_two_leaders_never_send_at_once(store: Store, clock: FakeClock, make_outbox: Callable[..., Outbox]) -> None:
    """A leader that lost its lease and does not know it yet still sends; the next one waits for its claim."""
    hanging, recorder = Hanging(), Recorder()
    old, new = make_outbox(a=hanging), make_outbox(a=recorder)
    begin(old, store, clock, "a")
    ids = commit(store)
    hang(hanging, old, store)

    # Longer than a claim lasts that is not renewed.
    renewed = place_of(store, "a").beat + 5
    settle(new, store, clock, lambda: place_of(store, "a").beat >= renewed)
    assert recorder.told == []

    hanging.release.set()
    settle(new, store, clock, lambda: is_free(store, "a") and place_of(store, "a").cursor == ids[0])
    assert recorder.told == []


def test_failure_after_the_end_is_nobodys_fault(
    store: Store, clock: FakeClock, make_outbox: Callable[..., Outbox], caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that is being stopped cuts its own connections; the next one tries again at once."""
    hanging, recorder = Hanging(), Recorder()
    hanging.error = OSError("closed")
    outbox = make_outbox(a=hanging)
    begin(outbox, store, clock, "a")
    ids = commit(store)
    hang(hanging, outbox, store)
    ending = threading.Thread(target=outbox.stop)
    ending.start()
    eventually(outbox._stopping.is_set)

    hanging.release.set()
    ending.join(30)
    eventually(lambda: is_free(store, "a"))

    assert (place_of(store, "a").failures, caplog.records) == (0, [])
    settle(make_outbox(a=recorder), store, clock, lambda: recorder.told)
    assert recorder.told == ids


def test_claim_of_a_dead_process_lapses(store: Store, clock: FakeClock, make_outbox: Callable[..., Outbox]) -> None:
    """What it was at is sent again, and the receiver is told that it may have it already."""
    recorder = Recorder()
    dead = Place(cursor="", attempts=1, claimed_by="killed", claim_seconds=0.3)
    assert write_place(store.items, "a", dead, expected=None)
    (id_,) = commit(store)

    settle(make_outbox(a=recorder), store, clock, lambda: recorder.tried)

    assert recorder.tried == [(id_, 2)]


def test_permanent_refusal_is_kept_and_the_next_one_is_told(
    store: Store, clock: FakeClock, make_outbox: Callable[..., Outbox]
) -> None:
    """One notice that no receiver takes must not silence a notifier, nor vanish."""
    recorder = Recorder(DeliveryError("too large", is_permanent=True))
    outbox = make_outbox(a=recorder)
    begin(outbox, store, clock, "a")

    first, second = commit(store, 2)
    settle(outbox, store, clock, lambda: recorder.told)

    assert recorder.told == [second]
    assert [(d.notifier, d.event.id, d.attempts, d.problem) for d in read_dead(store.items)] == [
        ("a", first, 1, "too large")
    ]


def test_notice_that_failed_for_a_day_is_given_up(
    store: Store, clock: FakeClock, make_outbox: Callable[..., Outbox]
) -> None:
    """The next one begins its own day."""
    recorder = Recorder()
    outbox = make_outbox(a=recorder)
    begin(outbox, store, clock, "a")
    first, second = commit(store, 2)
    recorder.refused = first
    settle(outbox, store, clock, lambda: recorder.tried and is_free(store, "a"))

    clock.advance(24 * 3600)
    settle(outbox, store, clock, lambda: recorder.told)

    assert recorder.told == [second]
    assert len(recorder.tried) > 2
    assert [(dead.event.id, dead.attempts) for dead in read_dead(store.items)] == [(first, len(recorder.tried) - 1)]


def test_nothing_is_told_while_notifications_are_off_nor_later(
    store: Store, clock: FakeClock, make_outbox: Callable[..., Outbox]
) -> None:
    """Switched on again, nobody is told of a week of old windows."""
    recorder = Recorder()
    outbox = make_outbox(is_enabled=False, a=recorder)
    commit(store, 3)
    begin(outbox, store, clock, "a")
    commit(store, 3)
    settle(outbox, store, clock, lambda: place_of(store, "a").cursor.startswith("6-"))
    outbox.stop()

    on_again = make_outbox(a=recorder)
    begin(on_again, store, clock, "a")
    ids = commit(store)
    settle(on_again, store, clock, lambda: recorder.told)

    assert recorder.told == ids


def test_worker_goes_on_where_nobody_said_where_to_send(
    store: Store, clock: FakeClock, make_outbox: Callable[..., Outbox]
) -> None:
    """A notifier that is installed but not set up is no failure, and keeps no backlog for later."""
    recorder = Recorder(DeliveryError("no address", is_unconfigured=True))
    outbox = make_outbox(a=recorder)
    begin(outbox, store, clock, "a")

    first, second = commit(store, 2)
    settle(outbox, store, clock, lambda: recorder.told)

    assert recorder.tried == [(first, 1), (second, 1)]
    assert read_dead(store.items) == ()


def test_store_that_lost_everything_is_told_from_its_new_beginning(
    clock: FakeClock, make_outbox: Callable[..., Outbox], store: Store
) -> None:
    """The event of the loss itself is the first that there is after it."""
    recorder = Recorder()
    outbox = make_outbox(a=recorder)
    begin(outbox, store, clock, "a")
    store.items.put(PLACES, {"a": None})

    ids = commit(store)
    settle(outbox, store, clock, lambda: recorder.told)

    assert recorder.told == ids


def test_retry_switches_on_and_sends_again_what_was_given_up(
    make_service: MakeService, store: Store, clock: FakeClock, make_outbox: Callable[..., Outbox]
) -> None:
    """After the receiver was mended nobody should have to write the messages by hand."""
    recorder = Recorder(DeliveryError("no", is_permanent=True), DeliveryError("gone", disables=True))
    outbox = make_outbox(a=recorder)
    desk = make_service(store=store).notifications
    begin(outbox, store, clock, "a")
    first, second = commit(store, 2)
    settle(outbox, store, clock, lambda: place_of(store, "a").is_off and is_free(store, "a"))
    (status,) = desk.list()
    assert (status.is_off, status.problem, status.waiting, len(status.dead)) == (True, "gone", 1, 1)

    desk.retry("a", actor="ann")
    settle(outbox, store, clock, lambda: len(recorder.told) == 2)

    assert recorder.told == [first, second]
    settle(outbox, store, clock, lambda: not read_dead(store.items))
    settle(outbox, store, clock, lambda: desk.list()[0].waiting == 0)
    assert any(record.action == "notifications.retried" for record in store.audit())


def test_retry_of_an_unknown_notifier_is_refused(make_service: MakeService) -> None:
    """A name that is misspelt must not look as if it had helped."""
    with pytest.raises(ConflictError, match="smoke"):
        make_service().notifications.retry("smoke", actor="ann")


def test_command_delivers_what_it_committed(make_service: MakeService, clock: FakeClock) -> None:
    """Also the first command of all, before any worker lived."""
    recorder = Recorder()
    service = make_service(plugins=manager(a=recorder))
    service.enable(reason="r", mode="test", actor="ann")

    ended = service.notifications.deliver(within_seconds=10)

    assert ended["a"].end is DeliveryEnd.DRAINED
    assert [(n.event.kind, n.audience, n.is_test) for n in recorder.notices] == [
        (EventKind.STARTED, Audience.OPERATORS, True)
    ]


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("no settings"),
        DeliveryError("no settings", is_unconfigured=True),
        DeliveryError("no", is_permanent=True),
        DeliveryError("gone", disables=True),
    ],
)
def test_failure_of_a_command_is_nobody_elses(
    error: Exception, make_service: MakeService, store: Store, clock: FakeClock, make_outbox: Callable[..., Outbox]
) -> None:
    """A shell that lacks the notifier's settings must neither skip a notice nor give it up for the workers."""
    broken, whole = Recorder(error), Recorder()
    service = make_service(store=store, plugins=manager(a=broken))
    service.enable(reason="r", actor="ann")

    ended = service.notifications.deliver(within_seconds=10)

    assert ended["a"].end is DeliveryEnd.FAILED
    place = place_of(store, "a")
    assert (place.failures, place.is_off, place.retry_at, place.claimed_by) == (0, False, None, "")
    settle(make_outbox(a=whole), store, clock, lambda: whole.told)
    assert whole.notices[0].event.kind is EventKind.STARTED
    assert read_dead(store.items) == ()


def test_command_is_silent_about_what_nobody_has_set_up(
    make_service: MakeService, store: Store, clock: FakeClock, make_outbox: Callable[..., Outbox]
) -> None:
    """A notifier that came along with an installation and was never wanted; but it keeps its place."""
    unset = DeliveryError("no address", is_unconfigured=True)
    outbox = make_outbox(a=Recorder(unset))
    begin(outbox, store, clock, "a")
    commit(store)
    settle(outbox, store, clock, lambda: is_free(store, "a") and place_of(store, "a").unset)
    outbox.stop()
    service = make_service(store=store, plugins=manager(a=Recorder(unset)))
    cursor = place_of(store, "a").cursor
    service.enable(reason="r", actor="ann")

    ended = service.notifications.deliver(within_seconds=10)

    assert (ended["a"].end, ended["a"].problem) == (DeliveryEnd.FAILED, "")
    assert place_of(store, "a").cursor == cursor


def test_command_that_has_no_time_leaves_the_rest(make_service: MakeService, store: Store) -> None:
    """It ends when it said it would, with a receiver that hangs too, and its claim is given back."""
    hanging = Hanging()
    service = make_service(store=store, plugins=manager(a=hanging))
    service.enable(reason="r", actor="ann")

    ended = service.notifications.deliver(within_seconds=0.5)

    assert ended.get("a") is None or ended["a"].end is DeliveryEnd.FAILED
    eventually(lambda: is_free(store, "a"))
    assert place_of(store, "a").failures == 0
    hanging.release.set()


def test_command_sends_nothing_while_notifications_are_off(make_service: MakeService, store: Store) -> None:
    """Its own setting; and it moves nothing for workers that may have another."""
    recorder = Recorder()
    service = make_service(store=store, plugins=manager(a=recorder), notifications_enabled=False)
    service.enable(reason="r", actor="ann")

    assert service.notifications.deliver(within_seconds=10) == {}
    assert (recorder.tried, read_places(store.items)) == ([], {})


def test_try_of_a_notifier_is_marked_and_for_operators(make_service: MakeService, store: Store) -> None:
    """And it moves no place: it is no event."""
    recorder = Recorder()
    service = make_service(store=store, plugins=manager(a=recorder))

    tried = service.notifications.test("a", actor="ann")

    assert tried.is_ok
    (notice,) = recorder.notices
    assert (notice.is_test, notice.audience, notice.event.actor) == (True, Audience.OPERATORS, "ann")
    assert read_places(store.items) == {}
    recorder.errors = [DeliveryError("refused")]
    assert "refused" in service.notifications.test("a", actor="ann").problem


def test_list_tells_a_notifier_that_no_worker_has_seen(make_service: MakeService, store: Store) -> None:
    """Unknown is shown as unknown."""
    write_attended(store.items, ["a"])

    (status,) = make_service(store=store, plugins=manager(a=Recorder())).notifications.list()

    assert (status.cursor, status.waiting, status.is_attended) == (None, None, False)  # no worker is listed


def test_worker_tells_of_a_window_soon(make_service: MakeService) -> None:
    """Through the real agent of a real worker, with no command that delivers."""
    recorder = Recorder()
    service = make_service(plugins=manager(a=recorder))
    service.start()
    eventually(lambda: service.notifications.list()[0].is_attended)
    eventually(lambda: is_free(service._runtime.store, "a"))

    window = service.enable(reason="r", actor="ann")

    eventually(lambda: recorder.notices)
    told = recorder.notices[0].window
    assert told is not None
    assert told.id == window.id
    assert recorder.notices[0].audience is Audience.EVERYONE
