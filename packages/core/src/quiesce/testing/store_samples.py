"""Values that the store's contract writes and looks for again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from ..model import (
    Acknowledgement,
    AuditRecord,
    BypassPass,
    CountKey,
    EventKind,
    Heartbeat,
    Lease,
    MaintenanceEvent,
    MaintenanceState,
    MaintenanceWindow,
    Mode,
    Outcome,
    QuiesceError,
    RequestInFlight,
    Schedule,
    UnknownWorkerError,
    WorkerInfo,
)
from ..stores.base import Store

Reopen = Callable[[], Store]
"""Makes another object on the same data."""

NOON = datetime(2031, 5, 4, 12, 0, 0, 250_000, tzinfo=UTC)
HOSTILE = "naïve ☂ 🚧 \x00\x1b[31m \r\n '\";-- \udcff\ud800 {}%s \u202e" + "x" * 100_000
"""A reason with everything that breaks encodings, escapes and lengths."""
ACKNOWLEDGEMENT = Acknowledgement(
    revision=7,
    windows=frozenset({"a", "b"}),
    in_flight={"job_creation": 2},
    bypassing=1,
    oldest=RequestInFlight("POST", "/jobs/\udcff", 1.5),
    is_stale=True,
    websockets=1,
)


def a_window(reason: str = "Database optimization") -> MaintenanceWindow:
    """Return a window with every field set."""
    return MaintenanceWindow(
        id="w1",
        mode=Mode.EMERGENCY,
        reason=reason,
        owner="anna",
        starts_at=NOON,
        estimated_duration=timedelta(minutes=45),
        ends_at=NOON + timedelta(hours=2),
        operations=frozenset({"job_creation", "payments"}),
        allowed_operations=frozenset({"uploads"}),
        notify_users=False,
        ticket="https://tickets.example/OPS-7",
        announce=(timedelta(hours=24), timedelta(minutes=15)),
        schedule_id="s1",
        lease=Lease(holder="anna@host", seconds=30, releases=True),
        ended_at=NOON + timedelta(hours=1),
        hooks_run=frozenset({"on_activate"}),
        raised=frozenset({"started", "starting_soon:900"}),
    )


def a_schedule() -> Schedule:
    """Return a schedule with every field set."""
    return Schedule(
        id="s1",
        mode=Mode.NORMAL,
        reason="Nightly vacuum",
        owner="anna",
        rule="FREQ=DAILY",
        zone="Europe/Berlin",
        first=datetime(2031, 5, 5, 2, 30),  # noqa: DTZ001 - local time, meant in ``zone``
        length=timedelta(hours=2),
        occurrences=(NOON, NOON + timedelta(days=1)),
        is_exhausted=True,
        estimated_duration=timedelta(minutes=45),
        operations=frozenset({"job_creation"}),
        allowed_operations=frozenset({"uploads"}),
        notify_users=False,
        ticket="OPS-8",
        announce=(timedelta(minutes=15),),
    )


def a_pass() -> BypassPass:
    """Return a bypass pass with every field set."""
    return BypassPass(
        id="0123456789abcdef",
        name="QA, Zoë",
        expires_at=NOON + timedelta(hours=1),
        window_id="w1",
        opens_emergencies=True,
        is_revoked=True,
    )


def an_event(revision: int, number: int = 0, *, reason: str = "Database optimization") -> MaintenanceEvent:
    """Return an event with every field set."""
    return MaintenanceEvent(
        kind=EventKind.STARTED,
        at=NOON,
        revision=revision,
        number=number,
        window_id="w1",
        mode="normal",
        reason=reason,
        actor="anna",
        detail="until noon",
    )


def a_record(revision: int, detail: str = "") -> AuditRecord:
    """Return an audit record about this revision."""
    return AuditRecord(
        at=NOON, actor="anna", source="cli", action="window.enable", revision=revision, window_id="w1", detail=detail
    )


def a_worker(worker_id: str = "host-1-abc", *, pid: int = 4711) -> WorkerInfo:
    """Return a worker of this id."""
    return WorkerInfo(worker_id, "host", pid, "boot/4026531836", 99, "flask", NOON)


def a_count(window_id: str = "w1", *, path: str = "") -> CountKey:
    """Return the key of a count."""
    return CountKey(window_id, "job_creation", Outcome.REFUSED, path)


def beat(store: Store, worker_id: str, *, lease_seconds: float, asks_for_silent: bool = False) -> Heartbeat:
    """Report for a worker that need not be listed yet, asking for the leader's lease."""
    asked = {"lease_seconds": lease_seconds, "asks_for_silent": asks_for_silent}
    try:
        return store.report(worker_id, ACKNOWLEDGEMENT, counts={}, batch=0, **asked)  # type: ignore[arg-type] # as named
    except UnknownWorkerError:
        store.register(a_worker(worker_id))
        return store.report(worker_id, ACKNOWLEDGEMENT, counts={}, batch=0, **asked)  # type: ignore[arg-type] # as named


def commit(store: Store, revision: int, *, detail: str = "") -> None:
    """Commit an empty state of this revision on top of the one before."""
    store.commit(MaintenanceState(revision), expected_revision=revision - 1, audit=[a_record(revision, detail)])


@contextlib.contextmanager
def expects(*errors: type[QuiesceError]) -> Iterator[list[QuiesceError]]:
    """Fail unless the block raises one of ``errors``, which is then in the list."""
    caught: list[QuiesceError] = []
    try:
        yield caught
    except errors as exc:
        caught.append(exc)
    if not caught:
        names = " or ".join(error.__name__ for error in errors)
        raise AssertionError(f"expected {names}, and nothing was raised")
