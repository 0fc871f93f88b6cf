"""Values to JSON and back: what stores keep and what the board carries."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from .decisions import Outcome
from .errors import StoreCorruptError
from .events import EventKind, MaintenanceEvent
from .leases import Lease
from .modes import Mode
from .records import AuditRecord, CountKey
from .schedules import Schedule
from .state import MaintenanceState, revision_of
from .windows import MaintenanceWindow
from .workers import Acknowledgement, RequestInFlight, WorkerInfo


def encode_state(state: MaintenanceState) -> bytes:
    """Return the state as compact UTF-8 JSON."""
    return _dump(
        {
            "revision": state.revision,
            "windows": [_from_window(window) for window in state.windows],
            "schedules": [_from_schedule(schedule) for schedule in state.schedules],
            "commits": list(state.commits),
        }
    )


def decode_state(data: bytes | str) -> MaintenanceState:
    """Return the state that ``encode_state`` wrote.

    Raises:
        StoreCorruptError: the data is no such thing.
    """

    def build(raw: Any) -> MaintenanceState:
        return MaintenanceState(
            _to_revision(raw["revision"]),
            tuple(_to_window(item) for item in raw["windows"]),
            tuple(_to_schedule(item) for item in raw["schedules"]),
            tuple(map(_to_commit, raw["commits"])),
        )

    return _decode("state", data, build)


def encode_worker(worker: WorkerInfo) -> bytes:
    """Return the worker as compact UTF-8 JSON."""
    return _dump(
        {name: getattr(worker, name) for name in _WORKER_FIELDS} | {"started_at": _from_time(worker.started_at)}
    )


def decode_worker(data: bytes | str) -> WorkerInfo:
    """Return the worker that ``encode_worker`` wrote; raises ``StoreCorruptError``."""

    def build(raw: Any) -> WorkerInfo:
        return WorkerInfo(**{name: raw[name] for name in _WORKER_FIELDS}, started_at=_to_time(raw["started_at"]))

    return _decode("worker", data, build)


def encode_acknowledgement(acknowledgement: Acknowledgement) -> bytes:
    """Return the acknowledgement as compact UTF-8 JSON."""
    oldest = acknowledgement.oldest
    return _dump(
        {
            "revision": acknowledgement.revision,
            "windows": sorted(acknowledgement.windows),
            "in_flight": dict(acknowledgement.in_flight),
            "bypassing": acknowledgement.bypassing,
            "oldest": None if oldest is None else [oldest.method, oldest.path, oldest.age],
            "is_stale": acknowledgement.is_stale,
            "jobs": dict(acknowledgement.jobs),
        }
    )


def decode_acknowledgement(data: bytes | str) -> Acknowledgement:
    """Return the acknowledgement that ``encode_acknowledgement`` wrote; raises ``StoreCorruptError``."""

    def build(raw: Any) -> Acknowledgement:
        return Acknowledgement(
            revision=_to_revision(raw["revision"]),
            windows=frozenset(raw["windows"]),
            in_flight={str(name): int(count) for name, count in raw["in_flight"].items()},
            bypassing=int(raw["bypassing"]),
            oldest=None if raw["oldest"] is None else RequestInFlight(*raw["oldest"]),
            is_stale=bool(raw["is_stale"]),
            jobs={str(kind): int(count) for kind, count in raw["jobs"].items()},
        )

    return _decode("acknowledgement", data, build)


def encode_audit(record: AuditRecord) -> bytes:
    """Return the audit record as compact UTF-8 JSON."""
    return _dump({name: getattr(record, name) for name in _AUDIT_FIELDS} | {"at": _from_time(record.at)})


def decode_audit(data: bytes | str) -> AuditRecord:
    """Return the audit record that ``encode_audit`` wrote; raises ``StoreCorruptError``."""

    def build(raw: Any) -> AuditRecord:
        return AuditRecord(**{name: raw[name] for name in _AUDIT_FIELDS}, at=_to_time(raw["at"]))

    return _decode("audit record", data, build)


def encode_event(event: MaintenanceEvent) -> bytes:
    """Return the event as compact UTF-8 JSON."""
    return _dump({name: getattr(event, name) for name in _EVENT_FIELDS} | {"at": _from_time(event.at)})


def decode_event(data: bytes | str) -> MaintenanceEvent:
    """Return the event that ``encode_event`` wrote; raises ``StoreCorruptError``."""

    def build(raw: Any) -> MaintenanceEvent:
        facts = {name: raw[name] for name in _EVENT_FIELDS} | {"kind": EventKind(raw["kind"])}
        return MaintenanceEvent(**facts, at=_to_time(raw["at"]))

    return _decode("event", data, build)


def encode_count_key(key: CountKey) -> bytes:
    """Return the key of a count as compact UTF-8 JSON; equal keys give equal bytes."""
    return _dump([key.window_id, key.operation, str(key.outcome), key.path])


def decode_count_key(data: bytes | str) -> CountKey:
    """Return the key that ``encode_count_key`` wrote; raises ``StoreCorruptError``."""

    def build(raw: Any) -> CountKey:
        window_id, operation, outcome, path = raw
        return CountKey(window_id, operation, Outcome(outcome), path)

    return _decode("count key", data, build)


T = TypeVar("T")

_LAST_REVISION = 2**63 - 1
_WORKER_FIELDS = ("id", "host", "pid", "machine", "process_started", "framework")
_EVENT_FIELDS = ("kind", "revision", "number", "window_id", "mode", "reason", "actor", "detail")
_AUDIT_FIELDS = ("actor", "source", "action", "revision", "window_id", "detail")


def _from_window(window: MaintenanceWindow) -> dict[str, Any]:
    lease = window.lease
    return _from_plan(window) | {
        "starts_at": _from_time(window.starts_at),
        "ends_at": _from_time(window.ends_at),
        "schedule_id": window.schedule_id,
        "lease": None if lease is None else [lease.holder, lease.seconds, lease.releases],
        "is_immediate": window.is_immediate,
        "ended_at": _from_time(window.ended_at),
        "hooks_run": sorted(window.hooks_run),
        "raised": sorted(window.raised),
    }


def _to_window(raw: Any) -> MaintenanceWindow:
    return MaintenanceWindow(
        **_to_plan(raw),
        starts_at=_to_time(raw["starts_at"]),
        ends_at=_to_time_or_none(raw["ends_at"]),
        schedule_id=None if raw["schedule_id"] is None else str(raw["schedule_id"]),
        lease=None if raw["lease"] is None else _to_lease(*raw["lease"]),
        is_immediate=bool(raw["is_immediate"]),
        ended_at=_to_time_or_none(raw["ended_at"]),
        hooks_run=frozenset(raw["hooks_run"]),
        raised=frozenset(raw["raised"]),
    )


def _from_schedule(schedule: Schedule) -> dict[str, Any]:
    return _from_plan(schedule) | {
        "rule": schedule.rule,
        "zone": schedule.zone,
        "first": schedule.first.isoformat(),
        "length": schedule.length.total_seconds(),
        "occurrences": [_from_time(start) for start in schedule.occurrences],
        "is_exhausted": schedule.is_exhausted,
    }


def _to_schedule(raw: Any) -> Schedule:
    return Schedule(
        **_to_plan(raw),
        rule=str(raw["rule"]),
        zone=str(raw["zone"]),
        first=datetime.fromisoformat(raw["first"]),
        length=timedelta(seconds=raw["length"]),
        occurrences=tuple(map(_to_time, raw["occurrences"])),
        is_exhausted=bool(raw["is_exhausted"]),
    )


def _from_plan(plan: MaintenanceWindow | Schedule) -> dict[str, Any]:
    """Return what windows and schedules have in common."""
    estimate = plan.estimated_duration
    return {
        "id": plan.id,
        "mode": str(plan.mode),
        "reason": plan.reason,
        "owner": plan.owner,
        "estimated_seconds": None if estimate is None else estimate.total_seconds(),
        "operations": None if plan.operations is None else sorted(plan.operations),
        "allowed_operations": sorted(plan.allowed_operations),
        "notify_users": plan.notify_users,
        "ticket": plan.ticket,
        "announce": [before.total_seconds() for before in plan.announce],
        "created_in": plan.created_in,
    }


def _to_plan(raw: Any) -> dict[str, Any]:
    estimate, operations = raw["estimated_seconds"], raw["operations"]
    return {
        "id": str(raw["id"]),
        "mode": Mode(raw["mode"]),
        "reason": str(raw["reason"]),
        "owner": str(raw["owner"]),
        "estimated_duration": None if estimate is None else timedelta(seconds=estimate),
        "operations": None if operations is None else frozenset(operations),
        "allowed_operations": frozenset(raw["allowed_operations"]),
        "notify_users": bool(raw["notify_users"]),
        "ticket": str(raw["ticket"]),
        "announce": tuple(timedelta(seconds=before) for before in raw["announce"]),
        "created_in": str(raw["created_in"]),
    }


def _to_lease(holder: Any, seconds: Any, releases: Any) -> Lease:
    return Lease(holder=str(holder), seconds=float(seconds), releases=bool(releases))


def _to_revision(raw: Any) -> int:
    if type(raw) is not int or not 0 <= raw <= _LAST_REVISION:
        raise ValueError(f"{raw!r:.40} is no revision")
    return raw


def _to_commit(raw: Any) -> str:
    if not isinstance(raw, str) or revision_of(raw) < 1:
        raise ValueError(f"{raw!r:.40} is no commit")
    return raw


def _from_time(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat()


def _to_time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return at.astimezone(UTC)


def _to_time_or_none(text: str | None) -> datetime | None:
    return None if text is None else _to_time(text)


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def _decode(what: str, data: bytes | str, build: Callable[[Any], T]) -> T:
    try:
        text = data if isinstance(data, str) else data.decode("utf-8", "surrogatepass")
        return build(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as exc:
        raise StoreCorruptError(f"stored {what} cannot be read: {exc!r:.200}") from exc
