"""The product's own endpoints (design §9): requests in, responses out."""

from __future__ import annotations

from dataclasses import replace

from ..control import EnhancedMaintenanceModeService
from ..model import ConflictError, InvalidValueError, NoSuchWindowError, NotRecoveredError, StoreError
from .alert_endpoints import AlertEndpoints
from .audit_endpoints import AuditEndpoints
from .command_endpoints import CommandEndpoints
from .emergency_documents import checks_document
from .emergency_endpoints import EmergencyEndpoints
from .exchange import ApiRequest, ApiResponse, problem
from .forwarding import client_address, host_asked_for
from .job_endpoints import JobEndpoints
from .notification_endpoints import NotificationEndpoints
from .pass_endpoints import PassEndpoints
from .report_endpoints import ReportEndpoints
from .routing import Call, Route, RoutingTable, id_of
from .second_proof import SecondProofError
from .security import authorise, carries_token
from .session_endpoints import SessionEndpoints
from .status_endpoints import StatusEndpoints
from .window_endpoints import WindowEndpoints


class MaintenanceStatusAPI:
    """Answers status, commands and health for one service; adapters mount it and do nothing else.

    ``handle`` may wait for the store for a few seconds: adapters keep it off event loops.
    """

    def __init__(self, service: EnhancedMaintenanceModeService) -> None:
        self._service = service
        rooms = (
            StatusEndpoints(service),
            CommandEndpoints(service),
            WindowEndpoints(service),
            PassEndpoints(service),
            SessionEndpoints(service),
            JobEndpoints(service),
            NotificationEndpoints(service),
            AlertEndpoints(service),
            EmergencyEndpoints(service),
            ReportEndpoints(service),
            AuditEndpoints(service),
        )
        self._table = RoutingTable(endpoint for room in rooms for endpoint in room.endpoints())

    @property
    def routes(self) -> tuple[Route, ...]:
        """Every endpoint, for adapters to mount and for the gate to exempt."""
        return self._table.routes

    def serves(self, path: str) -> bool:
        """Whether the path, without the mount prefix, is that of an endpoint, whatever the method."""
        return self._table.leads_somewhere(path)

    def needs_principal(self, request: ApiRequest) -> bool:
        """Whether the application must be asked who sends this request."""
        found = self._table.find(request.method, request.path)
        if found is None or not found[0].needs_admin:
            return False
        return not carries_token(request, admin_token=self._service.settings.admin_token)

    def handle(self, request: ApiRequest) -> ApiResponse:
        """Return the response; every error is a problem document (RFC 9457)."""
        found = self._table.find(request.method, request.path)
        if found is None:
            return self._describe_missing(request)
        route, endpoint = found
        request, source = self._look_behind_proxies(request)
        actor = ""
        if route.needs_admin:
            authorised = authorise(request, admin_token=self._service.settings.admin_token)
            if isinstance(authorised, ApiResponse):
                return authorised
            actor = authorised
        try:
            return endpoint(Call(request, actor, id_of(route, request.path), source))
        except SecondProofError as exc:
            return exc.response
        except (InvalidValueError, ConflictError, StoreError) as exc:
            return _describe_error(exc, needs_admin=route.needs_admin)

    def _look_behind_proxies(self, request: ApiRequest) -> tuple[ApiRequest, str]:
        """Return the request with the host that its client asked for, and where it came from for the audit trail."""
        trusted, headers = self._service.settings.trusted_proxies, request.headers
        host = host_asked_for(request.peer, headers, trusted=trusted)
        if host != headers.get("host", ""):
            request = replace(request, headers={**headers, "host": host})
        address = client_address(request.peer, headers, trusted=trusted)
        return request, "http" if address is None else f"http {address}"

    def _describe_missing(self, request: ApiRequest) -> ApiResponse:
        allowed = ", ".join(self._table.methods(request.path))
        if not allowed:
            return problem(404, "Not found", f"There is no {request.method:.20} {request.path:.200} here.")
        answer = problem(405, "Method not allowed", f"{request.path} is asked by {allowed}.")
        return ApiResponse(answer.status, (*answer.headers, ("allow", allowed)), answer.body)


def _describe_error(error: InvalidValueError | ConflictError | StoreError, *, needs_admin: bool) -> ApiResponse:
    if isinstance(error, InvalidValueError):
        return problem(400, "Invalid request", str(error), field=error.field)
    if isinstance(error, NoSuchWindowError):
        return problem(404, "Not found", str(error))
    if isinstance(error, NotRecoveredError):
        return problem(409, "Conflict", str(error), checks=checks_document(error.checks))
    if isinstance(error, ConflictError):
        return problem(409, "Conflict", str(error))
    # Only administrators learn where the store lies.
    cause = f": {error}"[:400] if needs_admin else "."
    return problem(503, "Store unreachable", f"The maintenance store does not answer{cause}")
