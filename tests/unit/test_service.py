"""The service: commands as an operator gives them, on real stores."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from quiesce.control import EnhancedMaintenanceModeService
from quiesce.gate import this_machine
from quiesce.model import (
    Acknowledgement,
    AmbiguousWindowError,
    ConflictError,
    InvalidValueError,
    Mode,
    NoOpenWindowError,
    OperationType,
    StoreError,
    WindowOpenError,
    WorkerInfo,
)
from quiesce.plugins import PluginManager, hookimpl
from quiesce.settings import Settings
from quiesce.stores.memory import MemoryStore
from quiesce.testing import FakeClock
from quiesce.testing.clock import NOON

MakeService = Callable[..., EnhancedMaintenanceModeService]
Service = EnhancedMaintenanceModeService


def test_a_cycle_leaves_a_record_of_each_step(any_service: Service, clock: FakeClock) -> None:
    """Each change, its record and its revision are one commit."""
    window = any_service.enable(reason=" Database optimization ", actor="anna", source="cli", duration=600)
    clock.advance(60)
    any_service.extend(by=timedelta(minutes=1), actor="bob", source="http")
    clock.advance(60)
    (ended,) = any_service.disable(actor="carl")

    assert (window.reason, window.owner, window.mode) == ("Database optimization", "anna", Mode.NORMAL)
    assert window.starts_at == NOON
    assert ended.ended_at == NOON + timedelta(minutes=2)
    assert any_service.store.revision() == 3
    records = any_service.store.audit()
    assert [(r.revision, r.action, r.actor, r.source, r.window_id, r.at) for r in records] == [
        (1, "window.enabled", "anna", "cli", window.id, NOON),
        (2, "window.extended", "bob", "http", window.id, NOON + timedelta(minutes=1)),
        (3, "window.ended", "carl", "api", window.id, NOON + timedelta(minutes=2)),
    ]
    assert "Database optimization" in records[0].detail
    assert "2031-05-04T14:00:00Z" in records[0].detail
    assert "sessions: revoke" in records[0].detail
    assert "60 s" in records[1].detail


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("reason", {"reason": "x" * 1_000_000}),
    ("reason", {"reason": ""}),
    ("reason", {"reason": "a\nb"}),
    ("reason", {"reason": "a\x00b"}),
    ("reason", {"reason": "a\u202eb"}),
    ("reason", {"reason": "\u200b"}),
    ("reason", {"reason": "\ud800"}),
    ("reason", {"reason": None}),
    ("actor", {"actor": ""}),
    ("actor", {"actor": "a\nb"}),
    ("mode", {"mode": "nightly"}),
    ("mode", {"mode": None}),
    ("duration", {"duration": math.nan}),
    ("duration", {"duration": math.inf}),
    ("duration", {"duration": -1}),
    ("duration", {"duration": 0}),
    ("duration", {"duration": 10**400}),
    ("duration", {"duration": True}),
    ("duration", {"duration": "60"}),
    ("timeout", {"timeout": 1e12}),
    ("timeout", {"timeout": -math.inf}),
    ("timeout", {"duration": 61, "timeout": 60}),
    ("operations", {"operations": ["payments"]}),
    ("operations", {"operations": []}),
    ("operations", {"operations": "job_creation"}),
    ("operations", {"operations": iter(())}),
]


@pytest.mark.parametrize(("field", "asked"), REFUSED, ids=lambda value: repr(value)[:40])
def test_refused_input_changes_nothing(any_service: Service, field: str, asked: dict[str, Any]) -> None:
    """Everything an operator can send wrong names its field and leaves no trace."""
    with pytest.raises(InvalidValueError) as caught:
        any_service.enable(**{"reason": "r", "actor": "a"} | asked)

    assert caught.value.field == field
    assert any_service.store.revision() == 0
    assert any_service.store.audit() == ()


@pytest.mark.parametrize("by", [None, 0, -1, math.nan, True, "60", 10**400], ids=repr)
def test_refused_extension_changes_nothing(service: Service, by: Any) -> None:
    """An extension cannot shorten, and cannot be nonsense."""
    service.enable(reason="r", actor="a")

    with pytest.raises(InvalidValueError) as caught:
        service.extend(by=by, actor="a")

    assert caught.value.field == "by"
    assert service.store.revision() == 1


def test_emergency_without_estimate_or_timeout_cannot_be_extended(service: Service) -> None:
    """There is nothing to move, and saying so beats pretending."""
    service.enable(reason="r", mode="emergency", actor="a")

    with pytest.raises(InvalidValueError, match="neither an estimate nor a timeout"):
        service.extend(by=60, actor="a")


@pytest.mark.parametrize("mode", list(Mode))
def test_second_window_of_a_mode_is_a_conflict(any_service: Service, mode: Mode) -> None:
    """What is on is on once, and the message says since when and why."""
    any_service.enable(reason="the first", mode=mode, actor="anna")

    with pytest.raises(WindowOpenError, match=r"opened by anna at 2031-05-04T12:00:00Z, reason: the first"):
        any_service.enable(reason="the second", mode=mode, actor="bob")

    assert any_service.store.revision() == 1


def test_nothing_to_end_or_extend_is_a_conflict(service: Service, clock: FakeClock) -> None:
    """Also after the window timed out by itself."""
    for act in (service.disable, lambda **given: service.extend(by=60, **given)):
        with pytest.raises(NoOpenWindowError):
            act(actor="a")
    service.enable(reason="r", actor="a", timeout=60)
    clock.advance(60)
    with pytest.raises(NoOpenWindowError):
        service.disable(actor="a")

    assert service.enable(reason="again", actor="a").reason == "again"


def test_several_open_windows_must_be_named_or_all_meant(service: Service) -> None:
    """An operator must not end an emergency by accident."""
    normal = service.enable(reason="n", actor="a")
    emergency = service.enable(reason="e", mode=Mode.EMERGENCY, actor="a")
    test = service.enable(reason="t", mode="test", actor="a")

    with pytest.raises(AmbiguousWindowError):
        service.disable(actor="a")
    with pytest.raises(AmbiguousWindowError):
        service.extend(by=60, actor="a")
    assert [w.id for w in service.disable(window_id=test.id, actor="a")] == [test.id]
    assert service.extend(by=60, window_id=normal.id, actor="a").id == normal.id
    assert {w.id for w in service.disable(end_all=True, actor="a")} == {normal.id, emergency.id}

    assert not service.get_maintenance_status().is_active
    assert [record.window_id for record in service.store.audit()][-2:] == [emergency.id, normal.id]


def test_ending_twice_is_a_conflict(service: Service) -> None:
    """The second operator learns that it was done already."""
    window = service.enable(reason="r", actor="a")
    service.disable(window_id=window.id, actor="a")

    with pytest.raises(ConflictError, match="not open"):
        service.disable(window_id=window.id, actor="b")


def test_two_services_on_one_store_see_each_other(make_service: MakeService, sqlite_url: str) -> None:
    """The CLI of one operator and the console of another."""
    one, other = make_service(sqlite_url), make_service(sqlite_url)

    window = one.enable(reason="r", actor="a")

    assert [found.id for found in other.get_maintenance_status().windows] == [window.id]
    other.disable(actor="b")
    assert not one.get_maintenance_status().is_active


class _Payments:
    @hookimpl
    def operation_types(self) -> list[OperationType]:
        return [OperationType("payments")]


def test_every_type_of_an_iterator_is_covered_also_a_plugins(make_service: MakeService) -> None:
    """Types are looked up twice, before and after the plugins are loaded; an iterator must survive that."""
    plugins = PluginManager()
    plugins.register(_Payments(), "payments")
    service = make_service(plugins=plugins)

    window = service.enable(reason="r", actor="a", operations=(n for n in ["batch_operations", "Payments", "payments"]))

    assert window.operations == frozenset({"batch_operations", "payments"})


def test_worker_answers_by_what_it_applies(service: Service) -> None:
    """In a worker no status waits for the store, and its own commands hold at once."""
    service.start()

    service.enable(reason="r", actor="a")

    status = service.get_maintenance_status()
    assert (status.is_active, status.is_stale) == (True, False)
    assert status.revision >= 1  # the leading worker may have noted something already
    assert not service.explain("POST", "/api/jobs/1").is_allowed
    assert service.explain("GET", "/").is_allowed


def test_closed_service_says_so(make_service: MakeService) -> None:
    """Rather than hang or answer from nowhere."""
    service = make_service()
    service.close()

    with pytest.raises(StoreError):
        service.enable(reason="r", actor="a")


def settled_store() -> MemoryStore:
    """A store past the time in which no verdict is given on a new one; only its birth is moved."""
    store = MemoryStore()
    store._created_at -= 60
    return store


def test_quiet_once_what_ran_has_ended() -> None:
    """The proof, end to end in one process: a request in flight, a window, the end of the request."""
    service = EnhancedMaintenanceModeService(
        Settings(store_url="memory://"), store=settled_store(), plugins=PluginManager()
    )
    try:
        service.start()
        token = abs(service.gate.enter("POST", "/api/jobs/1"))
        service.enable(reason="r", actor="a")

        waiting = service.wait_until_quiesced(timeout=timedelta(seconds=0.2))
        service.gate.leave(token)
        quiet = service.wait_until_quiesced(timeout=timedelta(seconds=10), expected_workers=1)

        assert not waiting.quiesced
        assert waiting.in_flight in ({"job_creation": 1}, {})
        assert waiting.obstacles
        assert quiet.quiesced, quiet.obstacles
        assert len(quiet.confirmed) == 1
    finally:
        service.close()


def test_dead_process_is_taken_off_and_a_foreign_one_is_not(make_service: MakeService) -> None:
    """A killed worker of this machine must not block the proof; of another machine's nothing is known."""
    store = settled_store()
    service = make_service(store=store)
    service.enable(reason="r", actor="a")
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    dead = WorkerInfo("dead", "here", process.pid, this_machine(), 1, "flask", NOON)
    store.register(dead)
    store.register(replace(dead, id="foreign", machine="another"))

    report = service.quiescence()

    assert report.unconfirmed == ("foreign",)
    assert [worker.worker.id for worker in store.workers()] == ["foreign"]


def test_store_out_of_reach_is_never_quiet(make_service: MakeService) -> None:
    """Unknown is not quiet: the question itself fails."""
    store = settled_store()
    service = make_service(store=store)
    service.enable(reason="r", actor="a")
    store.close()

    with pytest.raises(StoreError):
        service.quiescence()
    with pytest.raises(StoreError):
        service.wait_until_quiesced(timeout=timedelta(0))


def test_zero_wait_still_asks_once(make_service: MakeService) -> None:
    """``--wait 0`` is a question, not an error."""
    store = settled_store()
    service = make_service(store=store)
    window = service.enable(reason="r", actor="a")
    store.register(WorkerInfo("w", "there", 1, "another", 1, "flask", NOON))
    store.report("w", Acknowledgement(1, windows=frozenset({window.id})), counts={}, batch=1)

    assert service.wait_until_quiesced(timeout=timedelta(0)).quiesced
