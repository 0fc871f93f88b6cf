"""Sends the refusal: a 503, or the end of a WebSocket."""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Scope, Send

from quiesce import Decision, OperationRefusedError, Refusals

TRY_AGAIN_LATER = 1013
"""WebSocket close code (IANA registry)."""

_DENIAL = "websocket.http.response"


class RefusalSender:
    """Answers with what ``Refusals`` has ready."""

    def __init__(self) -> None:
        self._ready = Refusals().ready

    async def send(self, decision: Decision, *, accept: str, scope: Scope, send: Send) -> None:
        """Refuse what has not been answered; a WebSocket by a 503 if the server can send one, else by a 403."""
        answer = self._ready(decision, accept=accept)
        fields, body = list(answer.raw_headers), answer.body  # a list: middleware further out adds to it
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 503, "headers": fields})
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
        elif _DENIAL in (scope.get("extensions") or {}):
            await send({"type": f"{_DENIAL}.start", "status": 503, "headers": fields})
            await send({"type": f"{_DENIAL}.body", "body": body})
        else:
            await close(decision, send=send)

    async def handle(self, connection: HTTPConnection, error: Exception) -> Response:
        """Answer a guard's refusal as an exception handler of Starlette; WebSockets are left to the middleware."""
        if not isinstance(error, OperationRefusedError) or connection.scope["type"] != "http":
            raise error
        answer = self._ready(error.decision, accept=connection.headers.get("accept", ""))
        response = Response(b"" if connection.scope["method"] == "HEAD" else answer.body, status_code=503)
        response.raw_headers = list(answer.raw_headers)
        return response


async def close(decision: Decision, *, send: Send) -> None:
    """End a WebSocket; before it was accepted, servers make a 403 of this."""
    await send(
        {"type": "websocket.close", "code": TRY_AGAIN_LATER, "reason": f"{decision.operation.name}: maintenance"}
    )
