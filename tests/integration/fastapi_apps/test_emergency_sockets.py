"""Open WebSockets when an emergency begins: closed with 1012 on every worker, admins' left alone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from quiesce.testing import eventually
from quiesce_fastapi import MaintenanceModeMiddleware, init_app

ANN = {"Cookie": "user=ann"}
BOB = {"Cookie": "user=bob"}


@pytest.fixture
def module(load_app: Any) -> Any:
    """The module with the application."""
    return load_app("sockets")


@pytest.fixture(params=["init_app", "bare"])
def app(request: pytest.FixtureRequest, module: Any, service: Any) -> Any:
    """The application, by either way in; ``state`` is that of the application inside."""
    inner = module.make_app()
    if request.param == "init_app":
        init_app(inner, service=service, identify=module.identify)
        return inner
    wrapped: Any = MaintenanceModeMiddleware(inner, service=service, identify=module.identify)
    wrapped.state = inner.state
    return wrapped


def closing_code(client: ClientConnection) -> int | None:
    """Read to the end; return the code of the close frame."""
    try:
        while True:
            client.recv(timeout=20)
    except ConnectionClosed as exc:
        return None if exc.rcvd is None else exc.rcvd.code


def echoes(client: ClientConnection) -> bool:
    client.send("hello")
    return client.recv(timeout=20) == "hello"


@contextlib.contextmanager
def opened(port: int, headers: dict[str, str] | None = None) -> Iterator[ClientConnection]:
    with connect(f"ws://127.0.0.1:{port}/ws", additional_headers=headers or {}) as client:
        client.recv(timeout=20)
        yield client


@pytest.mark.parametrize("implementation", ["websockets-sansio", "wsproto"])
class TestEmergency:
    """With both of uvicorn's implementations."""

    def test_open_ones_are_closed_and_admins_stay(
        self, app: Any, service: Any, serve: Any, implementation: str
    ) -> None:
        """The application hears 1012 too, is done, and what it says after is no error."""
        with (
            serve(app, ws=implementation) as port,
            opened(port) as nobody,
            opened(port, BOB) as bob,
            opened(port, ANN) as ann,
        ):
            service.enable(mode="emergency", reason="breach", actor="ops")

            assert (closing_code(nobody), closing_code(bob)) == (1012, 1012)
            assert echoes(ann)
            eventually(lambda: app.state.ends == [1012, 1012])
            eventually(lambda: service.quiescence().quiesced)
            assert len(service.gate.in_flight) == 1
            with pytest.raises(InvalidStatus), opened(port, BOB):
                pass
            with opened(port, ANN) as another:
                assert echoes(another)

    def test_a_normal_window_closes_none(self, app: Any, service: Any, serve: Any, implementation: str) -> None:
        """Planned work waits for them; an emergency on top of it does not."""
        with serve(app, ws=implementation) as port, opened(port) as nobody, opened(port, ANN) as ann:
            service.enable(reason="upgrade", actor="ops")
            eventually(lambda: service.quiescence().in_flight == {"user_data_modification": 2})
            assert echoes(nobody)

            service.enable(mode="emergency", reason="breach", operations=["payments"], actor="ops")
            eventually(lambda: service.quiescence().revision == service.gate.snapshot.revision)
            assert echoes(nobody)
            service.disable(end_all=True, actor="ops")

            service.enable(mode="emergency", reason="breach", actor="ops")
            assert closing_code(nobody) == 1012
            assert echoes(ann)

    def test_one_that_only_sends_ends_too(self, app: Any, service: Any, serve: Any, implementation: str) -> None:
        """It never asks whether the client is there; it must not be in flight for ever."""
        with serve(app, ws=implementation) as port, connect(f"ws://127.0.0.1:{port}/ticks") as ticking:
            assert ticking.recv(timeout=20) == "tick"

            service.enable(mode="emergency", reason="breach", actor="ops")

            assert closing_code(ticking) == 1012
            eventually(lambda: len(app.state.ends) == 1, within=20)
            eventually(lambda: not service.gate.in_flight)

    def test_a_handshake_under_way_is_refused(self, app: Any, service: Any, serve: Any, implementation: str) -> None:
        """It was admitted before, and has not been answered yet."""
        statuses: list[int] = []

        def shake_hands(port: int) -> None:
            try:
                with connect(f"ws://127.0.0.1:{port}/slow"):
                    statuses.append(101)
            except InvalidStatus as exc:
                statuses.append(exc.response.status_code)
                statuses.append(json.loads(exc.response.body or b"")["status"])

        with serve(app, ws=implementation) as port:
            client = threading.Thread(target=shake_hands, args=(port,))
            client.start()
            eventually(lambda: app.state.ends == ["connecting"])
            service.enable(mode="emergency", reason="breach", actor="ops")
            client.join(20)
            eventually(lambda: not service.gate.in_flight)

        assert statuses == [503, 503]


def test_one_that_enters_while_the_word_goes_round_is_closed(
    service: Any, drive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be admitted a moment before the emergency, and kept a moment after the others were closed."""
    sent: list[dict[str, Any]] = []
    enter = service.gate.enter

    def enter_just_before(method: str, path: str) -> int:
        token: int = enter(method, path)
        assert token > 0
        service.enable(mode="emergency", reason="breach", actor="ops")
        service.gate.renew()
        return token

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass

    async def receive() -> Any:
        return await asyncio.Future() if sent else {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    monkeypatch.setattr(service.gate, "enter", enter_just_before)
    wrapped = MaintenanceModeMiddleware(inner, service=service)
    service.gate.extend_lease(seconds=60, is_stale=False)  # no agent starts, and so nobody tells of the emergency again

    asyncio.run(asyncio.wait_for(wrapped(drive.scope("WEBSOCKET", "/ws"), receive, send), 20))

    assert sent[-1]["code"] in {1012, 1013}
    assert not service.gate.in_flight


@pytest.mark.slow
@pytest.mark.parametrize("factory", ["build", "build_bare"])
def test_every_worker_closes_its_own(tmp_path: Path, start_process: Any, make_service: Any, factory: str) -> None:
    """The command is given in another process; each of the two workers hears of it by itself."""
    store = f"sqlite:///{tmp_path}/m.db"
    server = start_process(f"sockets:{factory}", workers=2, MAINTENANCE_STORE_URL=store)
    operator = make_service(store_url=store)
    eventually(lambda: len(operator.store.workers()) == 2, within=90)
    with ExitStack() as stack:
        clients: list[tuple[str, ClientConnection, ClientConnection]] = []

        def reach_both() -> bool:
            url = server.url.replace("http:", "ws:") + "/ws"
            bob = stack.enter_context(connect(url, additional_headers=BOB))
            ann = stack.enter_context(connect(url, additional_headers=ANN))
            pid, _ = str(bob.recv(timeout=20)), ann.recv(timeout=20)
            clients.append((pid, bob, ann))
            return len({pid for pid, _, _ in clients}) == 2

        eventually(reach_both, within=60)

        window = operator.emergency.activate(reason="breach", actor="ops")

        assert [closing_code(bob) for _, bob, _ in clients] == [1012] * len(clients)
        assert all(echoes(ann) for _, _, ann in clients)
        progress = operator.emergency.wait(window.id, timeout=30)
        assert progress.is_settled, progress  # it waits for the workers to say that none is open, admins' apart
