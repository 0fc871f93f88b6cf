"""Fixtures for the tests of the ASGI adapter: services, a driver for single scopes, and servers."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn

from quiesce import EnhancedMaintenanceModeService, OperationType, Principal, Settings
from quiesce.testing import eventually

if TYPE_CHECKING:
    from tests.nursery.client import Nursery

APPS = Path(__file__).parent
PAYMENTS = OperationType("payments", "Taking payments", "Payments are paused.")

MakeService = Callable[..., EnhancedMaintenanceModeService]


@pytest.fixture
def make_service() -> Iterator[MakeService]:
    """Make services, in memory unless a store is named; they are closed after the test."""
    with contextlib.ExitStack() as opened:

        def make(**settings: Any) -> EnhancedMaintenanceModeService:
            settings = {"store_url": "memory://", "operations": (PAYMENTS,), **settings}
            service = EnhancedMaintenanceModeService(Settings(**settings))
            opened.callback(service.close)
            return service

        yield make


@pytest.fixture
def service(make_service: MakeService) -> EnhancedMaintenanceModeService:
    """A service with nothing open."""
    return make_service()


@pytest.fixture
def ann() -> Callable[[Any], Principal | None]:
    """An ``identify`` for which the cookie ``user=ann`` is the admin's."""

    def identify(request: Any) -> Principal | None:
        user = request.cookies.get("user")
        return None if user is None else Principal(user_id=user, is_admin=user == "ann")

    return identify


LoadApp = Callable[[str], ModuleType]


@pytest.fixture
def load_app(monkeypatch: pytest.MonkeyPatch) -> LoadApp:
    """Import a module of this folder, for one test."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, APPS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


class Driver:
    """Serves single scopes as a server would, and keeps what is sent."""

    @staticmethod
    def scope(method: str, path: str, *, user: str | None = None, **members: Any) -> dict[str, Any]:
        """Return an ASGI scope; ``WEBSOCKET`` as a method makes it one."""
        headers = [(b"host", b"testserver")] + ([] if user is None else [(b"cookie", f"user={user}".encode())])
        kind: dict[str, Any] = {"type": "websocket", "subprotocols": []}
        if method != "WEBSOCKET":
            kind = {"type": "http", "method": method}
        common = {"asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "query_string": b""}
        return {**kind, **common, "path": path, "root_path": "", "headers": headers, "server": ("x", 80), **members}

    @staticmethod
    async def send_all(
        app: Any, scope: dict[str, Any], incoming: Sequence[dict[str, Any]] = ()
    ) -> list[dict[str, Any]]:
        """Return all that the application sends for these incoming messages; then the client is gone."""
        waiting = list(incoming) or [{"type": "http.request", "body": b"", "more_body": False}]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return waiting.pop(0) if waiting else {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start" and sent:
                raise RuntimeError("the response has begun")
            sent.append(message)

        await app(scope, receive, send)
        return sent

    def run(self, app: Any, scope: dict[str, Any], incoming: Sequence[dict[str, Any]] = ()) -> list[dict[str, Any]]:
        """Do the same from outside an event loop."""
        return asyncio.run(self.send_all(app, scope, incoming))

    def __call__(self, app: Any, method: str, path: str, **members: Any) -> tuple[int, bytes]:
        """Return status and body."""
        sent = self.run(app, self.scope(method, path, **members))
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@pytest.fixture
def drive() -> Driver:
    """The driver."""
    return Driver()


Serve = Callable[..., contextlib.AbstractContextManager[int]]


@pytest.fixture
def serve() -> Serve:
    """Runs uvicorn in a thread, and gives its port."""

    @contextlib.contextmanager
    def serving(app: Any, **config: Any) -> Iterator[int]:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            server = uvicorn.Server(uvicorn.Config(app, interface="asgi3", log_config=None, **config))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()
            try:
                eventually(lambda: server.started)
                yield listening.getsockname()[1]
            finally:
                server.should_exit = True
                thread.join(15)
            assert not thread.is_alive()

    return serving


class Process:
    """A uvicorn of its own, with workers.

    Attributes:
        url: where it serves.
        process: to be signalled.
    """

    def __init__(self, nursery: Nursery, app: str, *, workers: int, environ: dict[str, str], log: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._log = log
        command = [sys.executable, "-m", "uvicorn", app, "--factory", "--app-dir", str(APPS)]
        command += ["--port", str(port), "--workers", str(workers), "--log-level", "info"]
        with log.open("wb") as output:
            self.process = nursery.start(
                command, env={**os.environ, "PYTHONHASHSEED": "0", **environ}, stdout=output, stderr=output
            )

    def wait_until_it_serves(self) -> None:
        """Return when a request is answered; fail with the log when the process ends instead."""

        def answers() -> bool:
            assert self.process.poll() is None, self._log.read_text()
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"{self.url}/api/health/maintenance", timeout=5, verify=False)
                return True
            return False

        eventually(answers, within=90)

    def stop(self) -> None:
        """End it as an operator would, and wait."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


StartProcess = Callable[..., Process]


@pytest.fixture
def start_process(tmp_path: Path, nursery: Nursery) -> Iterator[StartProcess]:
    """Start uvicorn with ``fastapi_apps/<module>:<factory>``; it is ended after the test."""
    with contextlib.ExitStack() as started:

        def start(app: str, *, workers: int = 1, **environ: str) -> Process:
            process = Process(
                nursery, app, workers=workers, environ=environ, log=tmp_path / f"{app}.log".replace(":", "-")
            )
            started.callback(process.stop)
            process.wait_until_it_serves()
            return process

        yield start
