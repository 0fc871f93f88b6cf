"""What may be said of a plan, by ``schedule.add`` and ``schedule.change`` alike, and the checks of each field."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypedDict

from ..model import InvalidValueError, MaintenanceWindow, Mode, OperationType, Schedule, SessionPolicy
from .planning import Plan
from .recurrence import check_zone, to_instant
from .validation import (
    check_actor,
    check_announcements,
    check_duration,
    check_mode,
    check_moment,
    check_reason,
    check_session_policy,
    check_ticket,
)

CheckOperations = Callable[[object, str], frozenset[str] | None]
"""Checks a list of operation types that a field of this name holds."""


class PlanFields(TypedDict, total=False):
    """The fields of a plan.

    Attributes:
        reason: what users and the audit trail are told.
        start: a time, or its ISO 8601 text; without an offset it is local time in ``zone``.
        zone: an IANA time zone; ``UTC`` unless given.
        mode: ``normal`` unless given, ``emergency`` or ``test``.
        duration: estimate, as a span or in seconds.
        timeout: from the start, after which it is over; ``MAINTENANCE_DEFAULT_TIMEOUT`` unless ``end`` is given.
        end: the timeout as a time, like ``start``; excludes ``timeout``.
        rrule: an RFC 5545 recurrence rule of at least daily frequency; needs ``quiesce[schedule]``.
        operations: the types to cover; ``None``: the mode's default.
        allow: types that pass all the same.
        announce: how long before the start ``starting_soon`` is raised.
        notify_users: whether users are told.
        ticket: a link or number.
        owner: whose window it is; the actor unless given.
        sessions: ``revoke``, ``suspend`` or ``keep``; ``None``: what a window does that says nothing.
    """

    reason: str
    start: datetime | str
    zone: str
    mode: Mode | str
    duration: timedelta | float | None
    timeout: timedelta | float | None
    end: datetime | str | None
    rrule: str | None
    operations: Iterable[OperationType | str] | None
    allow: Iterable[OperationType | str] | None
    announce: Iterable[timedelta | float]
    notify_users: bool
    ticket: str
    owner: str
    sessions: SessionPolicy | str | None


def checked_plan(
    plan: Plan, fields: PlanFields, *, check_operations: CheckOperations, default_length: timedelta | None = None
) -> Plan:
    """Return the plan with the fields that are given; ``plan`` holds what the others are.

    Args:
        plan: what holds unless a field says otherwise.
        fields: as asked for.
        check_operations: knows the operation types.
        default_length: from start to timeout, when no field says it; ``None``: as in ``plan``.

    Raises:
        InvalidValueError: a field is not valid, or there is none of its name.
    """
    checks: dict[str, tuple[str, Callable[[Any], Any]]] = {
        "reason": ("reason", check_reason),
        "start": ("start", lambda value: check_moment("start", value)),
        "zone": ("zone", lambda value: check_zone(value).key),
        "mode": ("mode", check_mode),
        "duration": ("duration", lambda value: check_duration("duration", value)),
        "rrule": ("rule", _check_rule),
        "operations": ("operations", lambda value: check_operations(value, "operations")),
        "allow": ("allowed_operations", lambda value: check_operations(value, "allow") or frozenset()),
        "announce": ("announce", check_announcements),
        "notify_users": ("notify_users", bool),
        "ticket": ("ticket", check_ticket),
        "owner": ("owner", lambda value: check_actor(value, field="owner")),
        "sessions": ("sessions", check_session_policy),
    }
    given: dict[str, Any] = dict(fields)
    timeout, end = given.pop("timeout", None), given.pop("end", None)
    for field in given:
        if field not in checks:
            raise InvalidValueError(f"{field:.80}", "is no field of a plan")
    asked = {checks[field][0]: checks[field][1](value) for field, value in given.items()}
    plan = replace(plan, **asked)
    if timeout is not None and end is not None:
        raise InvalidValueError("end", "and timeout exclude each other")
    if timeout is not None:
        length = check_duration("timeout", timeout) or plan.length
    elif end is not None:
        length = _instant(plan, "end", end) - _instant(plan, "start", plan.start)
        if length <= timedelta(0):
            raise InvalidValueError("end", "is not after the start")
        check_duration("end", length)
    else:
        length = plan.length if default_length is None else max(default_length, plan.duration or timedelta(0))
    if plan.duration is not None and length < plan.duration:
        if timeout is None and end is None:
            raise InvalidValueError("duration", "is longer than the window; move its timeout or end too")
        raise InvalidValueError(
            "end" if end is not None else "timeout", "comes before the estimated duration has passed"
        )
    return replace(plan, length=length)


def plan_of(planned: MaintenanceWindow | Schedule) -> Plan:
    """Return the plan that gives this window or schedule again."""
    if isinstance(planned, Schedule):
        start, zone, length, rule = planned.first, planned.zone, planned.length, planned.rule
    else:
        start, zone, rule = planned.starts_at, "UTC", ""
        length = (planned.ends_at or start) - start
    return Plan(
        id=planned.id,
        mode=planned.mode,
        reason=planned.reason,
        owner=planned.owner,
        start=start,
        zone=zone,
        length=length,
        duration=planned.estimated_duration,
        rule=rule,
        operations=planned.operations,
        allowed_operations=planned.allowed_operations,
        announce=planned.announce,
        notify_users=planned.notify_users,
        ticket=planned.ticket,
        sessions=planned.sessions,
    )


def _instant(plan: Plan, field: str, moment: datetime | str) -> datetime:
    at = check_moment(field, moment)
    return at if at.tzinfo is not None else to_instant(field, at, check_zone(plan.zone))


def _check_rule(rule: object) -> str:
    if rule is not None and not isinstance(rule, str):
        raise InvalidValueError("rrule", "must be a text")
    return (rule or "").strip()
