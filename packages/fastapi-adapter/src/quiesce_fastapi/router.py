"""The product's own endpoints: one route that serves them, and FastAPI's native ones that document them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.datastructures import URLPath
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

from quiesce import LONGEST_BODY, ApiRequest, MaintenanceStatusAPI
from quiesce import Route as ApiRoute

from . import models
from .identity import Identity
from .paths import path_as_routed
from .threads import in_api_thread

_ANSWERS: dict[str, type[BaseModel]] = {
    "status": models.Status,
    "blocked_operations": models.BlockedOperations,
    "message": models.Message,
    "health": models.Health,
    "quiescence": models.Quiescence,
    "enable": models.Changed,
    "disable": models.Changed,
    "extend": models.Changed,
}
_COMMANDS: dict[str, type[BaseModel]] = {"enable": models.Enable, "disable": models.Disable, "extend": models.Extend}
_PARAMETERS = {
    "message": (
        "operation",
        "An operation type; left out: the message about maintenance as a whole.",
        {"type": "string"},
    ),
    "quiescence": ("expect", "The least number of confirmed workers.", {"type": "integer", "minimum": 0}),
}
_PROBLEMS = {
    400: "Something asked for is not valid; `field` names it, and nothing changed.",
    401: "Not signed in, or a wrong token.",
    403: "Not an administrator, or a command from another origin.",
    409: "A conflict with the state as it is.",
    503: "The store does not answer.",
}


class Endpoint:
    """Serves one endpoint, by any method, as an ASGI application."""

    def __init__(
        self, route: ApiRoute, *, api: MaintenanceStatusAPI, identity: Identity | None, credentials: frozenset[bytes]
    ) -> None:
        self.route = route
        self._api = api
        self._identity = identity
        self._credentials = credentials

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer any method: ``HEAD`` as ``GET`` without its body, others with 405 as a problem document."""
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        if method == self.route.method:
            response = await self.respond(Request(scope, receive))
        else:
            response = _wrong_method(self.route)
        if scope["method"] == "HEAD":
            response.body = b""
        await response(scope, receive, send)

    async def respond(self, request: Request) -> Response:
        """Answer the endpoint's own method."""
        asked = ApiRequest(
            method=self.route.method,
            path=self.route.path,
            query=dict(request.query_params),
            headers=dict(request.headers),
            body=await _read(request) if self.route.method == "POST" else b"",
        )
        if self._identity is not None and self._api.needs_principal(asked) and self._has_credential(request):
            asked = replace(asked, principal=await self._identity.ask(request.scope))
        answer = await in_api_thread(self._api.handle, asked)
        return Response(answer.body, status_code=answer.status, headers=dict(answer.headers))

    def _has_credential(self, request: Request) -> bool:
        return any(name in self._credentials for name, _ in request.scope["headers"])


class OwnEndpoints(BaseRoute):
    """One route for all endpoints: an application's own routes wait for one look-up, not for one match each."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._by_path = {endpoint.route.path: endpoint for endpoint in endpoints}

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Take every method at an endpoint's path."""
        endpoint = self._by_path.get(path_as_routed(scope)) if scope["type"] == "http" else None
        return (Match.NONE, {}) if endpoint is None else (Match.FULL, {"endpoint": endpoint})

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """Return the path of ``maintenance_NAME``."""
        for path, endpoint in self._by_path.items():
            if not path_params and name == f"maintenance_{endpoint.route.name}":
                return URLPath(path=path, protocol="http")
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what matched."""
        await scope["endpoint"](scope, receive, send)


class DocumentedRoute(APIRoute):
    """Stands in OpenAPI and answers nothing: ``OwnEndpoints`` comes before it."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:  # noqa: ARG002 - Starlette's signature
        """Match nothing."""
        return Match.NONE, {}


def documented_routes(endpoints: Sequence[Endpoint]) -> list[BaseRoute]:
    """Return FastAPI's own routes, which stand in OpenAPI with their models and problems."""
    router = APIRouter(route_class=DocumentedRoute)
    for endpoint in endpoints:
        route = endpoint.route
        router.add_api_route(
            route.path,
            endpoint.respond,
            methods=[route.method],
            name=f"maintenance_{route.name}",
            summary=route.summary,
            description=_ANSWERS[route.name].__doc__ or "",
            tags=["maintenance"],
            response_model=_ANSWERS[route.name],
            responses=_problems(route),
            openapi_extra=_openapi_extra(route),
        )
    return list(router.routes)


async def _read(request: Request) -> bytes:
    """Return the body, or as much as shows that it is too long."""
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > LONGEST_BODY:
                break
    except ClientDisconnect:
        return b""
    return bytes(body[: LONGEST_BODY + 1])


def _wrong_method(route: ApiRoute) -> Response:
    allowed = "GET, HEAD" if route.method == "GET" else route.method
    detail = f"Use {route.method}."
    return JSONResponse(
        {"type": "about:blank", "title": "Method not allowed", "status": 405, "detail": detail},
        status_code=405,
        headers={"allow": allowed},
        media_type="application/problem+json",
    )


def _problems(route: ApiRoute) -> dict[int | str, dict[str, Any]]:
    possible = {503}
    if route.needs_admin:
        possible |= {401, 403}
    if route.name in _PARAMETERS or route.name in _COMMANDS:
        possible.add(400)
    if route.name in _COMMANDS:
        possible.add(409)
    content = {"application/problem+json": {"schema": models.Problem.model_json_schema()}}
    return {status: {"description": _PROBLEMS[status], "content": content} for status in sorted(possible)}


def _openapi_extra(route: ApiRoute) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    if route.name in _PARAMETERS:
        name, description, schema = _PARAMETERS[route.name]
        extra["parameters"] = [{"name": name, "in": "query", "description": description, "schema": schema}]
    if route.name in _COMMANDS:
        model = _COMMANDS[route.name]
        schema = model.model_json_schema()
        extra["requestBody"] = {
            "content": {"application/json": {"schema": schema}},
            "required": any(field.is_required() for field in model.model_fields.values()),
        }
    return extra
