"""A window that a program holds: renewed while it lives, and left as the program's block was left."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from quiesce.control import EnhancedMaintenanceModeService, holding
from quiesce.model import InvalidValueError, StoreUnreachableError
from quiesce.stores.memory import MemoryStore
from quiesce.testing import FakeClock, eventually

MakeService = Callable[..., EnhancedMaintenanceModeService]


class FaultyStore(MemoryStore):
    """Real, until it is told to be out of reach; writes down what is done to leases."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False
        self.calls: list[str] = []
        self.may_renew = threading.Event()
        self.may_renew.set()

    def renew_lease(self, window_id: str) -> None:
        self.calls.append("renewing")
        self.may_renew.wait(20)
        self._check()
        super().renew_lease(window_id)
        self.calls.append("renewed")

    def drop_lease(self, window_id: str) -> None:
        self._check()
        super().drop_lease(window_id)
        self.calls.append("dropped")

    def commit(self, *args: Any, **named: Any) -> None:
        self._check()
        super().commit(*args, **named)

    def _check(self) -> None:
        if self.is_away:
            raise StoreUnreachableError("the store is away")


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renewals come fast, so that the tests need not wait seconds for each."""
    monkeypatch.setattr(holding, "LEASE_RENEWAL_SECONDS", 0.005)


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


@pytest.fixture
def service(make_service: MakeService, store: FaultyStore) -> EnhancedMaintenanceModeService:
    return make_service(store=store)


def hold(service: EnhancedMaintenanceModeService, **asked: Any) -> holding.HeldWindow:
    return service.hold(reason="Migration", actor="anna", **asked)


def renewing_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "quiesce-lease"]


def renewals(service: EnhancedMaintenanceModeService) -> Mapping[str, int]:
    return service.store.lease_renewals()


def test_holder_is_known_before_the_block_begins(any_service: EnhancedMaintenanceModeService) -> None:
    """A window with a lease that nobody ever renewed would look lost."""
    with hold(any_service, lease_seconds=10, ticket="OPS-7", allow=["job_creation"]) as held:
        renewed = renewals(any_service)[held.window.id]
        (window,) = any_service.get_maintenance_status().windows

    assert renewed >= 1
    assert window.lease is not None
    assert (window.lease.seconds, window.lease.releases) == (10, False)
    assert window.lease.holder.startswith("anna@")
    assert (window.ends_at, window.ticket) == (None, "OPS-7")
    assert window.allowed_operations == frozenset({"job_creation"})


def test_lease_is_renewed_until_the_window_is_released(any_service: EnhancedMaintenanceModeService) -> None:
    """The thread must not outlive what it is for, nor the count in the store."""
    with hold(any_service) as held:
        eventually(lambda: renewals(any_service)[held.window.id] >= 5)
        was_open = held.is_open()

    assert was_open
    assert not held.is_open()
    assert held.release() is False
    assert renewals(any_service) == {}
    assert renewing_threads() == []


def test_failure_keeps_the_window(any_service: EnhancedMaintenanceModeService) -> None:
    """A half-done migration must not be opened to writes by an error; and nobody must be called lost then."""
    with pytest.raises(KeyError), hold(any_service) as held:
        raise KeyError("row")

    (window,) = any_service.get_maintenance_status().windows
    last = any_service.store.audit()[-1]
    assert (window.id, window.lease) == (held.window.id, None)
    assert (last.action, last.actor, last.detail) == ("window.kept", "anna", "its holder failed with KeyError")
    assert renewals(any_service) == {}
    assert renewing_threads() == []


def test_failure_ends_the_window_where_that_was_asked_for(service: EnhancedMaintenanceModeService) -> None:
    """What can be tried again at any time needs no operator to open it."""
    with pytest.raises(KeyError), hold(service, release_on_failure=True) as held:
        raise KeyError("row")

    assert not held.is_open()
    assert renewing_threads() == []


def test_kept_window_stays_when_the_block_ends_well(service: EnhancedMaintenanceModeService) -> None:
    """Whoever keeps it on purpose means it; ending it later is still possible."""
    with hold(service) as held:
        held.keep("checks failed")
        during = renewing_threads()

    assert during == []
    assert held.is_open()
    assert held.release() is True
    assert not held.is_open()


def test_quiescence_can_be_waited_for(service: EnhancedMaintenanceModeService) -> None:
    """The block learns whether its work may begin."""
    with hold(service) as held:
        report = held.wait_until_quiesced(timeout=timedelta(0), expected_workers=3)

    assert [window.id for window in report.windows] == [held.window.id]
    assert "0 of 3 expected workers confirmed" in report.obstacles


def test_window_that_somebody_else_ends_is_told_once(
    service: EnhancedMaintenanceModeService, store: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    """The work goes on while writes are let in; whoever reads the log must see that."""
    with caplog.at_level(logging.ERROR, "quiesce"), hold(service) as held:
        service.disable(actor="bob")
        eventually(lambda: "HAS ENDED" in caplog.text)
        count = store.calls.count("renewed")
        eventually(lambda: store.calls.count("renewed") > count + 3)

    assert caplog.text.count("HAS ENDED") == 1
    assert not held.is_open()


def test_store_that_is_away_is_told_once_and_asked_again(
    service: EnhancedMaintenanceModeService,
    store: FaultyStore,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One line when it begins, one when the holder may be taken for lost, one when it is over."""
    with caplog.at_level(logging.WARNING, "quiesce"), hold(service, lease_seconds=10) as held:
        store.is_away = True
        eventually(lambda: store.calls.count("renewing") > 10)
        early = caplog.text
        clock.advance(11)
        eventually(lambda: "more than 10 s" in caplog.text)
        store.is_away = False
        eventually(lambda: "renewed again" in caplog.text)
        before = renewals(service)[held.window.id]
        eventually(lambda: renewals(service)[held.window.id] > before)

    assert early.count("cannot be renewed") == 1
    assert "more than" not in early
    assert caplog.text.count("cannot be renewed") == caplog.text.count("more than 10 s") == 1


def test_failing_first_renewal_does_not_hide_the_open_window(
    service: EnhancedMaintenanceModeService, store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error there would leave a window that the caller knows nothing of."""
    monkeypatch.setattr(store, "renew_lease", raising)
    with hold(service) as held:
        monkeypatch.undo()
        eventually(lambda: renewals(service).get(held.window.id, 0) > 0)

    assert not held.is_open()


def raising(_: str) -> None:
    raise StoreUnreachableError("the store is away")


def test_no_renewal_comes_after_the_lease_was_dropped(
    service: EnhancedMaintenanceModeService, store: FaultyStore
) -> None:
    """A late one would leave a count behind that nobody takes away."""
    held = hold(service)
    store.may_renew.clear()
    count = store.calls.count("renewing")
    eventually(lambda: store.calls.count("renewing") > count)
    releasing = threading.Thread(target=held.release)

    releasing.start()
    releasing.join(0.2)
    is_waiting = releasing.is_alive()
    store.may_renew.set()
    releasing.join(20)

    assert is_waiting
    assert store.calls[-2:] == ["renewed", "dropped"]
    assert renewals(service) == {}


def test_release_can_be_tried_again(service: EnhancedMaintenanceModeService, store: FaultyStore) -> None:
    """The store may be away at the very end; the window must not be taken for ended then."""
    held = hold(service)
    store.is_away = True

    with pytest.raises(StoreUnreachableError):
        held.release()
    store.is_away = False

    assert held.is_open()
    assert held.release() is True
    assert not held.is_open()


def test_error_of_the_block_is_what_its_caller_sees(
    service: EnhancedMaintenanceModeService, store: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    """The store's trouble comes on top, and goes to the log."""
    held = hold(service)

    def work() -> None:
        with held:
            store.is_away = True
            raise KeyError("row")

    with pytest.raises(KeyError):
        work()
    store.is_away = False

    assert held.is_open()
    assert f"window {held.window.id} is no longer held" in caplog.text
    assert renewing_threads() == []


@pytest.mark.parametrize("seconds", [5.9, 0, -1, 86401, float("nan")])
def test_lease_of_fewer_than_three_renewals_is_refused(service: EnhancedMaintenanceModeService, seconds: float) -> None:
    """One lost packet must not make a holder look lost; and nothing may be open, or running, after the refusal."""
    with pytest.raises(InvalidValueError, match="lease"):
        hold(service, lease_seconds=seconds)

    assert service.get_maintenance_status().windows == ()
    assert renewing_threads() == []


FORKING = """
import os, sys
from quiesce import EnhancedMaintenanceModeService
from quiesce.control import holding

holding.LEASE_RENEWAL_SECONDS = 0.01
service = EnhancedMaintenanceModeService({"MAINTENANCE_STORE_URL": sys.argv[1]})
with service.hold(reason="x", actor="anna") as held:
    child = os.fork()
    if not child:
        raise SystemExit("the child leaves the block by an error")
    os.waitpid(child, 0)
    (window,) = service.get_maintenance_status().windows
    print(window.lease is not None)
print(held.is_open())
service.close()
"""


def test_forked_child_holds_nothing(sqlite_url: str) -> None:
    """A worker of a pool ends, and its parent still migrates: the window must not be touched by the child."""
    command = [sys.executable, "-W", "ignore", "-c", FORKING, sqlite_url]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.stdout.splitlines() == ["True", "False"], done.stderr
