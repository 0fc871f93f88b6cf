"""The report on a window: whole, from whatever the store still has, and bounded."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

import pytest

from quiesce.control import EnhancedMaintenanceModeService
from quiesce.control.emergency_notes import note_recovery, note_step
from quiesce.control.job_ledger import JobLedger
from quiesce.control.report_trail import MOST_ENTRIES
from quiesce.model import (
    Acknowledgement,
    AuditRecord,
    CallerKind,
    CheckKind,
    CountKey,
    EmergencyRecovery,
    JobFate,
    JobRecord,
    MaintenanceState,
    MaintenanceWindow,
    Mode,
    NoSuchWindowError,
    Outcome,
    RecoveryCheck,
    SessionPolicy,
    StepStatus,
    StoreCorruptError,
    WorkerInfo,
)
from quiesce.testing import FakeClock
from quiesce.testing.clock import NOON

Service = EnhancedMaintenanceModeService
MakeService = Callable[..., Service]
MINUTE = timedelta(minutes=1)


def fire(service: Service, **fields: Any) -> MaintenanceWindow:
    return service.enable(reason="fire", mode="emergency", actor="ann", source="cli", **fields)


def count(service: Service, counts: dict[CountKey, int], *, worker: str = "w1") -> None:
    service.store.register(WorkerInfo(worker, "host", 7, "m", 1, "flask", NOON))
    service.store.report(worker, Acknowledgement(1), counts=counts, batch=1)


def forget(service: Service, clock: FakeClock) -> None:
    """Let the state forget what is over, as the next command does after ``MAINTENANCE_CLEANUP_INTERVAL``."""
    clock.advance(301)
    window = service.enable(reason="next", mode="normal", actor="eve")
    service.disable(window_id=window.id, actor="eve")


def test_an_open_emergency_is_reported_on_so_far(any_service: Service, clock: FakeClock) -> None:
    """While it lasts, people ask every quarter of an hour."""
    window = fire(any_service, duration=600)
    clock.advance(90)

    report = any_service.report(window.id)

    heading = report.heading
    assert (heading.window_id, heading.mode, heading.reason, heading.owner) == (window.id, "emergency", "fire", "ann")
    assert (heading.opened_at, heading.ended_at, heading.is_open) == (NOON, None, True)
    assert (report.duration, report.estimated_duration) == (1.5 * MINUTE, 10 * MINUTE)
    assert report.session_policy is SessionPolicy.REVOKE
    assert [(entry.at, entry.action, entry.actor, entry.source) for entry in report.timeline] == [
        (NOON, "window.enabled", "ann", "cli")
    ]


def test_what_is_not_known_is_not_shown_as_none(service: Service) -> None:
    """Sessions that nobody counted are not zero sessions."""
    report = service.report(fire(service).id)

    assert report.sessions_ended is None
    assert report.progress is None
    assert "no steps of the emergency were noted" in report.gaps


def test_everybody_who_did_something_is_named_once(service: Service, clock: FakeClock) -> None:
    """Who opened, who extended, who ended; workers are no people."""
    window = fire(service, duration=60, timeout=60)
    service.extend(by=600, actor="bob")
    clock.advance(30)
    service.extend(by=600, actor="ann")
    service.disable(actor="eve")

    report = service.report(window.id)

    assert report.people == ("ann", "bob", "eve")
    assert report.ended_by == "eve"
    assert [entry.action for entry in report.timeline] == [
        *("window.enabled", "window.extended", "window.extended", "window.ended")
    ]
    assert report.duration == timedelta(seconds=30)


def test_it_tells_for_whom_it_was_closed(any_service: Service) -> None:
    """Refused or let through, signed in or not, and nothing of another window."""
    window = fire(any_service)
    refused, bypassed = Outcome.REFUSED, Outcome.BYPASSED
    key = CountKey(window.id, "job_creation", refused)
    counts = {
        key: 3,
        replace(key, caller=CallerKind.USER): 2,
        replace(key, outcome=bypassed): 1,
        replace(key, outcome=bypassed, caller=CallerKind.PASS): 4,
        replace(key, window_id="other"): 1000,
    }
    count(any_service, counts)
    count(any_service, {key: 10}, worker="w2")

    report = any_service.report(window.id)

    assert {(line.outcome, line.caller, line.count) for line in report.counts} == {
        *((refused, "", 13), (refused, "user", 2), (bypassed, "", 1), (bypassed, "pass", 4))
    }
    assert (report.total(refused), report.total(bypassed), report.total(Outcome.WOULD_BLOCK)) == (15, 5, 0)
    assert [worker.id for worker in report.workers] == ["w1", "w2"]


def test_of_a_test_window_it_tells_what_would_be_refused_where(service: Service) -> None:
    """That is what a test window is opened for; of many paths the most frequent ones."""
    window = service.enable(reason="rehearsal", mode="test", actor="ann")
    counts = {
        CountKey(window.id, "job_creation", Outcome.WOULD_BLOCK, f"/api/jobs/{number}"): number
        for number in range(1, 151)
    }
    count(service, counts)

    report = service.report(window.id)

    assert [(line.operation, line.count) for line in report.counts] == [("job_creation", sum(range(1, 151)))]
    assert [line.path for line in report.paths[:2]] == ["/api/jobs/150", "/api/jobs/149"]
    assert len(report.paths) == 100
    assert report.omitted_paths == sum(range(1, 51))


def test_steps_checks_and_jobs_are_told_with_what_failed(service: Service) -> None:
    """Each failure stands in one list, with whose it is."""
    window, items = fire(service), service.store.items

    def sessions_ended(step: Any) -> Any:
        return replace(step, status=StepStatus.DONE, count=42, problems=("redis: away",))

    note_step(items, window.id, "sessions", sessions_ended)
    check = RecoveryCheck(name="store_healthy", kind=CheckKind.CHECKED, is_ok=False, detail="slow")
    note_recovery(items, EmergencyRecovery(window_id=window.id, at=NOON, actor="bob", checks=(check,), was_ended=False))
    jobs = [JobRecord(source="rq", id=str(n), queue="q", name="f", fate=fate) for n, fate in enumerate(JobFate)]
    JobLedger(items).add(window.id, jobs)
    JobLedger(items).add("other", [replace(jobs[0], id="other")])

    report = service.report(window.id)

    assert report.sessions_ended == 42
    assert report.job_fates == {"finished": 1, "lost": 1, "running": 1, "stopped": 1, "terminated": 1}
    assert {job.id for job in report.jobs} == {"0", "1", "2", "3", "4"}
    assert sorted(report.failures) == [
        "job 3 of rq: ended, or may have, and nobody can say how",
        "job 4 of rq: could not be ended",
        "recovery by bob, not ended: store_healthy failed: slow",
        "sessions: redis: away",
    ]
    assert report.notifications == ()


@pytest.mark.parametrize(
    ("action", "detail", "failure"),
    [
        ("hook.on_activate", "no plugin implements it", None),
        ("hook.on_activate", "a: ok in 0.01 s; b-c: ok in 12.00 s", None),
        ("hook.on_activate", "a: ok in 0.01 s; b: boom; a: ok in 0.01 s in 0.10 s", "boom"),
        ("hook.on_activate", "b: timed out in 30.00 s", "timed out"),
        ("hook.on_session_invalidate", "a: ok in 0.10 s; everyone's below 3", None),
        ("hook.on_session_invalidate", "a: gone in 0.10 s; everyone's below 3", "gone"),
        ("jobs.stopped", "2 terminated", None),
        ("jobs.stopped", "2 terminated; rq: no answer", "rq: no answer"),
        ("window.holder_lost", "deploy@host", "deploy@host"),
    ],
)
def test_failures_are_found_in_the_trail(service: Service, action: str, detail: str, failure: str | None) -> None:
    """A plugin that failed at night should not be found by reading a hundred lines."""
    window = fire(service)
    record = AuditRecord(
        at=NOON, actor="worker:1", source="agent", action=action, revision=2, window_id=window.id, detail=detail
    )
    state = service.store.load()
    service.store.commit(replace(state, revision=2, commits=()), expected_revision=1, audit=[record])

    failures = service.report(window.id).failures

    assert len(failures) == (failure is not None)
    assert all(failure in each and each.startswith(action) for each in failures if failure is not None)


def test_a_window_that_the_state_has_forgotten_is_reported_on(any_service: Service, clock: FakeClock) -> None:
    """The report is asked for the next morning; the state forgets after five minutes."""
    window = fire(any_service)
    clock.advance(60)
    any_service.disable(actor="bob")
    before = any_service.report(window.id)
    forget(any_service, clock)
    assert any_service.store.load().find(window.id) is None

    report = any_service.report(window.id)

    assert report.heading == before.heading
    assert (report.timeline, report.people, report.ended_by) == (before.timeline, before.people, "bob")
    assert (report.duration, report.session_policy) == (MINUTE, SessionPolicy.REVOKE)
    assert any("the state has forgotten the window" in gap for gap in report.gaps)


def test_without_events_the_audit_trail_is_enough(make_service: MakeService, clock: FakeClock) -> None:
    """A store keeps ten thousand events, and the trail for ever."""
    service = make_service()
    window = fire(service)
    clock.advance(60)
    service.disable(actor="bob")
    bare = make_service()
    bare.store.commit(MaintenanceState(9), expected_revision=0, audit=service.store.audit())

    report = bare.report(window.id)

    assert report.heading == service.report(window.id).heading
    assert (report.duration, report.session_policy) == (MINUTE, SessionPolicy.REVOKE)


def test_when_nobody_lived_to_note_it_the_clock_says_when_it_ended(service: Service, clock: FakeClock) -> None:
    """The timeline has when it became true, not when somebody came to write it down."""
    service.schedule.add(plan_id="w", reason="night", start=NOON + MINUTE, timeout=60, actor="ann")
    clock.advance(3600)
    forget(service, clock)
    forget(service, clock)

    report = service.report("w")

    assert report.heading == service.reports()[-1]
    assert report.heading.owner == "ann"
    assert (report.heading.opened_at, report.heading.ended_at) == (NOON + MINUTE, NOON + 2 * MINUTE)
    assert report.duration == MINUTE
    assert [(entry.action, entry.at) for entry in report.timeline][1:3] == [
        ("window.started", NOON + MINUTE),
        ("window.ended", NOON + 2 * MINUTE),
    ]


@pytest.mark.parametrize("window_id", ["nothing", "", "../x", "w\x00", "\ud800", "x" * 81, '"', "nightly"])
def test_of_what_never_was_there_is_no_report(service: Service, window_id: str) -> None:
    """An empty report on a mistyped id would say that nothing had happened; a schedule is no window."""
    service.schedule.add(
        plan_id="nightly", reason="r", start=NOON + MINUTE, rrule="FREQ=DAILY", timeout=60, actor="ann"
    )

    with pytest.raises(NoSuchWindowError):
        service.report(window_id)


def test_what_cannot_be_read_is_a_gap_and_the_rest_is_told(service: Service) -> None:
    """One broken item must not keep everything else back."""
    window, items = fire(service), service.store.items
    items.put("emergencies", {window.id: b"?", f"{window.id}:recoveries": b"[1]"})
    items.put("ledger", {f"{window.id}:x": b"{}"})

    report = service.report(window.id)

    assert len(report.timeline) == 1
    for what in ("the steps of the emergency", "the checks of its end", "the ledger of jobs"):
        assert any(gap.startswith(f"{what} cannot be read") for gap in report.gaps)


def test_a_trail_that_cannot_be_read_is_not_taken_for_none(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a window that only the trail could know it is not said that it never was."""
    window = fire(service)

    def unreadable(_: str) -> Any:
        raise StoreCorruptError("broken")

    monkeypatch.setattr(service.store, "audit_of", unreadable)

    assert any("the audit trail cannot be read" in gap for gap in service.report(window.id).gaps)
    with pytest.raises(StoreCorruptError):
        service.report("forgotten")


def test_a_long_trail_is_read_in_little_memory(make_service: MakeService, sqlite_url: str) -> None:
    """Of tens of thousands of records the beginning and the end are kept, and the number of the others."""
    service = make_service(sqlite_url)
    window = fire(service)
    record = AuditRecord(
        at=NOON, actor="ann", source="cli", action="x", revision=2, window_id=window.id, detail="d" * 200
    )
    records = [replace(record, detail=f"{number} {record.detail}") for number in range(30_000)]
    state = service.store.load()
    service.store.commit(replace(state, revision=2, commits=()), expected_revision=1, audit=records)
    del records

    tracemalloc.start()
    report = service.report(window.id)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(report.timeline) == 2 * MOST_ENTRIES
    assert report.omitted_entries == 30_001 - 2 * MOST_ENTRIES
    assert report.timeline[0].action == "window.enabled"
    assert report.timeline[-1].detail.startswith("29999 ")
    assert peak < 8e6, peak


def test_what_can_be_reported_on_is_listed_newest_first(any_service: Service, clock: FakeClock) -> None:
    """Open, over and forgotten; what was only planned or cancelled did not happen."""
    old = fire(any_service)
    any_service.disable(actor="bob")
    forget(any_service, clock)
    assert any_service.store.load().find(old.id) is None
    any_service.schedule.add(plan_id="soon", reason="r", start=clock.now() + MINUTE, actor="ann")
    any_service.schedule.add(plan_id="never", reason="r", start=clock.now() + 300 * MINUTE, actor="ann")
    any_service.schedule.cancel("never", actor="ann")
    clock.advance(1)
    new = fire(any_service)

    headings = any_service.reports()

    assert [heading.reason for heading in headings] == ["fire", "next", "fire"]
    assert [(heading.window_id, heading.is_open) for heading in headings[::2]] == [(new.id, True), (old.id, False)]
    assert headings[-1] == any_service.report(old.id).heading
    assert [heading.window_id for heading in any_service.reports(limit=1)] == [new.id]
    assert headings[-1].ended_at == NOON.astimezone(UTC)
    assert headings[-1].mode is Mode.EMERGENCY
