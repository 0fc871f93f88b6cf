"""The endpoint on alerts: those that are open."""

from __future__ import annotations

from collections.abc import Iterator

from ..control import EnhancedMaintenanceModeService
from .alert_documents import alerts_document
from .exchange import ApiResponse, json_response
from .routing import PREFIX, Call, Endpoint, Route


class AlertEndpoints:
    """Tells which alerts of one service are open."""

    def __init__(self, service: EnhancedMaintenanceModeService) -> None:
        self._service = service

    def endpoints(self) -> Iterator[Endpoint]:
        """Yield each endpoint with its route."""
        yield Route("GET", f"{PREFIX}/alerts", "alerts", "Which alerts are open", needs_admin=True), self._list

    def _list(self, _: Call) -> ApiResponse:
        status = self._service.get_maintenance_status()
        return json_response(alerts_document(status.alerts, is_stale=status.is_stale))
