"""The endpoints that only look: status, what is refused, health, the proof of quiescence, events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ..control import EnhancedMaintenanceModeService
from ..model import MaintenanceWindow, OperationType, Outcome
from .documents import event_document, format_time, quiescence_document, status_document
from .exchange import ApiResponse, json_response
from .queries import read_number
from .routing import HEALTH_PATH, PREFIX, Call, Endpoint, Route

_MOST_EVENTS = 1000


class StatusEndpoints:
    """Answers questions about one service."""

    def __init__(self, service: EnhancedMaintenanceModeService) -> None:
        self._service = service

    def endpoints(self) -> Iterator[Endpoint]:
        """Yield each endpoint with its route."""
        public = (
            ("status", f"{PREFIX}/status", "Whether maintenance is on, and what it blocks", self._status),
            ("blocked_operations", f"{PREFIX}/blocked-operations", "What is refused, and how often", self._blocked),
            ("message", f"{PREFIX}/message", "What to tell users about an operation", self._message),
            ("health", HEALTH_PATH, "Whether maintenance mode itself works here", self._health),
        )
        for name, path, summary, answer in public:
            yield Route("GET", path, name, summary, needs_admin=False), answer
        quiescence = Route("GET", f"{PREFIX}/quiescence", "quiescence", "Whether the system is quiet", needs_admin=True)
        yield quiescence, self._quiescence
        yield Route("GET", f"{PREFIX}/events", "events", "What has happened to windows", needs_admin=True), self._events

    def _status(self, _call: Call) -> ApiResponse:
        return json_response(status_document(self._service.get_maintenance_status()))

    def _blocked(self, _call: Call) -> ApiResponse:
        status = self._service.get_maintenance_status()
        windows = [window for window in status.windows if window.mode.is_enforced]
        attempts = Counter[str]()
        if windows:
            ids = {window.id for window in windows}
            for key, count in self._service.blocked_counts().items():
                if key.window_id in ids and key.outcome is Outcome.REFUSED:
                    attempts[key.operation] += count
        return json_response(
            {
                "blocked_operations": [
                    {
                        "operation_type": operation.name,
                        "description": operation.description,
                        "blocked_since": _blocked_since(windows, operation),
                        "attempt_count": attempts[operation.name],
                    }
                    for operation in status.blocked_operations
                ]
            }
        )

    def _message(self, call: Call) -> ApiResponse:
        status = self._service.get_maintenance_status()
        name = call.request.query.get("operation")
        if name is None:
            return json_response({"is_active": status.is_active, "message": status.message, "reason": status.reason})
        operation = self._service.classifier.operation(name)
        is_blocked = operation in status.blocked_operations
        return json_response(
            {
                "is_active": status.is_active,
                "operation_type": operation.name,
                "is_blocked": is_blocked,
                "message": operation.message if is_blocked else "",
                "reason": status.reason if is_blocked else "",
            }
        )

    def _health(self, _call: Call) -> ApiResponse:
        status = self._service.get_maintenance_status()
        return json_response(
            {
                "status": "degraded" if status.is_stale else "ok",
                "is_active": status.is_active,
                "is_enforcing": self._service.settings.enabled,
                "is_stale": status.is_stale,
                "revision": status.revision,
            }
        )

    def _quiescence(self, call: Call) -> ApiResponse:
        expected = read_number(call, "expect", default=1, least=0, most=999_999, what="a number of workers")
        return json_response(quiescence_document(self._service.quiescence(expected_workers=expected)))

    def _events(self, call: Call) -> ApiResponse:
        limit = read_number(call, "limit", default=100, least=1, most=_MOST_EVENTS, what="a number of events")
        events = self._service.store.events(after=call.request.query.get("after", ""), limit=limit)
        return json_response({"events": [event_document(event) for event in events]})


def _blocked_since(windows: list[MaintenanceWindow], operation: OperationType) -> str:
    return format_time(min((window.starts_at for window in windows if window.covers(operation)), default=None))
