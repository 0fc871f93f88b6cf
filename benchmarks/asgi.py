"""The smallest ASGI application, bare and with Quiesce on each store, driven without a server or an event loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from quiesce import EnhancedMaintenanceModeService
from quiesce_fastapi import MaintenanceModeMiddleware

from .field import Field, Request, Situation
from .harness import Run

Message = MutableMapping[str, Any]

_START: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", b"2")],
}
_BODY: Message = {"type": "http.response.body", "body": b"ok"}


async def null_app(scope: Message, receive: Any, send: Any) -> None:
    """Answer ``ok``."""
    await send(_START)
    await send(_BODY)


def field(services: Mapping[str, EnhancedMaintenanceModeService], *, open_window: Callable[[], None]) -> Field:
    """Return the contenders."""
    guarded: Mapping[str, Any] = {
        f"Quiesce, {name}": MaintenanceModeMiddleware(null_app, service=service) for name, service in services.items()
    }
    return Field(
        title="null ASGI",
        apps={"bare": null_app, **guarded},
        drive=drive,
        status=status_of,
        open_window=open_window,
        budgets={Situation.NOTHING_OPEN: 0.8, Situation.ALLOWED: 1.3, Situation.REFUSED: 3.0},
    )


def scope_of(request: Request) -> dict[str, Any]:
    """Return the scope that uvicorn makes of such a request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50000),
        "scheme": "http",
        "method": request.method,
        "root_path": "",
        "path": request.path,
        "raw_path": request.path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1:8000"), (b"accept", b"*/*"), (b"user-agent", b"benchmark/1.0")],
        "state": {},
    }


def drive(app: Any, request: Request) -> Run:
    """Return a run that steps the coroutine by hand; each request has a scope of its own, as from a server."""
    scope = scope_of(request)

    def run(count: int) -> None:
        for _ in range(count):
            coroutine = app(scope.copy(), _receive, _send)
            try:
                coroutine.send(None)
            except StopIteration:
                continue
            coroutine.close()
            raise RuntimeError("the application waits for something; this run measures only what does not")

    return run


def status_of(app: Any, request: Request) -> int:
    """Send one request, return the status."""
    statuses: list[int] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    coroutine = app(scope_of(request), _receive, send)
    try:
        coroutine.send(None)
    except StopIteration:
        return statuses[0]
    coroutine.close()
    raise RuntimeError("the application waits for something")


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: Message) -> None:
    pass
