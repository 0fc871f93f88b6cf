"""The endpoints on emergencies: begin one, see how far its steps are, end it by its checklist."""

from __future__ import annotations

from collections.abc import Iterator

from ..control import EnhancedMaintenanceModeService
from ..control.emergency import EmergencyMaintenanceHandler
from ..model import InvalidValueError, NoOpenWindowError
from .bodies import NUMBER, FieldTypes, read_body
from .documents import window_document
from .emergency_documents import checks_document, progress_document, recovery_document
from .exchange import ApiResponse, json_response
from .routing import PREFIX, Call, Endpoint, Route
from .second_proof import PROOF_FIELD, require_second_proof

_BEGIN: FieldTypes = {
    "reason": str,
    "duration": NUMBER,
    "timeout": NUMBER,
    "operations": list,
    "allow": list,
    "notify_users": bool,
    "ticket": str,
    "overlap": bool,
    "sessions": str,
    PROOF_FIELD: str,
}
_RECOVER: FieldTypes = {
    "window_id": str,
    "threat_resolved": str,
    "is_ledger_reviewed": bool,
    "force": bool,
    "check_only": bool,
}


class EmergencyEndpoints:
    """Looks after the emergencies of one service."""

    def __init__(self, service: EnhancedMaintenanceModeService) -> None:
        self._service = service

    def endpoints(self) -> Iterator[Endpoint]:
        """Yield each endpoint with its route."""
        endpoints = (
            ("POST", "emergency", "begin_emergency", "Refuse everything but admins, now", self._begin),
            ("GET", "emergency", "emergency", "How far the steps of an emergency are", self._progress),
            ("POST", "recover", "recover", "End an emergency by its checklist", self._recover),
        )
        for method, path, name, summary, answer in endpoints:
            yield Route(method, f"{PREFIX}/{path}", name, summary, needs_admin=True), answer

    @property
    def _handler(self) -> EmergencyMaintenanceHandler:
        return self._service.emergency

    def _begin(self, call: Call) -> ApiResponse:
        asked = read_body(call.request, fields=_BEGIN)
        if "reason" not in asked:
            raise InvalidValueError("reason", "must be given")
        require_second_proof(self._service, call, given=asked.pop(PROOF_FIELD, None))
        window = self._handler.activate(**asked, actor=call.actor, source=call.source)
        document = {
            "window": window_document(window, now=self._service.clock.now()),
            "emergency": progress_document(self._handler.progress(window.id)),
        }
        return json_response(document, status=202)

    def _progress(self, call: Call) -> ApiResponse:
        window_id = call.request.query.get("window")
        try:
            progress = self._handler.progress(window_id)
        except NoOpenWindowError:  # nothing is on, which is an answer to somebody who watches
            return json_response({"emergency": None})
        return json_response({"emergency": progress_document(progress)})

    def _recover(self, call: Call) -> ApiResponse:
        asked = read_body(call.request, fields=_RECOVER)
        window_id = asked.pop("window_id", None)
        if asked.pop("check_only", False):
            asked.pop("force", None)
            return json_response(
                {"recovery": None, "checks": checks_document(self._handler.checklist(window_id, **asked))}
            )
        recovery = self._handler.recover(window_id, **asked, actor=call.actor, source=call.source)
        return json_response({"recovery": recovery_document(recovery), "checks": checks_document(recovery.checks)})
