"""The commands on what is planned: windows to come, once or by a rule."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Unpack

from ..model import EventKind, InvalidValueError, MaintenanceState, MaintenanceWindow, Mode, Schedule
from .commands import sessions_of, with_windows
from .journal import Journal, describe_opening
from .plan_fields import PlanFields, checked_plan, plan_of
from .planning import (
    Plan,
    check_id_is_free,
    check_overlap,
    find,
    find_planned,
    make_schedule,
    make_window,
    with_schedule,
    without_schedule,
)
from .runtime import Runtime
from .validation import check_actor, check_id
from .writing import CommandWriter


@dataclass(frozen=True, slots=True)
class Agenda:
    """What is open and what is planned.

    Attributes:
        windows: open ones, and those to come that are known, by start; recurring ones included.
        schedules: in the order in which they were made.
    """

    windows: tuple[MaintenanceWindow, ...]
    schedules: tuple[Schedule, ...]


class MaintenanceSchedule:
    """Plans windows; reached as ``service.schedule``.

    Every method raises ``StoreError`` when the store does not answer. When it raises anything else nothing has changed.
    """

    def __init__(self, runtime: Runtime, *, writer: CommandWriter) -> None:
        self._runtime = runtime
        self._writer = writer

    def add(
        self,
        *,
        plan_id: str | None = None,
        overlap: bool = False,
        actor: str,
        source: str = "api",
        **fields: Unpack[PlanFields],
    ) -> MaintenanceWindow | Schedule:
        """Plan a window, or with ``rrule`` many; return it once it is committed.

        Args:
            plan_id: chosen by the caller, else made up.
            overlap: plan it although another window of the mode is planned or open then.
            actor: who asks.
            source: through what: ``cli``, ``http``, ``api``.
            **fields: see ``PlanFields``; ``reason`` and ``start`` must be among them.

        Raises:
            InvalidValueError: something asked for is not valid.
            IdTakenError: there is a window or schedule of this id.
            WindowOpenError: another window of the mode is planned or open then.
        """
        for field in ("reason", "start"):
            if field not in fields:
                raise InvalidValueError(field, "must be given")
        actor = check_actor(actor)
        empty = Plan(
            id=os.urandom(4).hex() if plan_id is None else check_id(plan_id),
            mode=Mode.NORMAL,
            reason="",
            owner=actor,
            start=datetime.max,  # noqa: DTZ901 - a field that must be given takes its place
            zone="UTC",
            length=timedelta(0),
            duration=None,
            rule="",
            operations=None,
            allowed_operations=frozenset(),
            announce=(),
            notify_users=True,
            ticket="",
            sessions=None,
        )
        plan = checked_plan(
            empty,
            fields,
            check_operations=self._writer.check_operations,
            default_length=self._runtime.settings.default_timeout,
        )
        plan = self._with_sessions(plan)

        def change(state: MaintenanceState, now: datetime, journal: Journal) -> MaintenanceState:
            check_id_is_free(state, plan.id)
            planned = make_schedule(plan, now=now) if plan.rule else make_window(plan, now=now)
            return _place(state, planned, journal=journal, now=now, overlap=overlap, kind=EventKind.SCHEDULED)

        return find(self._writer.commit(change, actor=actor, source=source, adds=True), plan.id)

    def agenda(self) -> Agenda:
        """Return what is open and what is planned, without what is over."""
        state, now = self._runtime.committer.load(), self._runtime.clock.now()
        known = sorted(state.all_windows(), key=lambda window: (window.starts_at, window.id))
        return Agenda(tuple(window for window in known if not window.is_over(now)), state.schedules)

    def get(self, plan_id: str) -> MaintenanceWindow | Schedule:
        """Return the window or schedule of this id, also one that is over but not forgotten.

        Raises:
            NoSuchWindowError: there is none.
        """
        return find(self._runtime.committer.load(), plan_id)

    def cancel(self, plan_id: str, *, actor: str, source: str = "api") -> MaintenanceWindow | Schedule:
        """Take back a window to come, or a schedule, and return it; what a schedule has open now stays open.

        Raises:
            NoSuchWindowError: nothing of this id is planned.
            WindowOpenError: it is open already.
        """
        actor = check_actor(actor)
        cancelled: list[MaintenanceWindow | Schedule] = []

        def change(state: MaintenanceState, now: datetime, journal: Journal) -> MaintenanceState:
            planned = find_planned(state, plan_id, now=now)
            journal.tell(EventKind.CANCELLED, planned)
            if isinstance(planned, Schedule):
                cancelled[:] = [planned]
                return without_schedule(state, planned, now=now)
            cancelled[:] = ended = [replace(planned, ended_at=now)]
            return with_windows(state, ended)

        self._writer.commit(change, actor=actor, source=source)
        return cancelled[0]

    def change(
        self,
        plan_id: str,
        *,
        overlap: bool = False,
        actor: str,
        source: str = "api",
        **fields: Unpack[PlanFields],
    ) -> MaintenanceWindow | Schedule:
        """Change a window to come, or a schedule, in the fields that are given; return it.

        A schedule's windows that were changed or cancelled one by one stay as they are.

        Raises:
            InvalidValueError: something asked for is not valid.
            NoSuchWindowError: nothing of this id is planned.
            WindowOpenError: it is open already, or would overlap another of its mode.
        """
        if not fields:
            raise InvalidValueError("change", "names nothing to change")
        actor = check_actor(actor)

        def change(state: MaintenanceState, now: datetime, journal: Journal) -> MaintenanceState:
            planned = find_planned(state, plan_id, now=now)
            plan = checked_plan(plan_of(planned), fields, check_operations=self._writer.check_operations)
            plan = self._with_sessions(plan)
            if bool(plan.rule) != isinstance(planned, Schedule):
                raise InvalidValueError("rrule", "cannot be given to a single window, or taken from a schedule")
            changed: MaintenanceWindow | Schedule
            if isinstance(planned, Schedule):
                changed = make_schedule(plan, now=now, may_have_begun="start" not in fields)
            else:
                changed = replace(make_window(plan, now=now), schedule_id=planned.schedule_id)
            return _place(state, changed, journal=journal, now=now, overlap=overlap, kind=EventKind.CHANGED)

        return find(self._writer.commit(change, actor=actor, source=source, adds=True), plan_id)

    def _with_sessions(self, plan: Plan) -> Plan:
        ends = self._runtime.settings.emergency_session_cleanup
        return replace(plan, sessions=sessions_of(plan.mode, plan.sessions, emergencies_end_sessions=ends))


def _place(
    state: MaintenanceState,
    planned: MaintenanceWindow | Schedule,
    *,
    journal: Journal,
    now: datetime,
    overlap: bool,
    kind: EventKind,
) -> MaintenanceState:
    windows = list(planned.windows()) if isinstance(planned, Schedule) else [planned]
    if not overlap:
        check_overlap(state, windows, now=now, replaced=planned.id)
    first = windows[0].starts_at.astimezone(UTC)
    detail = f"from {first:%Y-%m-%dT%H:%M:%SZ}: {describe_opening(windows[0])}"
    if isinstance(planned, Schedule):
        detail += f"; {planned.rule} in {planned.zone}"
        journal.tell(kind, planned, detail=detail)
        return with_schedule(state, planned, now=now)
    journal.tell(kind, planned, detail=detail)
    return with_windows(state, [planned])
