"""``service.guard`` inside views, and the answer to its refusal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from quiesce import OperationRefusedError, Principal
from quiesce_fastapi import MaintenanceModeMiddleware, init_app


def guarded_app(service: Any) -> FastAPI:
    """Views of each kind, each around a guard."""
    app = FastAPI()

    @app.get("/def")
    def plain() -> str:
        with service.guard("payments"):
            return "paid"

    @app.get("/async-with")
    async def async_with() -> str:
        async with service.guard("payments"):
            return "paid"

    @app.get("/with-on-the-loop")
    async def with_on_the_loop() -> str:
        with service.guard("payments"):
            return "paid"

    async def decorated() -> str:
        return "paid"

    app.add_api_route("/decorated", service.guard("payments")(decorated))

    async def dependency() -> AsyncIterator[None]:
        async with service.guard("payments"):
            yield

    @app.get("/dependency", dependencies=[Depends(dependency)])
    async def with_dependency() -> str:
        return "paid"

    return app


VIEWS = ("/def", "/async-with", "/with-on-the-loop", "/decorated", "/dependency")


class TestWhoPasses:
    """An admin passes a guard as they pass the gate."""

    @pytest.mark.parametrize("view", VIEWS)
    def test_with_a_plain_identify_admins_do_everywhere(self, service: Any, drive: Any, ann: Any, view: str) -> None:
        """The view does not know which kind of ``identify`` there is."""
        app = guarded_app(service)
        init_app(app, service=service, identify=ann)
        service.enable(reason="upgrade", actor="ops")

        assert drive(app, "GET", view, user="ann") == (200, b'"paid"')
        assert drive(app, "GET", view, user="bob")[0] == 503
        assert drive(app, "GET", view)[0] == 503
        assert not service.gate.in_flight

    @pytest.mark.parametrize("view", [view for view in VIEWS if view != "/with-on-the-loop"])
    def test_with_an_async_identify_admins_do_off_the_loop(self, service: Any, drive: Any, ann: Any, view: str) -> None:
        """A view in a thread asks the event loop that started it."""

        async def identify(request: Request) -> Principal | None:
            await asyncio.sleep(0)
            return ann(request)  # type: ignore[no-any-return] # a fixture

        app = guarded_app(service)
        init_app(app, service=service, identify=identify)
        service.enable(reason="upgrade", actor="ops")

        assert drive(app, "GET", view, user="ann") == (200, b'"paid"')
        assert drive(app, "GET", view, user="bob")[0] == 503
        assert not service.gate.in_flight

    def test_a_plain_guard_on_the_loop_cannot_ask_and_says_so(
        self, service: Any, drive: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Waiting there for the event loop would stop it for ever."""

        async def identify(request: Request) -> Principal:
            return Principal("ann", is_admin=True)

        app = guarded_app(service)
        init_app(app, service=service, identify=identify)
        service.enable(reason="upgrade", actor="ops")

        assert drive(app, "GET", "/with-on-the-loop", user="ann")[0] == 503
        assert "async with service.guard" in caplog.text


class TestTheAnswer:
    """The same 503 as at the gate."""

    def test_it_is_counted_once_and_names_the_operation(self, service: Any, drive: Any) -> None:
        """The guard has counted it already."""
        app = guarded_app(service)
        init_app(app, service=service)
        service.enable(reason="upgrade", actor="ops")

        status, body = drive(app, "GET", "/def")

        assert (status, json.loads(body)["operation_type"]) == (503, "payments")

    def test_an_application_can_answer_in_its_own_way(self, service: Any, drive: Any) -> None:
        """GraphQL has its own shape for errors."""
        app = guarded_app(service)
        init_app(app, service=service)

        @app.exception_handler(OperationRefusedError)
        async def answer(request: Request, error: OperationRefusedError) -> PlainTextResponse:
            return PlainTextResponse(error.decision.operation.name)

        service.enable(reason="upgrade", actor="ops")

        assert drive(app, "GET", "/def") == (200, b"payments")

    def test_a_guard_in_a_mounted_application_is_answered(self, service: Any, drive: Any) -> None:
        """A mounted FastAPI makes a 500 of every error that it does not know."""
        middle, outer = Starlette(), FastAPI()
        middle.mount("/deep", guarded_app(service))
        outer.mount("/inner", middle)
        init_app(outer, service=service)
        service.enable(reason="upgrade", actor="ops")

        assert drive(outer, "GET", "/inner/deep/def")[0] == 503

    @pytest.mark.parametrize("when", ["before the request", "during the request"])
    def test_the_bare_middleware_answers_too(self, service: Any, drive: Any, when: str) -> None:
        """An application of any other framework lets the error out."""

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if when == "during the request":
                await asyncio.to_thread(service.enable, reason="upgrade", actor="ops")
            async with service.guard("payments"):
                raise AssertionError("must not come here")

        wrapped = MaintenanceModeMiddleware(app, service=service)
        service.start()
        if when == "before the request":
            service.enable(reason="upgrade", actor="ops")

        status, body = drive(wrapped, "GET", "/")

        assert (status, json.loads(body)["operation_type"]) == (503, "payments")

    @pytest.mark.parametrize("when", ["before the request", "during the request"])
    def test_a_response_that_has_begun_is_not_answered_twice(self, service: Any, drive: Any, when: str) -> None:
        """Half of one response and a second one are worse than a broken connection."""
        sent: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            if when == "during the request":
                await asyncio.to_thread(service.enable, reason="upgrade", actor="ops")
            async with service.guard("payments"):
                raise AssertionError("must not come here")

        async def send(message: Any) -> None:
            if sent and message["type"] == "http.response.start":
                raise RuntimeError("a server accepts one response")
            sent.append(message)

        wrapped = MaintenanceModeMiddleware(app, service=service)
        service.start()
        if when == "before the request":
            service.enable(reason="upgrade", actor="ops")

        with pytest.raises(OperationRefusedError):
            asyncio.run(wrapped(drive.scope("GET", "/"), None, send))  # type: ignore[arg-type] # nothing is received

        assert [message["type"] for message in sent] == ["http.response.start"]
        assert not service.gate.in_flight

    def test_compression_outside_cannot_hide_that_it_has_begun(self, service: Any, drive: Any) -> None:
        """To GZipMiddleware a second response is more of the first one: half a page, ended by a problem document."""

        async def pieces() -> AsyncIterator[str]:
            yield "x" * 1000
            async with service.guard("payments"):
                yield "y" * 1000

        app = Starlette(routes=[Route("/", lambda request: StreamingResponse(pieces()))])
        app.add_middleware(MaintenanceModeMiddleware, service=service)
        app.add_middleware(GZipMiddleware)
        service.enable(reason="upgrade", actor="ops")
        sent: list[Any] = []

        async def receive() -> Any:
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        with pytest.raises((OperationRefusedError, RuntimeError, ExceptionGroup)):
            asyncio.run(app(drive.scope("GET", "/", headers=[(b"accept-encoding", b"gzip")]), receive, send))

        assert [m["status"] for m in sent if m["type"] == "http.response.start"] == [200]
        assert all(message.get("more_body", True) for message in sent[1:])
