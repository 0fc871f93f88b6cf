"""WebSockets: refused at the handshake, in flight until they close."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from quiesce.testing import eventually
from quiesce_fastapi import MaintenanceModeMiddleware, init_app


def echo_app(service: Any) -> FastAPI:
    """Echoes; ``pay`` is guarded."""
    app = FastAPI()

    @app.websocket("/ws")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        async for text in websocket.iter_text():
            if text == "pay":
                async with service.guard("payments"):
                    await websocket.send_text("paid")
            else:
                await websocket.send_text(text)

    @app.websocket("/guarded")
    async def guarded(websocket: WebSocket) -> None:
        async with service.guard("payments"):
            await websocket.accept()
            await websocket.send_text("in")

    return app


@pytest.mark.parametrize("implementation", ["websockets-sansio", "wsproto"])
class TestBehindUvicorn:
    """Both of uvicorn's implementations can send a response to the handshake."""

    def test_a_handshake_is_refused_with_the_503(self, service: Any, serve: Any, ann: Any, implementation: str) -> None:
        """A client library shows the status; 403 would read as a fault of the client's."""
        app = echo_app(service)
        init_app(app, service=service, identify=ann)

        with serve(app, ws=implementation) as port:
            service.enable(reason="upgrade", actor="ops")
            with pytest.raises(InvalidStatus) as refused, connect(f"ws://127.0.0.1:{port}/ws"):
                pass
            with connect(f"ws://127.0.0.1:{port}/ws", additional_headers={"Cookie": "user=ann"}) as websocket:
                websocket.send("hello")
                assert websocket.recv(timeout=10) == "hello"

        response = refused.value.response
        assert response.status_code == 503
        assert response.headers["X-Maintenance-Mode"] == "normal"
        assert json.loads(response.body or b"")["operation_type"] == "user_data_modification"

    def test_a_pass_opens_the_handshake_and_a_guard_in_it(
        self, make_service: Any, serve: Any, implementation: str
    ) -> None:
        """Browsers cannot give a WebSocket a header, but send their cookies; programs do as they like."""
        service = make_service(secret_key="a-secret-key-of-the-tests")
        app = echo_app(service)
        init_app(app, service=service)
        text = service.passes.issue(name="QA, Ann", actor="ops").text

        with serve(app, ws=implementation) as port:
            service.enable(reason="upgrade", actor="ops")
            for headers in ({"Cookie": f"maintenance_pass={text}"}, {"X-Maintenance-Pass": text}):
                with connect(f"ws://127.0.0.1:{port}/ws", additional_headers=headers) as websocket:
                    websocket.send("pay")
                    assert websocket.recv(timeout=10) == "paid"
                    eventually(lambda: service.gate.acknowledge().bypassing == 1)
            service.passes.revoke("QA, Ann", actor="ops")
            with pytest.raises(InvalidStatus), connect(f"ws://127.0.0.1:{port}/ws", additional_headers=headers):
                pass

    def test_it_is_in_flight_until_it_closes(self, service: Any, serve: Any, implementation: str) -> None:
        """An open socket writes whenever it likes, long after the window opened."""
        app = echo_app(service)
        init_app(app, service=service)

        with serve(app, ws=implementation) as port:
            with connect(f"ws://127.0.0.1:{port}/ws") as websocket:
                websocket.send("hello")
                assert websocket.recv(timeout=10) == "hello"
                service.enable(reason="upgrade", actor="ops")
                report = service.quiescence()
                websocket.send("still here")
                assert websocket.recv(timeout=10) == "still here"
                assert not report.quiesced
                eventually(lambda: service.quiescence().in_flight == {"user_data_modification": 1})
            eventually(lambda: service.quiescence().quiesced)

    def test_a_client_that_vanishes_leaves_nothing(self, service: Any, serve: Any, implementation: str) -> None:
        """Phones go through tunnels."""
        app = echo_app(service)
        init_app(app, service=service)

        with serve(app, ws=implementation) as port:
            with connect(f"ws://127.0.0.1:{port}/ws") as websocket:
                websocket.send("hello")
                assert websocket.recv(timeout=10) == "hello"
                websocket.socket.shutdown(socket.SHUT_RDWR)
            eventually(lambda: not service.gate.in_flight)

    def test_a_guard_in_an_open_one_closes_it(self, service: Any, serve: Any, implementation: str) -> None:
        """1013: try again later."""
        app = echo_app(service)
        init_app(app, service=service)

        with serve(app, ws=implementation) as port, connect(f"ws://127.0.0.1:{port}/ws") as websocket:
            websocket.send("pay")
            assert websocket.recv(timeout=10) == "paid"
            service.enable(reason="upgrade", actor="ops")
            websocket.send("pay")
            with pytest.raises(ConnectionClosed) as closed:
                websocket.recv(timeout=10)

        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1013

    def test_a_guard_before_the_handshake_refuses_it(self, service: Any, serve: Any, implementation: str) -> None:
        """Whichever way it is refused, the socket must not open."""
        app = echo_app(service)
        init_app(app, service=service)

        with serve(app, ws=implementation) as port:
            service.enable(reason="upgrade", operations=["payments"], actor="ops")
            with pytest.raises(InvalidStatus), connect(f"ws://127.0.0.1:{port}/guarded"):
                pass
        assert not service.gate.in_flight


def test_a_server_that_can_send_no_response_is_told_to_close(service: Any, drive: Any) -> None:
    """Servers make a 403 of a close before the handshake (ASGI)."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("must not come here")

    wrapped = MaintenanceModeMiddleware(app, service=service)
    service.enable(reason="upgrade", actor="ops")

    sent = drive.run(wrapped, drive.scope("WEBSOCKET", "/ws"), [{"type": "websocket.connect"}])

    assert [(message["type"], message["code"]) for message in sent] == [("websocket.close", 1013)]
