"""The adapter's contract, kept by FastAPI and by Starlette behind a real server."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

import quiesce_fastapi
from quiesce import EnhancedMaintenanceModeService, Principal, operation
from quiesce.testing.adapter import AdapterContract
from quiesce.testing.adapter_client import NO_HEADERS, Answer
from quiesce.testing.adapter_decisions import DecisionContract
from quiesce.testing.adapter_entries import EntryContract
from quiesce.testing.adapter_hostile import HostileContract
from quiesce.testing.adapter_passes import PassContract
from quiesce.testing.adapter_refusals import RefusalContract
from quiesce.testing.waiting import eventually


class Server:
    """One uvicorn for all tests of the module; it serves whatever application is put in."""

    def __init__(self) -> None:
        self.app: Any = None
        self.busy = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        # h11, because httptools knows a fixed list of methods.
        config = uvicorn.Config(self._serve, http="h11", ws="none", lifespan="off", interface="asgi3", log_config=None)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})
        self._thread.start()
        eventually(lambda: self._server.started)

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        self.busy += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.busy -= 1

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()
        assert not self._thread.is_alive()


class Client:
    """Speaks HTTP/1.1 over a socket, so that paths arrive as they are written."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._port = server.port

    def request(self, method: str, path: str, *, headers: Mapping[str, str] = NO_HEADERS, body: bytes = b"") -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request(method, path, body=body, headers=dict(headers))
            response = connection.getresponse()
            answer = Answer(response.status, {n.lower(): v for n, v in response.getheaders()}, response.read())
        finally:
            connection.close()
        # The last byte may be here before the server's task has ended.
        eventually(lambda: not self._server.busy)
        return answer

    def abandon(self, method: str, path: str) -> bytes:
        with socket.create_connection(("127.0.0.1", self._port), timeout=10) as connection:
            connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            received = b""
            while b"\r\n\r\n1\r\n" not in received:
                received += connection.recv(1)
            return connection.recv(1)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


async def _stream(service: EnhancedMaintenanceModeService) -> AsyncIterator[str]:
    for _ in range(3):
        yield str(len(service.gate.in_flight))


def _fastapi_app(service: EnhancedMaintenanceModeService) -> FastAPI:
    app = FastAPI()

    @app.get("/items")
    @app.head("/items")
    def items() -> Response:
        return PlainTextResponse("items")

    @app.post("/items")
    async def make() -> Response:
        return PlainTextResponse("made", status_code=201)

    @app.api_route("/api/jobs", methods=["GET", "POST"])
    async def jobs() -> Response:
        return PlainTextResponse("jobs")

    @app.api_route("/admin/panel", methods=["GET", "POST"])
    def panel() -> Response:
        return PlainTextResponse("panel")

    @app.post("/login")
    async def login() -> Response:
        return PlainTextResponse("in")

    @app.get("/health")
    async def health() -> Response:
        return PlainTextResponse("ok")

    @app.api_route("/stream", methods=["GET", "POST"])
    async def stream() -> Response:
        return StreamingResponse(_stream(service), media_type="text/plain")

    @app.api_route("/boom", methods=["GET", "POST"])
    async def boom() -> Response:
        raise RuntimeError("boom")

    @app.get("/guarded")
    def guarded() -> Response:
        with service.guard("payments"):
            return PlainTextResponse("guarded")

    @app.get("/payments")
    @operation("payments")
    def payments() -> Response:
        return PlainTextResponse("paid")

    return app


def _starlette_app(service: EnhancedMaintenanceModeService) -> Starlette:
    def says(text: str, status: int = 200) -> Callable[[Request], Response]:
        return lambda request: PlainTextResponse(text, status_code=status)

    async def stream(request: Request) -> Response:
        return StreamingResponse(_stream(service), media_type="text/plain")

    async def boom(request: Request) -> Response:
        raise RuntimeError("boom")

    async def guarded(request: Request) -> Response:
        async with service.guard("payments"):
            return PlainTextResponse("guarded")

    both = ["GET", "POST"]
    return Starlette(
        routes=[
            Route("/items", says("items")),
            Route("/items", says("made", 201), methods=["POST"]),
            Route("/api/jobs", says("jobs"), methods=both),
            Route("/admin/panel", says("panel"), methods=both),
            Route("/login", says("in"), methods=["POST"]),
            Route("/health", says("ok")),
            Route("/stream", stream, methods=both),
            Route("/boom", boom, methods=both),
            Route("/guarded", guarded),
            Route("/payments", operation("payments")(says("paid"))),
        ]
    )


class TestFastAPIAdapter(AdapterContract):
    framework = "fastapi"

    @pytest.fixture(autouse=True)
    def _served(self, server: Server) -> None:
        self.server = server

    def client(
        self,
        *,
        service: EnhancedMaintenanceModeService,
        identify: Callable[[Any], Principal | None] | None = None,
    ) -> Client:
        return self._client_of(_fastapi_app(service), service, identify)

    def _client_of(self, app: Starlette, service: EnhancedMaintenanceModeService, identify: Any) -> Client:
        assert quiesce_fastapi.init_app(app, service=service, identify=identify) is service
        self.server.app = app
        return Client(self.server)


class TestStarletteAdapter(TestFastAPIAdapter):
    framework = "starlette"

    def client(
        self,
        *,
        service: EnhancedMaintenanceModeService,
        identify: Callable[[Any], Principal | None] | None = None,
    ) -> Client:
        return self._client_of(_starlette_app(service), service, identify)


def _asgi_app(service: EnhancedMaintenanceModeService) -> ASGIApp:
    """Build the application of the contract without any framework."""
    answers = {
        ("GET", "/items"): "items",
        ("HEAD", "/items"): "",
        ("POST", "/items"): "made",
        ("POST", "/login"): "in",
        ("GET", "/api/jobs"): "jobs",
        ("POST", "/api/jobs"): "jobs",
        ("GET", "/health"): "ok",
        ("GET", "/admin/panel"): "panel",
        ("POST", "/admin/panel"): "panel",
        ("GET", "/payments"): "paid",
    }

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        asked = scope["method"], scope["path"]
        if asked[1] == "/boom" and asked[0] != "HEAD":
            raise RuntimeError("boom")
        if asked in {("GET", "/stream"), ("POST", "/stream")}:
            await StreamingResponse(_stream(service), media_type="text/plain")(scope, receive, send)
        elif asked == ("GET", "/guarded"):
            async with service.guard("payments"):
                await PlainTextResponse("guarded")(scope, receive, send)
        else:
            status = 201 if asked == ("POST", "/items") else 200 if asked in answers else 404
            await PlainTextResponse(answers.get(asked, ""), status_code=status)(scope, receive, send)

    return answer


class TestAnyASGIApplication(DecisionContract, RefusalContract, EntryContract, HostileContract, PassContract):
    """The middleware alone, around an application of no framework; it has no endpoints, and a rule marks the view."""

    framework = "asgi"

    @pytest.fixture(autouse=True)
    def _served(self, server: Server) -> None:
        self.server = server

    def client(
        self,
        *,
        service: EnhancedMaintenanceModeService,
        identify: Callable[[Any], Principal | None] | None = None,
    ) -> Client:
        service.classifier.add_custom_classification(r"/payments\Z", "payments")
        app = quiesce_fastapi.MaintenanceModeMiddleware(_asgi_app(service), service=service, identify=identify)
        self.server.app = app
        return Client(self.server)
