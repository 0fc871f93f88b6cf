"""Windows and schedules as the members of JSON objects, and back; what says nothing is left out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from .leases import Lease
from .modes import Mode
from .schedules import Schedule
from .sessions import SessionEpoch, SessionPolicy, UserRevocation
from .windows import MaintenanceWindow

_DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(("estimated_seconds", "ends_at", "operations", "schedule_id", "lease", "ended_at", "sessions")),
    **{name: [] for name in ("allowed_operations", "announce", "hooks_run", "raised")},
    **dict.fromkeys(("ticket", "created_in"), ""),
    **dict.fromkeys(("is_immediate", "is_exhausted"), False),
    "notify_users": True,
}


def window_members(window: MaintenanceWindow) -> dict[str, Any]:
    """Return a window as what JSON can hold."""
    lease = window.lease
    return _short(
        _from_plan(window)
        | {
            "starts_at": time_text(window.starts_at),
            "ends_at": time_text(window.ends_at),
            "schedule_id": window.schedule_id,
            "lease": None if lease is None else [lease.holder, lease.seconds, lease.releases],
            "is_immediate": window.is_immediate,
            "ended_at": time_text(window.ended_at),
            "hooks_run": sorted(window.hooks_run),
            "raised": sorted(window.raised),
        }
    )


def window_of(raw: Any) -> MaintenanceWindow:
    """Return the window of these members; may raise what comes of wrong ones."""
    raw = _DEFAULTS | raw
    return MaintenanceWindow(
        **_to_plan(raw),
        starts_at=time_of(raw["starts_at"]),
        ends_at=_time_or_none(raw["ends_at"]),
        schedule_id=None if raw["schedule_id"] is None else str(raw["schedule_id"]),
        lease=None if raw["lease"] is None else _to_lease(*raw["lease"]),
        is_immediate=bool(raw["is_immediate"]),
        ended_at=_time_or_none(raw["ended_at"]),
        hooks_run=frozenset(raw["hooks_run"]),
        raised=frozenset(raw["raised"]),
    )


def schedule_members(schedule: Schedule) -> dict[str, Any]:
    """Return a schedule as what JSON can hold."""
    return _short(
        _from_plan(schedule)
        | {
            "rule": schedule.rule,
            "zone": schedule.zone,
            "first": schedule.first.isoformat(),
            "length": schedule.length.total_seconds(),
            "occurrences": [time_text(start) for start in schedule.occurrences],
            "is_exhausted": schedule.is_exhausted,
        }
    )


def schedule_of(raw: Any) -> Schedule:
    """Return the schedule of these members; may raise what comes of wrong ones."""
    raw = _DEFAULTS | raw
    return Schedule(
        **_to_plan(raw),
        rule=str(raw["rule"]),
        zone=str(raw["zone"]),
        first=datetime.fromisoformat(raw["first"]),
        length=timedelta(seconds=raw["length"]),
        occurrences=tuple(map(time_of, raw["occurrences"])),
        is_exhausted=bool(raw["is_exhausted"]),
    )


def epoch_members(epoch: SessionEpoch) -> list[Any]:
    """Return the epoch of sessions as what JSON can hold."""
    users = [[user.user_id, user.generation, time_text(user.at)] for user in epoch.users]
    return [epoch.generation, epoch.valid_from, time_text(epoch.valid_after), users, epoch.window_id]


def epoch_of(raw: Any) -> SessionEpoch:
    """Return the epoch of these members; may raise what comes of wrong ones."""
    generation, valid_from, valid_after, users, window_id = raw
    return SessionEpoch(
        int(generation),
        int(valid_from),
        _time_or_none(valid_after),
        tuple(UserRevocation(str(user_id), int(number), time_of(at)) for user_id, number, at in users),
        None if window_id is None else str(window_id),
    )


def _short(members: dict[str, Any]) -> dict[str, Any]:
    """Return the members without those that say nothing: the whole state must fit onto the board."""
    return {name: value for name, value in members.items() if name not in _DEFAULTS or value != _DEFAULTS[name]}


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
        "sessions": None if plan.sessions is None else str(plan.sessions),
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
        "sessions": None if raw["sessions"] is None else SessionPolicy(raw["sessions"]),
    }


def _to_lease(holder: Any, seconds: Any, releases: Any) -> Lease:
    return Lease(holder=str(holder), seconds=float(seconds), releases=bool(releases))


def time_text(at: datetime | None) -> str | None:
    """Return a time as RFC 3339 in UTC."""
    return None if at is None else at.astimezone(UTC).isoformat()


def time_of(text: str) -> datetime:
    """Return the time (UTC) of a text that names its zone."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return at.astimezone(UTC)


def _time_or_none(text: str | None) -> datetime | None:
    return None if text is None else time_of(text)
