"""Sends the refusal: a 503, or the end of a WebSocket."""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Message, Scope, Send

from quiesce import Decision, OperationRefusedError, Refusals

TRY_AGAIN_LATER = 1013
"""WebSocket close code (IANA registry)."""

_DENIAL = "websocket.http.response"


class RefusalSender:
    """Answers with what ``Refusals`` has ready."""

    def __init__(self) -> None:
        refusals = Refusals()
        self._problem, self._page = refusals.problem, refusals.page

    def messages(self, decision: Decision, accept: str, method: str) -> tuple[Message, Message]:
        """Return the 503 as its two messages; new ones each time, because middleware further out adds to them."""
        answer = self._page(decision) if "text/html" in accept else self._problem(decision)
        return (
            {"type": "http.response.start", "status": 503, "headers": [*answer.raw_headers]},
            {"type": "http.response.body", "body": b"" if method == "HEAD" else answer.body},
        )

    async def deny(self, decision: Decision, *, accept: str, scope: Scope, send: Send) -> None:
        """Refuse a WebSocket by a 503 if the server can send one, else by what it makes of its end."""
        if _DENIAL not in (scope.get("extensions") or {}):
            await close(decision, send=send)
            return
        start, body = self.messages(decision, accept, "GET")
        await send({**start, "type": f"{_DENIAL}.start"})
        await send({**body, "type": f"{_DENIAL}.body"})

    async def handle(self, connection: HTTPConnection, error: Exception) -> Response:
        """Answer a guard's refusal as an exception handler of Starlette; WebSockets are left to the middleware."""
        if not isinstance(error, OperationRefusedError) or connection.scope["type"] != "http":
            raise error
        accept = connection.headers.get("accept", "")
        start, body = self.messages(error.decision, accept, connection.scope["method"])
        response = Response(body["body"], status_code=503)
        response.raw_headers = start["headers"]
        return response


async def close(decision: Decision, *, send: Send) -> None:
    """End a WebSocket; before it was accepted, servers make a 403 of this."""
    await send(
        {"type": "websocket.close", "code": TRY_AGAIN_LATER, "reason": f"{decision.operation.name}: maintenance"}
    )
