"""The product's own endpoints: one route that serves them all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from starlette.datastructures import URLPath
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

from quiesce import LONGEST_BODY, ApiRequest, MaintenanceStatusAPI

from .identity import Identity
from .paths import path_as_routed
from .threads import in_api_thread

_WITH_BODY = frozenset({"POST", "PATCH", "DELETE"})


class OwnEndpoints(BaseRoute):
    """One route for all endpoints: an application's own routes wait for one look-up, not for one match each."""

    def __init__(
        self,
        api: MaintenanceStatusAPI,
        *,
        identity: Identity | None = None,
        credentials: frozenset[bytes] = frozenset(),
    ) -> None:
        self._api = api
        self._identity = identity
        self._credentials = credentials

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Take every method at an endpoint's path."""
        if scope["type"] != "http" or not self._api.serves(path_as_routed(scope)):
            return Match.NONE, {}
        return Match.FULL, {"endpoint": self.respond}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """Return the path of ``maintenance_NAME``."""
        for route in self._api.routes:
            expected = {"id"} if route.path.endswith("{id}") else set()
            if name == f"maintenance_{route.name}" and path_params.keys() == expected:
                return URLPath(path=route.path.replace("{id}", str(path_params.get("id"))), protocol="http")
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what matched: ``HEAD`` as ``GET`` without its body."""
        response = await self.respond(Request(scope, receive))
        if scope["method"] == "HEAD":
            response.body = b""
        await response(scope, receive, send)

    async def respond(self, request: Request) -> Response:
        """Answer any method; the wrong ones with a problem document too."""
        asked = ApiRequest(
            method=request.method,
            path=path_as_routed(request.scope),
            query=dict(request.query_params),
            headers=dict(request.headers),
            body=await _read(request) if request.method in _WITH_BODY else b"",
            peer=None if request.client is None else request.client.host,
        )
        if self._identity is not None and self._api.needs_principal(asked) and self._has_credential(request):
            asked = replace(asked, principal=await self._identity.ask(request.scope))
        answer = await in_api_thread(self._api.handle, asked)
        return Response(answer.body, status_code=answer.status, headers=dict(answer.headers))

    def _has_credential(self, request: Request) -> bool:
        return any(name in self._credentials for name, _ in request.scope["headers"])


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
