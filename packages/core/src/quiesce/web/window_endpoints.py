"""The endpoints on what is planned: windows to come and schedules, made, read, changed and cancelled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..control import EnhancedMaintenanceModeService
from ..model import MaintenanceWindow, Mode, Schedule
from .bodies import NUMBER, FieldTypes, read_body
from .documents import schedule_document, window_document
from .exchange import ApiResponse, json_response
from .routing import PREFIX, Call, Endpoint, Route
from .second_proof import is_emergency, require_second_proof

_PLAN: FieldTypes = {
    "reason": str,
    "start": str,
    "zone": str,
    "mode": str,
    "duration": NUMBER,
    "timeout": NUMBER,
    "end": str,
    "rrule": str,
    "operations": list,
    "allow": list,
    "announce": list,
    "notify_users": bool,
    "ticket": str,
    "owner": str,
    "sessions": str,
    "overlap": bool,
    "proof": str,
}
_CLEARED: Mapping[str, Any] = {
    "allow": None,
    "announce": (),
    "duration": None,
    "operations": None,
    "sessions": None,
    "ticket": "",
}
"""What a plan can be without, and what stands for that; elsewhere ``null`` leaves things as they are."""


class WindowEndpoints:
    """Plans windows with one service."""

    def __init__(self, service: EnhancedMaintenanceModeService) -> None:
        self._service = service

    def endpoints(self) -> Iterator[Endpoint]:
        """Yield each endpoint with its route."""
        one = f"{PREFIX}/windows/{{id}}"
        endpoints = (
            ("GET", f"{PREFIX}/windows", "windows", "What is open and what is planned", self._list),
            ("POST", f"{PREFIX}/windows", "plan_window", "Plan a window, or with a rule many", self._plan),
            ("GET", one, "window", "One window or schedule", self._show),
            ("PATCH", one, "change_window", "Change a window to come, or a schedule", self._change),
            ("DELETE", one, "cancel_window", "Cancel a window to come, or a schedule", self._cancel),
        )
        for method, path, name, summary, answer in endpoints:
            yield Route(method, path, name, summary, needs_admin=True), answer

    def _list(self, _call: Call) -> ApiResponse:
        agenda, now = self._service.schedule.agenda(), self._service.clock.now()
        return json_response(
            {
                "windows": [window_document(window, now=now) for window in agenda.windows],
                "schedules": [schedule_document(schedule, now=now) for schedule in agenda.schedules],
            }
        )

    def _plan(self, call: Call) -> ApiResponse:
        asked = read_body(call.request, fields={"id": str, **_PLAN})
        plan_id, proof = asked.pop("id", None), asked.pop("proof", None)
        if is_emergency(asked.get("mode", Mode.NORMAL)):
            require_second_proof(self._service, call, given=proof)
        planned = self._service.schedule.add(plan_id=plan_id, **asked, actor=call.actor, source=call.source)
        answer = self._described(planned, status=201)
        # Relative to the path that was asked (RFC 9110 §10.2.2), whatever prefix a proxy or a mount puts before it.
        return ApiResponse(answer.status, (*answer.headers, ("location", f"windows/{planned.id}")), answer.body)

    def _show(self, call: Call) -> ApiResponse:
        return self._described(self._service.schedule.get(call.id))

    def _change(self, call: Call) -> ApiResponse:
        asked = read_body(call.request, fields=_PLAN, nullable=_CLEARED)
        proof = asked.pop("proof", None)
        # What becomes an emergency, and what is one and stays it: moved to now, it would be opened.
        if is_emergency(asked.get("mode") or self._service.schedule.get(call.id).mode):
            require_second_proof(self._service, call, given=proof)
        fields = {name: _CLEARED[name] if value is None else value for name, value in asked.items()}
        return self._described(self._service.schedule.change(call.id, **fields, actor=call.actor, source=call.source))

    def _cancel(self, call: Call) -> ApiResponse:
        read_body(call.request, fields={})
        return self._described(self._service.schedule.cancel(call.id, actor=call.actor, source=call.source))

    def _described(self, planned: MaintenanceWindow | Schedule, *, status: int = 200) -> ApiResponse:
        now = self._service.clock.now()
        if isinstance(planned, Schedule):
            return json_response({"schedule": schedule_document(planned, now=now)}, status=status)
        return json_response({"window": window_document(planned, now=now)}, status=status)
