"""The handler of emergencies: it refuses first, follows the steps, and ends by a checklist that has looked."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from quiesce import EnhancedMaintenanceModeService, NotRecoveredError
from quiesce.control import emergency_standby
from quiesce.control.emergency_acts import STEPS
from quiesce.control.emergency_notes import note_progress, read_recoveries
from quiesce.control.emergency_steps import EmergencySteps
from quiesce.control.job_ledger import JobLedger
from quiesce.model import (
    AmbiguousWindowError,
    EmergencyProgress,
    InvalidValueError,
    JobFate,
    JobRecord,
    MaintenanceWindow,
    NoOpenWindowError,
    NoSuchWindowError,
    StepStatus,
    StoreError,
    WindowOpenError,
)
from quiesce.testing import FakeClock, eventually

NAMES = tuple(kind.name for kind in STEPS)


@pytest.fixture(autouse=True)
def _no_standby(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless a test is about it, nobody carries steps out here."""
    monkeypatch.setattr(emergency_standby, "PATIENCE_SECONDS", 1e9)


@pytest.fixture
def settled(service: EnhancedMaintenanceModeService) -> EnhancedMaintenanceModeService:
    """A service on a store that was there yesterday, with a worker: itself."""
    service.store._created_at -= 86400  # type: ignore[attr-defined]  # a store that lost nothing lately
    service.start()
    return service


def activate(service: EnhancedMaintenanceModeService, **asked: Any) -> MaintenanceWindow:
    return service.emergency.activate(**{"reason": "breach", "actor": "ann", **asked})


def test_everything_is_refused_when_the_call_returns(settled: EnhancedMaintenanceModeService) -> None:
    """The next request of this machine, whatever becomes of the steps."""
    window = activate(settled, source="cli", ticket="OPS-7", timeout=3600)

    assert not settled.explain("GET", "/items").is_allowed
    assert (window.mode, window.owner, window.ticket) == ("emergency", "ann", "OPS-7")
    assert window.ends_at == window.starts_at + timedelta(hours=1)
    assert activate(settled, overlap=True).ends_at is None


@pytest.mark.parametrize("mode", ["normal", "test"])
def test_planned_work_is_never_in_the_way(service: EnhancedMaintenanceModeService, mode: str) -> None:
    """The worst hour may come in the middle of it."""
    first = service.enable(reason="upgrade", mode=mode, actor="bob")

    window = activate(service)

    assert [open_.id for open_ in service.get_maintenance_status().windows] == [window.id, first.id]


def test_a_second_emergency_is_a_conflict_unless_it_is_meant(service: EnhancedMaintenanceModeService) -> None:
    """Two people press the button; the second learns of the first."""
    first = activate(service)

    with pytest.raises(WindowOpenError) as error:
        activate(service)

    assert error.value.window_id == first.id
    assert activate(service, overlap=True).id != first.id


@pytest.mark.parametrize("asked", [{"reason": ""}, {"reason": "a\nb"}, {"actor": ""}, {"timeout": -1}])
def test_what_is_not_valid_changes_nothing(service: EnhancedMaintenanceModeService, asked: dict[str, Any]) -> None:
    """A reason is required for the audit trail."""
    with pytest.raises(InvalidValueError):
        activate(service, **asked)

    assert service.store.revision() == 0


def test_progress_is_that_of_the_first_emergency_or_of_the_one_named(service: Any, clock: FakeClock) -> None:
    """Steps that nobody has begun are waiting; what is no emergency has none."""
    with pytest.raises(NoOpenWindowError):
        service.emergency.progress()
    first = activate(service)
    clock.advance(1)
    second = activate(service, overlap=True)
    normal = service.enable(reason="r", actor="a")
    note_progress(service.store.items, second.id, lambda p: p)

    assert service.emergency.progress().window_id == first.id
    assert [step.name for step in service.emergency.progress(first.id).steps] == list(NAMES)
    assert {step.status for step in service.emergency.progress(first.id).steps} == {StepStatus.WAITING}
    for unknown in ("nothing", normal.id):
        with pytest.raises(NoSuchWindowError):
            service.emergency.progress(unknown)


def test_waiting_ends_when_the_time_is_up_or_the_emergency_is_over(service: Any) -> None:
    """And says how far it came."""
    window = activate(service)
    seen: list[EmergencyProgress] = []

    unfinished = service.emergency.wait(timeout=0, watch=seen.append)
    service.disable(actor="a")
    over = service.emergency.wait(window.id, timeout=3600)

    assert not unfinished.is_settled
    assert seen == [unfinished]
    assert over == unfinished


def test_waiting_outlives_a_store_that_is_away(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failover takes seconds, in which the operator must not lose sight."""
    window = activate(service)
    answers: list[Exception | None] = [StoreError("away"), StoreError("away"), None]
    load = service.store.load

    def sometimes() -> Any:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer is not None:
            raise answer
        return load()

    monkeypatch.setattr(service.store, "load", sometimes)
    assert service.emergency.wait(window.id, timeout=0.5).window_id == window.id

    answers[:] = [StoreError("away")]
    with pytest.raises(StoreError, match="away"):
        service.emergency.wait(window.id, timeout=0)


def test_without_a_worker_the_caller_carries_the_steps_out(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The application is down, its job queues are not."""
    monkeypatch.setattr(emergency_standby, "PATIENCE_SECONDS", 0.0)
    window = activate(service)

    progress = service.emergency.wait(window.id, timeout=20)

    assert progress.is_settled
    assert progress.runner.startswith("command:")
    eventually(lambda: not any(t.name.startswith("quiesce-standby") for t in threading.enumerate()))


def test_a_caller_leaves_the_steps_to_a_worker_that_lives(
    make_service: Any, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that end jobs at once would be one too many."""
    monkeypatch.setattr(emergency_standby, "PATIENCE_SECONDS", 0.0)
    worker, operator = make_service(sqlite_url), make_service(sqlite_url)
    worker.start()

    progress = operator.emergency.wait(activate(operator).id, timeout=20)

    assert progress.is_settled
    assert progress.runner.startswith("worker:")


def test_a_caller_takes_the_steps_only_when_no_worker_lives(make_service: Any, sqlite_url: str) -> None:
    """Neither before its patience is over, nor while a worker lives that has not come to it yet."""
    worker, operator = make_service(sqlite_url, enabled=False), make_service(sqlite_url)
    worker.start()  # it lives, and takes nothing up
    window = operator.enable(reason="breach", mode="emergency", actor="a")
    standby = emergency_standby.Standby(operator._runtime)
    steps = EmergencySteps(operator._runtime)

    def runner_after(waited_seconds: float) -> str:
        assert standby._look(window.id, steps, waited_seconds=waited_seconds)
        for thread in threading.enumerate():
            if thread.name.startswith("quiesce-emergency"):
                thread.join(20)
        return str(operator.emergency.progress(window.id).runner)

    assert runner_after(2e9) == ""
    worker.stop()
    assert runner_after(0) == ""
    assert runner_after(2e9).startswith("command:")
    steps.stop()


def test_a_worker_that_begins_an_emergency_needs_no_standby(settled: Any) -> None:
    """It, or the one that leads, carries the steps out anyway."""
    progress = settled.emergency.wait(activate(settled).id, timeout=20)

    assert progress.runner.startswith("worker:")
    assert not any(thread.name.startswith("quiesce-standby") for thread in threading.enumerate())


def test_an_emergency_by_any_command_has_its_steps(settled: Any) -> None:
    """``enable --mode emergency`` promises the same."""
    window = settled.enable(reason="breach", mode="emergency", actor="a")

    assert settled.emergency.wait(window.id, timeout=20).is_settled


def lines(service: Any, **said: Any) -> dict[str, tuple[str, bool]]:
    return {check.name: (str(check.kind), check.is_ok) for check in service.emergency.checklist(**said)}


def test_the_checklist_tells_what_was_looked_at_from_what_was_said(settled: Any) -> None:
    """An auditor must be able to tell them apart."""
    activate(settled)

    assert lines(settled) == {
        "threat_resolved": ("acknowledged", False),
        "store_healthy": ("checked", True),
        "workers_confirmed": ("checked", True),
        "ledger_reviewed": ("checked", True),
    }
    assert lines(settled, threat_resolved="keys are new")["threat_resolved"] == ("acknowledged", True)
    with pytest.raises(InvalidValueError, match="threat_resolved"):
        settled.emergency.checklist(threat_resolved="a\nb")


def test_jobs_that_were_ended_have_to_be_reviewed(settled: Any) -> None:
    """Some may have been lost, and only a person knows what they were for."""
    window = activate(settled)
    record = JobRecord(source="q", id="1", queue="d", name="f", fate=JobFate.LOST)
    JobLedger(settled.store.items).add(window.id, [record])

    (unread,) = [check for check in settled.emergency.checklist() if check.name == "ledger_reviewed"]

    assert (unread.kind, unread.is_ok, unread.detail) == ("acknowledged", False, "1 lost; 0 can be put back")
    assert lines(settled, is_ledger_reviewed=True)["ledger_reviewed"] == ("acknowledged", True)


def test_workers_that_are_unknown_are_not_ok(service: Any, settled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker, or one that is silent: nobody knows what it would do when all is opened again."""
    monkeypatch.setattr("quiesce.control.emergency_checks._CONFIRMED_WITHIN", 0.0)
    activate(settled)
    settled.stop()

    assert lines(settled)["workers_confirmed"] == ("checked", False)


def test_a_store_that_is_new_or_forgets_is_not_healthy(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says of workers and ledger would be worth nothing."""
    activate(service)
    assert lines(service)["store_healthy"] == ("checked", False)
    service.store._created_at -= 86400
    assert lines(service)["store_healthy"] == ("checked", True)

    monkeypatch.setattr(service.store.items, "get", lambda *_: {})
    assert lines(service)["store_healthy"] == ("checked", False)

    def fail(*_: object, **__: object) -> None:
        raise StoreError("read only")

    monkeypatch.setattr(service.store.items, "put", fail)
    monkeypatch.setattr(service.store.items, "newest", fail)
    found = {check.name: check for check in service.emergency.checklist()}
    assert {name: found[name].is_ok for name in ("store_healthy", "ledger_reviewed")} == {
        "store_healthy": False,
        "ledger_reviewed": False,
    }
    assert "read only" in found["store_healthy"].detail


def test_an_emergency_is_ended_when_every_line_is_ok(settled: Any) -> None:
    """And the audit trail has the lines; a try before that ends nothing, and is in it too."""
    window = activate(settled)
    settled.emergency.wait(window.id, timeout=20)

    with pytest.raises(NotRecoveredError) as error:
        settled.emergency.recover(actor="bob")
    assert settled.get_maintenance_status().mode == "emergency"
    recovery = settled.emergency.recover(threat_resolved="keys are new", actor="ann", source="cli")

    assert not settled.get_maintenance_status().is_active
    assert (error.value.window_id, [check.is_ok for check in error.value.checks]) == (
        window.id,
        [False, True, True, True],
    )
    assert (recovery.was_ended, recovery.was_forced, recovery.actor) == (True, False, "ann")
    assert [each.was_ended for each in read_recoveries(settled.store.items, window.id)] == [False, True]
    assert settled.emergency.recoveries(window.id)[-1] == recovery
    audit = [(r.actor, r.action, r.detail) for r in settled.store.audit() if not r.action.startswith(("hook", "jobs"))]
    (refused, *_), (said, ended) = [r for r in audit if r[1] == "emergency.not_recovered"], audit[-2:]
    assert refused[2].startswith("threat_resolved NOT OK (acknowledged)")
    assert said[:2] == ("ann", "emergency.recovered")
    assert "threat_resolved ok (acknowledged): keys are new; store_healthy ok (checked)" in said[2]
    assert ended == ("ann", "window.ended", "by its checklist")


def test_force_ends_it_and_says_so(service: Any) -> None:
    """A checklist must lock nobody in."""
    window = activate(service)

    recovery = service.emergency.recover(window.id, force=True, actor="ann")

    assert (recovery.was_ended, recovery.was_forced) == (True, True)
    assert service.store.audit()[-1].detail == "by force, against its checklist"
    with pytest.raises(NoOpenWindowError):
        service.emergency.recover(window.id, force=True, actor="ann")


def test_disable_ends_it_without_a_checklist_and_says_so(service: Any) -> None:
    """The way that everybody knows stays open; who reads the audit trail sees which it was."""
    activate(service)
    service.disable(actor="ann")
    service.enable(reason="upgrade", actor="ann")
    service.disable(actor="ann")

    ended = [record.detail for record in service.store.audit() if record.action == "window.ended"]
    assert ended == ["without its checklist", ""]


def test_of_several_emergencies_one_is_named(service: Any) -> None:
    """Ending the wrong one would open what must stay closed."""
    first, second = activate(service), activate(service, overlap=True)
    service.enable(reason="upgrade", actor="ann")

    with pytest.raises(AmbiguousWindowError):
        service.emergency.recover(force=True, actor="ann")
    service.emergency.recover(second.id, force=True, actor="ann")

    assert [window.id for window in service.get_maintenance_status().windows if window.mode == "emergency"] == [
        first.id
    ]


def test_a_normal_window_has_no_checklist(service: Any) -> None:
    """``recover`` must not end planned work by a slip."""
    window = service.enable(reason="upgrade", actor="ann")

    for window_id in (None, window.id):
        with pytest.raises(NoOpenWindowError):
            service.emergency.recover(window_id, force=True, actor="ann")
    with pytest.raises(InvalidValueError, match="force"):
        service.emergency.recover(force="yes", actor="ann")
