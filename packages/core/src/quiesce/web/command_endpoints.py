"""The endpoints that act on what is open: enable, disable, extend."""

from __future__ import annotations

from collections.abc import Iterator

from ..control import EnhancedMaintenanceModeService
from ..model import InvalidValueError, MaintenanceWindow, Mode
from .bodies import NUMBER, FieldTypes, read_body
from .documents import status_document, window_document
from .exchange import ApiResponse, json_response
from .routing import PREFIX, Call, Endpoint, Route
from .second_proof import is_emergency, require_second_proof

_ENABLE: FieldTypes = {
    "reason": str,
    "duration": NUMBER,
    "mode": str,
    "timeout": NUMBER,
    "operations": list,
    "allow": list,
    "notify_users": bool,
    "ticket": str,
    "overlap": bool,
    "sessions": str,
    "proof": str,
}


class CommandEndpoints:
    """Carries out commands with one service."""

    def __init__(self, service: EnhancedMaintenanceModeService) -> None:
        self._service = service

    def endpoints(self) -> Iterator[Endpoint]:
        """Yield each endpoint with its route."""
        commands = (
            ("enable", "Open a window now", self._enable),
            ("disable", "End the open window", self._disable),
            ("extend", "Move estimate and timeout", self._extend),
        )
        for name, summary, answer in commands:
            yield Route("POST", f"{PREFIX}/{name}", name, summary, needs_admin=True), answer

    def _enable(self, call: Call) -> ApiResponse:
        asked = read_body(call.request, fields=_ENABLE)
        if "reason" not in asked:
            raise InvalidValueError("reason", "must be given")
        proof = asked.pop("proof", None)
        if is_emergency(asked.get("mode", Mode.NORMAL)):
            require_second_proof(self._service, call, given=proof)
        return self._changed(self._service.enable(**asked, actor=call.actor, source=call.source))

    def _disable(self, call: Call) -> ApiResponse:
        asked = read_body(call.request, fields={"window_id": str, "all": bool})
        return self._changed(
            *self._service.disable(
                window_id=asked.get("window_id"), end_all=asked.get("all", False), actor=call.actor, source=call.source
            )
        )

    def _extend(self, call: Call) -> ApiResponse:
        asked = read_body(call.request, fields={"by": NUMBER, "window_id": str})
        if "by" not in asked:
            raise InvalidValueError("by", "must be given")
        return self._changed(
            self._service.extend(by=asked["by"], window_id=asked.get("window_id"), actor=call.actor, source=call.source)
        )

    def _changed(self, *windows: MaintenanceWindow) -> ApiResponse:
        status = status_document(self._service.get_maintenance_status())
        now = self._service.clock.now()
        return json_response(status | {"changed": [window_document(window, now=now) for window in windows]})
