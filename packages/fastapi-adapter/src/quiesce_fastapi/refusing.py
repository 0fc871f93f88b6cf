"""Sends the refusal: a 503, or the end of a WebSocket."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TypeAlias

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Scope, Send

from quiesce import Decision, OperationRefusedError, Refusals

TRY_AGAIN_LATER = 1013
"""WebSocket close code (IANA registry)."""

_DENIAL = "websocket.http.response"
_KEPT_SECONDS = 0.05
_MOST_KEPT = 512

Fields: TypeAlias = list[tuple[bytes, bytes]]


class RefusalSender:
    """Renders and sends; what was rendered is sent again for a moment, far shorter than the spread of Retry-After."""

    def __init__(self) -> None:
        self._refusals = Refusals()
        self._kept: dict[tuple[int, bool], tuple[float, Decision, Fields, bytes]] = {}

    async def send(self, decision: Decision, *, accept: str, scope: Scope, send: Send) -> None:
        """Refuse what has not been answered; a WebSocket by a 503 if the server can send one, else by a 403."""
        fields, body = self._rendered(decision, accept)
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
        fields, body = self._rendered(error.decision, connection.headers.get("accept", ""))
        response = Response(b"" if connection.scope["method"] == "HEAD" else body, status_code=503)
        response.raw_headers = fields
        return response

    def _rendered(self, decision: Decision, accept: str) -> tuple[Fields, bytes]:
        now = time.monotonic()
        key = (id(decision), "text/html" in accept)
        kept = self._kept.get(key)
        if kept is None or kept[0] < now or kept[1] is not decision:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            answer = self._refusals.render(decision, accept=accept, now=datetime.now(UTC))
            fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
            kept = self._kept[key] = (now + _KEPT_SECONDS, decision, fields, answer.body)
        return kept[2].copy(), kept[3]  # middleware further out adds to the list


async def close(decision: Decision, *, send: Send) -> None:
    """End a WebSocket; before it was accepted, servers make a 403 of this."""
    await send(
        {"type": "websocket.close", "code": TRY_AGAIN_LATER, "reason": f"{decision.operation.name}: maintenance"}
    )
