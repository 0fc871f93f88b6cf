"""Alerts in the leading worker: each opens and closes once in the cluster, whoever leads, dies or takes over."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from quiesce import (
    Alert,
    AlertRule,
    ApiRequest,
    Audience,
    DeliveryError,
    EventKind,
    MaintenanceEvent,
    MaintenanceStatusAPI,
    Notice,
    hookimpl,
)
from quiesce.cli.program import program
from quiesce.control.alerts import LOOK_SECONDS, AlertWatch
from quiesce.control.outbox import Outbox
from quiesce.control.outbox_rules import make_notice
from quiesce.control.runtime import Runtime
from quiesce.model import (
    Acknowledgement,
    CountKey,
    MaintenanceState,
    OperationRefusedError,
    Outcome,
    WorkerInfo,
    merged,
)
from quiesce.model.codec import decode_event, decode_state, encode_event, encode_state
from quiesce.plugins import PluginManager
from quiesce.settings import Settings
from quiesce.stores.memory import MemoryStore
from quiesce.testing import FakeClock, eventually
from quiesce.testing.clock import NOON

from .conftest import MakeService

ALERT = Alert(
    rule=AlertRule.OUTBOX_STUCK,
    subject="mail",
    since=NOON,
    opened_at=NOON,
    window_id="w1",
    detail="Zahl\u2028<b> it waits",
)


class Overtaken(MemoryStore):
    """Lets somebody else commit before the next commit, as a second leader may; counts how often it is loaded."""

    before: Callable[[], object] | None = None
    asked = 0

    def load(self) -> MaintenanceState:
        self.asked += 1
        return super().load()

    def commit(self, *args: Any, **named: Any) -> None:
        act, self.before = self.before, None
        if act is not None:
            act()
        super().commit(*args, **named)


class Notifier:
    """Fails as long as it is told to."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.notices: list[Notice] = []

    @hookimpl
    def notify(self, notice: Notice) -> None:
        if self.error is not None:
            raise self.error
        self.notices.append(notice)


class Cluster:
    """Workers on one store: one of them serves, and others may lead."""

    def __init__(self, store: Overtaken, clock: FakeClock, **plugins: object) -> None:
        self.store, self.clock = store, clock
        self.plugins = PluginManager()
        for name, plugin in plugins.items():
            self.plugins.register(plugin, name)
        self.outage = (float("-inf"), float("-inf"))
        self.batch = 0

    def watch(self, **settings: Any) -> AlertWatch:
        runtime = Runtime(
            Settings(store_url="memory://", **settings),
            clock=self.clock,
            store=self.store,
            plugins=self.plugins,
            framework="test",
        )
        return AlertWatch(runtime, outage=lambda: self.outage)

    def outbox(self) -> Outbox:
        return Outbox(
            plugins=self.plugins,
            store=self.store,
            clock=self.clock,
            service_name="shop",
            hook_timeout_seconds=20,
            settings=Settings,
        )

    def serve(self, *, refused: int = 0, worker: str = "served") -> None:
        """Have a worker acknowledge what is committed, and report so many refusals."""
        state = self.store.load()
        info = WorkerInfo(worker, "web-1", 7, "elsewhere", 0, "flask", NOON)
        if all(report.worker.id != worker for report in self.store.workers()):
            self.store.register(info)
        ids = frozenset(window.id for window in state.windows if window.is_open(self.clock.now()))
        counts = {CountKey(id_, "job_creation", Outcome.REFUSED): refused for id_ in ids if refused}
        self.batch += 1
        self.store.report(worker, Acknowledgement(state.revision, ids), counts=counts, batch=self.batch)

    def pass_time(self, watch: AlertWatch, *, looks: int, refused: int = 0) -> None:
        for _ in range(looks):
            self.clock.advance(LOOK_SECONDS)
            self.serve(refused=refused)
            watch.look(actor="worker:w")

    @property
    def told(self) -> list[tuple[str, str]]:
        """The alerts' events: kind and name."""
        return [
            (str(event.kind), event.alert.name) for event in self.store.events(limit=1000) if event.alert is not None
        ]


@pytest.fixture
def store() -> Iterator[Overtaken]:
    store = Overtaken()
    yield store
    store.close()


@pytest.fixture
def cluster(store: Overtaken, clock: FakeClock) -> Cluster:
    return Cluster(store, clock)


@pytest.fixture
def open_window(make_service: MakeService, store: Overtaken) -> Callable[[], Any]:
    service = make_service(store=store)
    return lambda: service.enable(reason="upgrade", actor="ann")


def test_high_block_rate_opens_one_alert_and_calm_closes_it(cluster: Cluster, open_window: Any) -> None:
    """The operator sees that users run into a wall, once, and that they no longer do."""
    watch = cluster.watch(alert_blocked_per_minute=100)
    watch.look(actor="worker:w")
    window = open_window()

    cluster.pass_time(watch, looks=3, refused=20)
    before = cluster.told
    cluster.pass_time(watch, looks=20, refused=20)
    (alert,) = cluster.store.load().alerts
    opened = cluster.told
    cluster.pass_time(watch, looks=60, refused=1)

    assert before == []
    assert opened == [("alert_opened", "block_rate")]
    assert (alert.rule, alert.window_id) == (AlertRule.BLOCK_RATE, window.id)
    assert alert.detail == "100 requests were refused within a minute; the bound is 100"
    assert cluster.told == [*opened, ("alert_closed", "block_rate")]
    assert cluster.store.load().alerts == ()


def test_opening_and_closing_are_in_the_audit_trail_of_the_window(cluster: Cluster, open_window: Any) -> None:
    """The report on the incident shows when users were hit."""
    watch = cluster.watch(alert_blocked_per_minute=10)
    watch.look(actor="worker:w")
    window = open_window()

    cluster.pass_time(watch, looks=1, refused=20)
    cluster.pass_time(watch, looks=60)

    records = [each for each in cluster.store.audit_of(window.id) if each.action.startswith("alert.")]
    events = [event for event in cluster.store.events() if event.alert is not None]
    assert [record.action for record in records] == ["alert.opened", "alert.closed"]
    assert [record.revision for record in records] == [event.revision for event in events]
    assert records[0].detail.startswith("block_rate: 20 requests were refused")
    assert (records[0].actor, events[0].reason, events[0].mode) == ("worker:w", "upgrade", "normal")


def test_end_of_the_window_closes_its_alerts_at_once(cluster: Cluster, make_service: MakeService) -> None:
    """Nobody waits for calm where nothing is refused."""
    service = make_service(store=cluster.store)
    watch = cluster.watch(alert_blocked_per_minute=10)
    watch.look(actor="worker:w")
    service.enable(reason="upgrade", actor="ann")
    cluster.pass_time(watch, looks=1, refused=20)
    service.disable(actor="ann")

    watch.look(actor="worker:w")

    assert cluster.told == [("alert_opened", "block_rate"), ("alert_closed", "block_rate")]


def test_bound_of_zero_switches_the_rule_off(cluster: Cluster, open_window: Any) -> None:
    """Where thousands are refused every minute as a matter of course."""
    watch = cluster.watch(alert_blocked_per_minute=0)
    open_window()

    cluster.pass_time(watch, looks=20, refused=10_000)

    assert cluster.told == []


def test_refusals_from_before_a_leader_looked_are_none_of_the_last_minute(cluster: Cluster, open_window: Any) -> None:
    """Who takes over in the middle of a window finds a large count, which says nothing about now."""
    open_window()
    cluster.serve(refused=1_000_000)
    watch = cluster.watch(alert_blocked_per_minute=10)

    cluster.pass_time(watch, looks=30)

    assert cluster.told == []


def test_two_leaders_that_decide_at_once_open_one_alert(cluster: Cluster, store: Overtaken, open_window: Any) -> None:
    """One was taken for dead and was only slow."""
    slow, new = (cluster.watch(alert_blocked_per_minute=10) for _ in range(2))
    for watch in (slow, new):
        watch.look(actor="worker:w")
    open_window()
    cluster.serve(refused=50)
    new_did: list[Any] = []
    store.before = lambda: new_did.append(new.look(actor="worker:new"))

    slow_did = slow.look(actor="worker:slow")

    assert ([change.opens for change in new_did[0]], slow_did) == ([True], ())
    assert cluster.told == [("alert_opened", "block_rate")]


def test_many_leaders_that_look_at_once_open_and_close_one_alert(cluster: Cluster, open_window: Any) -> None:
    """Whatever the interleaving."""
    watches = [cluster.watch(alert_blocked_per_minute=10) for _ in range(6)]

    def look_all() -> None:
        barrier = threading.Barrier(len(watches))

        def look(watch: AlertWatch) -> None:
            barrier.wait(30)
            watch.look(actor="worker:w")

        threads = [threading.Thread(target=look, args=(watch,)) for watch in watches]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

    look_all()
    open_window()
    cluster.serve(refused=50)
    look_all()
    opened = cluster.told
    for _ in range(50):
        cluster.clock.advance(LOOK_SECONDS)
        cluster.serve()
        look_all()

    assert opened == [("alert_opened", "block_rate")]
    assert cluster.told == [*opened, ("alert_closed", "block_rate")]


def test_new_leader_neither_repeats_nor_forgets_an_open_alert(cluster: Cluster, open_window: Any) -> None:
    """The one that opened it died, or everything was restarted."""
    first = cluster.watch(alert_blocked_per_minute=10)
    first.look(actor="worker:w")
    open_window()
    cluster.pass_time(first, looks=1, refused=50)

    second = cluster.watch(alert_blocked_per_minute=10)
    cluster.pass_time(second, looks=20, refused=50)
    third = cluster.watch(alert_blocked_per_minute=10)
    cluster.pass_time(third, looks=60)

    assert cluster.told == [("alert_opened", "block_rate"), ("alert_closed", "block_rate")]


def test_worker_that_stays_unconfirmed_is_named_until_it_confirms(cluster: Cluster, open_window: Any) -> None:
    """The operator waits for a proof that will not come, and learns which process it is about."""
    watch = cluster.watch()
    open_window()
    cluster.store.register(WorkerInfo("mute", "web-2", 8, "elsewhere", 0, "flask", NOON))

    cluster.pass_time(watch, looks=6)
    before = cluster.told
    cluster.pass_time(watch, looks=1)
    (alert,) = cluster.store.load().alerts

    def is_closed() -> bool:
        cluster.serve(worker="mute")
        cluster.pass_time(watch, looks=1)
        return not cluster.store.load().alerts

    assert before == []
    assert alert.rule is AlertRule.WORKERS_UNCONFIRMED
    assert alert.detail.startswith("1 of 2 workers: worker mute (pid 8 on web-2) is unconfirmed: it has registered but")
    eventually(is_closed)
    assert cluster.told == [("alert_opened", "workers_unconfirmed"), ("alert_closed", "workers_unconfirmed")]


def test_unconfirmed_worker_is_no_alert_while_no_window_is_open(cluster: Cluster) -> None:
    """There is nothing that it could confirm."""
    watch = cluster.watch()
    cluster.store.register(WorkerInfo("mute", "web-2", 8, "elsewhere", 0, "flask", NOON))

    cluster.pass_time(watch, looks=30)

    assert cluster.told == []


def test_alert_about_a_stuck_notifier_is_told_by_another(
    store: Overtaken, clock: FakeClock, make_service: MakeService
) -> None:
    """Otherwise an operator who relies on mail would learn nothing, ever."""
    mail, chat = Notifier(DeliveryError("450 try later")), Notifier()
    cluster = Cluster(store, clock, mail=mail, chat=chat)
    watch = cluster.watch(alert_outbox_after=60)
    outbox = cluster.outbox()
    service = make_service(store=store, plugins=cluster.plugins)

    def is_drained() -> bool:
        outbox.step(store.load())
        places = {each.name: each for each in service.notifications.list()}
        return places["chat"].waiting == 0 and not places["chat"].is_sending

    def has_failed() -> bool:
        outbox.step(store.load())
        return any(each.failing_since for each in service.notifications.list())

    def beat() -> None:
        outbox.step(store.load())
        clock.advance(LOOK_SECONDS)
        cluster.serve()
        watch.look(actor="worker:w")
        eventually(is_drained, within=60)  # on a slow machine it would be stuck by this clock

    def chat_knows() -> list[Notice]:
        beat()
        return [notice for notice in chat.notices if notice.event.kind is EventKind.ALERT_OPENED]

    def is_closed() -> bool:
        beat()
        return not store.load().alerts and not mail.error

    def are_known() -> bool:
        beat()
        return all(each.cursor for each in service.notifications.list())

    eventually(are_known)
    service.enable(reason="upgrade", actor="ann")
    eventually(has_failed, within=60)
    (notice,) = eventually(chat_knows, within=60)
    mail.error = None
    eventually(is_closed, within=60)
    outbox.stop()

    assert notice.event.alert is not None
    assert notice.event.alert.name == "outbox_stuck:mail"
    assert "450 try later" in notice.event.detail
    assert notice.audience is Audience.OPERATORS
    assert cluster.told == [("alert_opened", "outbox_stuck:mail"), ("alert_closed", "outbox_stuck:mail")]


@pytest.mark.parametrize(
    ("mail", "chat", "names"),
    [
        (
            DeliveryError("no URL", is_unconfigured=True),
            DeliveryError("no URL", is_unconfigured=True),
            ["outbox_stuck"],
        ),
        (DeliveryError("no URL", is_unconfigured=True), None, []),
        (DeliveryError("gone", disables=True), None, ["outbox_stuck:mail"]),
    ],
    ids=["nobody is set up", "one is set up", "switched off"],
)
def test_notifier_that_tells_nobody_opens_an_alert(
    mail: BaseException,
    chat: BaseException | None,
    names: list[str],
    *,
    store: Overtaken,
    clock: FakeClock,
    make_service: MakeService,
) -> None:
    """One that was never set up is no fault beside one that is; that nobody is told at all is one."""
    cluster = Cluster(store, clock, mail=Notifier(mail), chat=Notifier(chat))
    service = make_service(store=store, plugins=cluster.plugins)
    outbox = cluster.outbox()

    def is_settled() -> bool:
        outbox.step(store.load())
        clock.advance(1)
        found = service.notifications.list()
        return all((each.waiting == 0 or each.is_off) and not each.is_sending and each.cursor for each in found)

    eventually(is_settled)  # what happened before a notifier was first seen is not told
    service.enable(reason="upgrade", actor="ann")
    eventually(is_settled)
    outbox.stop()
    watch = cluster.watch(alert_after=5, alert_outbox_after=5)
    cluster.pass_time(watch, looks=2)

    assert [alert.name for alert in store.load().alerts] == names


def test_outage_of_the_store_is_told_with_its_span_once_it_is_back(cluster: Cluster) -> None:
    """A store that is out of reach cannot be told that it is; whoever was asleep learns it afterwards."""
    watch = cluster.watch()
    cluster.clock.advance(100)
    now = cluster.clock.monotonic()
    cluster.outage = (now - 95, now)

    watch.look(actor="worker:w")
    (alert,) = cluster.store.load().alerts
    cluster.pass_time(watch, looks=20)
    another = cluster.watch()
    another.look(actor="worker:x")

    assert alert.detail == "the store did not answer for 95 s, and is back"
    assert (alert.opened_at - alert.since).total_seconds() == 95
    assert cluster.told == [("alert_opened", "store_stale"), ("alert_closed", "store_stale")]


def test_short_outage_is_no_alert(cluster: Cluster) -> None:
    """A store that is restarted is in the log, and wakes nobody."""
    now = cluster.clock.monotonic()
    cluster.outage = (now - 29, now)

    cluster.watch().look(actor="worker:w")

    assert cluster.told == []


def test_start_and_end_of_windows_and_emergencies_are_told_once(cluster: Cluster, make_service: MakeService) -> None:
    """Their notices are the alert: nobody gets a second message that says the same."""
    service = make_service(store=cluster.store)
    watch = cluster.watch()
    service.enable(reason="upgrade", actor="ann")
    service.enable(mode="emergency", reason="breach", actor="ann")
    cluster.pass_time(watch, looks=2)
    service.disable(end_all=True, actor="ann")
    cluster.pass_time(watch, looks=2)

    kinds = [str(event.kind) for event in cluster.store.events()]
    assert kinds == ["started", "started", "ended", "ended"]


def test_idle_cluster_without_notifiers_is_not_looked_at(cluster: Cluster) -> None:
    """Nothing is asked of the store for what nobody needs."""
    watch = cluster.watch()
    cluster.clock.advance(1000)
    state = cluster.store.load()
    cluster.store.asked = 0

    watch.step(state, actor="worker:w")
    watch.stop()

    assert cluster.store.asked == 0


def test_step_looks_on_a_thread_of_its_own(cluster: Cluster, open_window: Any) -> None:
    """The heartbeat waits for nobody."""
    watch = cluster.watch(alert_blocked_per_minute=10)
    watch.step(cluster.store.load(), actor="worker:w")
    open_window()

    def is_told() -> bool:
        cluster.clock.advance(1)
        cluster.serve(refused=50)
        watch.step(cluster.store.load(), actor="worker:w")
        return bool(cluster.told)

    eventually(is_told)
    watch.stop()
    watch.step(cluster.store.load(), actor="worker:w")

    assert cluster.told == [("alert_opened", "block_rate")]


def test_workers_alert_of_what_they_refuse_and_the_next_leader_closes_it(
    make_service: MakeService, store: Overtaken, clock: FakeClock
) -> None:
    """All of it together: gates count, agents report, the leading one looks, and another one takes over."""
    first, second = (make_service(store=store, alert_blocked_per_minute=100) for _ in range(2))
    first.start()
    eventually(lambda: any(report.acknowledgement for report in store.workers()))
    second.start()
    first.enable(reason="upgrade", actor="ann")

    def refuse() -> None:
        clock.advance(1)
        for _ in range(10):
            with contextlib.suppress(OperationRefusedError), first.guard("job_creation"):
                pass

    def told() -> list[str]:
        return [str(event.kind) for event in store.events(limit=1000) if event.alert is not None]

    def is_told(count: int) -> bool:
        refuse()
        return len(told()) >= count

    eventually(lambda: is_told(1), within=60)
    first.stop()
    second.disable(actor="ann")
    eventually(lambda: is_told(2), within=60)

    assert told() == ["alert_opened", "alert_closed"]


def test_alert_survives_store_and_event(store: Overtaken) -> None:
    """It is read again as it was written, by whoever leads next; also beside one of a later version."""
    state = replace(store.load(), revision=3, alerts=(ALERT,))
    event = MaintenanceEvent(kind=EventKind.ALERT_OPENED, at=NOON, revision=3, number=0, alert=ALERT)
    body = encode_state(state)

    assert decode_state(bytes(bytearray(body))).alerts == (ALERT,)
    assert decode_state(body.replace(b'"outbox_stuck"', b'"of_tomorrow"')).alerts == ()
    assert decode_event(encode_event(event)) == event


def test_alerts_of_the_later_revision_hold_when_a_store_is_refilled(store: Overtaken) -> None:
    """One that was closed since does not come back, and one that is open is not told again."""
    empty = store.load()
    known = replace(empty, revision=9, alerts=(ALERT,), commits=("9.a",))
    lost = replace(empty, revision=2, commits=("2.b",))

    assert merged(known, lost, unique="x").alerts == (ALERT,)
    assert merged(lost, known, unique="x").alerts == (ALERT,)
    assert merged(replace(known, alerts=()), replace(lost, alerts=(ALERT,)), unique="x").alerts == ()


def test_alert_is_for_operators_whatever_the_window_says(make_service: MakeService, store: Overtaken) -> None:
    """How the service is run is none of the users' business."""
    window = make_service(store=store).enable(reason="upgrade", actor="ann", notify_users=True)
    alert = replace(ALERT, window_id=window.id)
    event = MaintenanceEvent(
        kind=EventKind.ALERT_OPENED, at=NOON, revision=3, number=0, window_id=window.id, alert=alert
    )

    assert make_notice(event, store.load(), service_name="shop", attempt=1).audience is Audience.OPERATORS


def test_operators_see_open_alerts_and_the_public_their_rules(make_service: MakeService, store: Overtaken) -> None:
    """Names of hosts and receivers are for those who run the service."""
    store.commit(replace(store.load(), revision=1, alerts=(ALERT,)), expected_revision=0, audit=())
    api = MaintenanceStatusAPI(make_service(store=store, admin_token="a-token-of-the-tests"))

    def ask(path: str, **headers: str) -> Any:
        response = api.handle(ApiRequest(method="GET", path=f"/api/maintenance/{path}", headers=headers))
        return response.status, json.loads(response.body)

    _, public = ask("status")
    refused, _ = ask("alerts")
    answered, document = ask("alerts", authorization="Bearer a-token-of-the-tests")

    assert public["alerts"] == ["outbox_stuck"]
    assert "mail" not in json.dumps(public)
    assert (refused, answered) == (401, 200)
    assert document == {
        "is_stale": False,
        "alerts": [
            {
                "name": "outbox_stuck:mail",
                "rule": "outbox_stuck",
                "subject": "mail",
                "since": "2031-05-04T12:00:00Z",
                "opened_at": "2031-05-04T12:00:00Z",
                "window_id": "w1",
                "detail": ALERT.detail,
            }
        ],
    }


def test_command_line_shows_open_alerts(
    sqlite_url: str, make_service: MakeService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """For whoever is woken and has a shell; what is shown cannot move the cursor."""
    store = make_service(sqlite_url).store
    monkeypatch.setenv("MAINTENANCE_STORE_URL", sqlite_url)

    def run(*arguments: str) -> str:
        assert program.main(list(arguments), "quiesce", standalone_mode=False) == 0
        return capsys.readouterr().out

    none = run("alerts")
    store.commit(replace(store.load(), revision=1, alerts=(ALERT,)), expected_revision=0, audit=())
    listed, status = run("alerts"), run("status")

    assert "No alert is open" in none
    for shown in (listed, status):
        assert "outbox_stuck:mail" in shown
        assert "it waits" in shown
        assert "\u2028" not in shown
    assert [each["name"] for each in json.loads(run("alerts", "--json"))["alerts"]] == ["outbox_stuck:mail"]
    assert [each["name"] for each in json.loads(run("status", "--json"))["alerts"]] == ["outbox_stuck:mail"]
