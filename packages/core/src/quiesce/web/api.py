"""The product's own endpoints (design §9): requests in, responses out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from ..control import EnhancedMaintenanceModeService
from ..model import ConflictError, InvalidValueError, MaintenanceWindow, OperationType, Outcome, StoreError
from .bodies import read_body
from .documents import format_time, quiescence_document, status_document, window_document
from .exchange import ApiRequest, ApiResponse, json_response, problem
from .security import authorise, carries_token

PREFIX = "/api/maintenance"
HEALTH_PATH = "/api/health/maintenance"

_NUMBER: tuple[type, ...] = (int, float)


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint: how it is called, and whether only admins may."""

    method: str
    path: str
    name: str
    summary: str
    needs_admin: bool


class MaintenanceStatusAPI:
    """Answers status, commands and health for one service; adapters mount it and do nothing else.

    ``handle`` may wait for the store for a few seconds: adapters keep it off event loops.
    """

    def __init__(self, service: EnhancedMaintenanceModeService) -> None:
        self._service = service
        self._handlers: dict[tuple[str, str], tuple[Route, Callable[[ApiRequest, str], ApiResponse]]] = {}
        add = self._add
        add("GET", f"{PREFIX}/status", "status", "Whether maintenance is on, and what it blocks", self._status)
        add(
            "GET", f"{PREFIX}/blocked-operations", "blocked_operations", "What is refused, and how often", self._blocked
        )
        add("GET", f"{PREFIX}/message", "message", "What to tell users about an operation", self._message)
        add("GET", HEALTH_PATH, "health", "Whether maintenance mode itself works here", self._health)
        add(
            "GET",
            f"{PREFIX}/quiescence",
            "quiescence",
            "Whether the system is quiet",
            self._quiescence,
            needs_admin=True,
        )
        add("POST", f"{PREFIX}/enable", "enable", "Open a window now", self._enable, needs_admin=True)
        add("POST", f"{PREFIX}/disable", "disable", "End the open window", self._disable, needs_admin=True)
        add("POST", f"{PREFIX}/extend", "extend", "Move estimate and timeout", self._extend, needs_admin=True)

    def _add(
        self,
        method: str,
        path: str,
        name: str,
        summary: str,
        handler: Callable[[ApiRequest, str], ApiResponse],
        *,
        needs_admin: bool = False,
    ) -> None:
        self._handlers[method, path] = (Route(method, path, name, summary, needs_admin), handler)

    @property
    def routes(self) -> tuple[Route, ...]:
        """Every endpoint, for adapters to mount and for the gate to exempt."""
        return tuple(route for route, _ in self._handlers.values())

    def needs_principal(self, request: ApiRequest) -> bool:
        """Whether the application must be asked who sends this request."""
        found = self._find(request)
        if found is None or not found[0].needs_admin:
            return False
        return not carries_token(request, admin_token=self._service.settings.admin_token)

    def handle(self, request: ApiRequest) -> ApiResponse:
        """Return the response; every error is a problem document (RFC 9457)."""
        found = self._find(request)
        if found is None:
            return self._describe_missing(request)
        route, handler = found
        actor = ""
        if route.needs_admin:
            authorised = authorise(request, admin_token=self._service.settings.admin_token)
            if isinstance(authorised, ApiResponse):
                return authorised
            actor = authorised
        try:
            return handler(request, actor)
        except InvalidValueError as exc:
            return problem(400, "Invalid request", str(exc), field=exc.field)
        except ConflictError as exc:
            return problem(409, "Conflict", str(exc))
        except StoreError as exc:
            # Only administrators learn where the store lies.
            cause = f": {exc}"[:400] if route.needs_admin else "."
            return problem(503, "Store unreachable", f"The maintenance store does not answer{cause}")

    def _find(self, request: ApiRequest) -> tuple[Route, Callable[[ApiRequest, str], ApiResponse]] | None:
        method = "GET" if request.method == "HEAD" else request.method
        return self._handlers.get((method, request.path))

    def _describe_missing(self, request: ApiRequest) -> ApiResponse:
        allowed = ", ".join(method for method, path in self._handlers if path == request.path)
        if not allowed:
            return problem(404, "Not found", f"There is no {request.method:.20} {request.path:.200} here.")
        answer = problem(405, "Method not allowed", f"{request.path} is asked by {allowed}.")
        return ApiResponse(answer.status, (*answer.headers, ("allow", allowed)), answer.body)

    def _status(self, request: ApiRequest, actor: str) -> ApiResponse:
        return json_response(status_document(self._service.get_maintenance_status()))

    def _blocked(self, request: ApiRequest, actor: str) -> ApiResponse:
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

    def _message(self, request: ApiRequest, actor: str) -> ApiResponse:
        status = self._service.get_maintenance_status()
        name = request.query.get("operation")
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

    def _health(self, request: ApiRequest, actor: str) -> ApiResponse:
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

    def _quiescence(self, request: ApiRequest, actor: str) -> ApiResponse:
        expected = request.query.get("expect", "1")
        if not (expected.isascii() and expected.isdigit() and len(expected) <= 6):
            raise InvalidValueError("expect", "must be a number of workers")
        return json_response(quiescence_document(self._service.quiescence(expected_workers=int(expected))))

    def _enable(self, request: ApiRequest, actor: str) -> ApiResponse:
        fields: dict[str, type | tuple[type, ...]] = {
            "reason": str,
            "duration": _NUMBER,
            "mode": str,
            "timeout": _NUMBER,
            "operations": list,
            "notify_users": bool,
        }
        asked = read_body(request, fields=fields)
        if "reason" not in asked:
            raise InvalidValueError("reason", "must be given")
        return self._changed(self._service.enable(**asked, actor=actor, source="http"))

    def _disable(self, request: ApiRequest, actor: str) -> ApiResponse:
        asked = read_body(request, fields={"window_id": str, "all": bool})
        return self._changed(
            *self._service.disable(
                window_id=asked.get("window_id"), end_all=asked.get("all", False), actor=actor, source="http"
            )
        )

    def _extend(self, request: ApiRequest, actor: str) -> ApiResponse:
        asked = read_body(request, fields={"by": _NUMBER, "window_id": str})
        if "by" not in asked:
            raise InvalidValueError("by", "must be given")
        return self._changed(
            self._service.extend(by=asked["by"], window_id=asked.get("window_id"), actor=actor, source="http")
        )

    def _changed(self, *windows: MaintenanceWindow) -> ApiResponse:
        status = status_document(self._service.get_maintenance_status())
        return json_response(status | {"changed": [window_document(window) for window in windows]})


def _blocked_since(windows: list[MaintenanceWindow], operation: OperationType) -> str:
    return format_time(min((window.starts_at for window in windows if window.covers(operation)), default=None))
