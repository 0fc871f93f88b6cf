"""The endpoints on notifiers: how far each is, and trying again what failed."""

from __future__ import annotations

from collections.abc import Iterator

from ..control import EnhancedMaintenanceModeService
from ..model import InvalidValueError
from .bodies import read_body
from .exchange import ApiResponse, json_response
from .notification_documents import notifications_document, notifier_document
from .routing import PREFIX, Call, Endpoint, Route


class NotificationEndpoints:
    """Looks after the notifiers of one service."""

    def __init__(self, service: EnhancedMaintenanceModeService) -> None:
        self._service = service

    def endpoints(self) -> Iterator[Endpoint]:
        """Yield each endpoint with its route."""
        path = f"{PREFIX}/notifications"
        yield Route("GET", path, "notifications", "How far each notifier is", needs_admin=True), self._list
        retry = Route("POST", f"{path}/retry", "retry_notifications", "Try again what failed", needs_admin=True)
        yield retry, self._retry

    def _list(self, _: Call) -> ApiResponse:
        is_enabled = self._service.config.current().notifications_enabled
        return json_response(notifications_document(self._service.notifications.list(), is_enabled=is_enabled))

    def _retry(self, call: Call) -> ApiResponse:
        asked = read_body(call.request, fields={"notifier": str})
        if "notifier" not in asked:
            raise InvalidValueError("notifier", "must be given")
        status = self._service.notifications.retry(asked["notifier"], actor=call.actor, source=call.source)
        return json_response(notifier_document(status))
