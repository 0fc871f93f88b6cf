"""``@operation`` is found through everything that leads to an endpoint."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint, WebSocketEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, WebSocketRoute

from quiesce import WEBSOCKET, operation
from quiesce_fastapi import init_app


@operation("payments")
async def pay(request: Request) -> PlainTextResponse:
    """A marked view."""
    return PlainTextResponse("paid")


async def show(request: Request) -> PlainTextResponse:
    """A view without a mark."""
    return PlainTextResponse("shown")


class Invoice(HTTPEndpoint):
    """One class, two kinds of operation."""

    async def get(self, request: Request) -> PlainTextResponse:
        """Reads."""
        return PlainTextResponse("read")

    @operation("payments")
    async def post(self, request: Request) -> PlainTextResponse:
        """Pays."""
        return PlainTextResponse("paid")


@operation("payments")
class Feed(WebSocketEndpoint):
    """Marked as a whole."""


def starlette_app() -> Starlette:
    """Mounts, hosts, classes, and routes that shadow each other."""
    return Starlette(
        routes=[
            Route("/pay", pay),
            Route("/pay/{number:int}", show),
            Route("/pay/{word}", pay),
            Route("/invoice", Invoice),
            WebSocketRoute("/feed", Feed),
            Mount("/a", routes=[Mount("/{b}", routes=[Route("/pay", pay), Route("/show", show)])]),
            Mount("/app", app=Starlette(routes=[Route("/pay", pay)])),
            Mount("/", routes=[Host("pay.example", app=Starlette(routes=[Route("/hosted", pay)]))]),
            Host("show.example", app=Starlette(routes=[Route("/pay-there", show)])),
            Host("pay.example", app=Starlette(routes=[Route("/pay-there", pay)])),
        ]
    )


def fastapi_app() -> FastAPI:
    """Routers in routers, a mount in a router, and a route that is added later."""
    app, outer, inner = FastAPI(), APIRouter(prefix="/outer"), APIRouter(prefix="/inner")

    @inner.api_route("/pay/{number}", methods=["GET", "POST"])
    @operation("payments")
    def paid(number: int) -> str:
        return "paid"

    @inner.websocket("/feed")
    @operation("payments")
    async def feed(websocket: WebSocket) -> None:
        await websocket.accept()

    outer.include_router(inner)
    outer.mount("/mounted", Starlette(routes=[Route("/pay", pay)]))
    app.include_router(outer)
    app.include_router(inner, prefix="/again")
    return app


CASES = [
    (starlette_app, "GET", "/pay", "payments"),
    (starlette_app, "HEAD", "/pay", "payments"),
    (starlette_app, "POST", "/pay", "user_data_modification"),
    (starlette_app, "GET", "/pay/7", "read_operations"),
    (starlette_app, "GET", "/pay/x", "payments"),
    (starlette_app, "GET", "/invoice", "read_operations"),
    (starlette_app, "POST", "/invoice", "payments"),
    (starlette_app, WEBSOCKET, "/feed", "payments"),
    (starlette_app, "GET", "/a/x/pay", "payments"),
    (starlette_app, "GET", "/a/x/show", "read_operations"),
    (starlette_app, "GET", "/app/pay", "payments"),
    (starlette_app, "GET", "/app/nowhere", "read_operations"),
    (starlette_app, "GET", "/hosted", "payments"),
    (fastapi_app, "GET", "/outer/inner/pay/1", "payments"),
    (fastapi_app, "POST", "/outer/inner/pay/1", "payments"),
    (fastapi_app, "GET", "/again/inner/pay/1", "payments"),
    (fastapi_app, "GET", "/inner/pay/1", "read_operations"),
    (fastapi_app, WEBSOCKET, "/outer/inner/feed", "payments"),
    (fastapi_app, "GET", "/later", "payments"),
]


@pytest.mark.parametrize(("build", "method", "path", "expected"), CASES)
def test_the_mark_of_the_endpoint_that_answers_counts(
    service: Any, build: Any, method: str, path: str, expected: str
) -> None:
    """A marked view that is not found is classified by its method, and a payment by GET slips through."""
    app = build()
    init_app(app, service=service)
    app.router.routes.append(Route("/later", pay))

    assert service.classifier.classify(method, path).operation.name == expected


def test_hosts_beside_each_other_count_together(service: Any) -> None:
    """The gate does not trust the Host header, so a mark for any host closes the path for all."""
    app = Starlette(
        routes=[
            Host("show.example", app=Starlette(routes=[Route("/there", show)])),
            Host("pay.example", app=Starlette(routes=[Route("/there", pay)])),
        ]
    )
    init_app(app, service=service)

    assert service.classifier.classify("GET", "/there").operation.name == "payments"


def test_a_mark_refuses_over_http(service: Any, drive: Any) -> None:
    """From the mark to the answer, through a prefix."""
    app = FastAPI()

    @app.get("/pay")
    @operation("payments")
    def paid() -> str:
        return "paid"

    init_app(app, service=service)
    assert drive(app, "GET", "/pay", root_path="/v1") == (200, b'"paid"')
    service.enable(reason="upgrade", actor="ops")

    status, body = drive(app, "GET", "/pay", root_path="/v1")

    assert (status, json.loads(body)["operation_type"]) == (503, "payments")
