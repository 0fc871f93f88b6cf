"""A FastAPI application, bare, with Quiesce, and with the other packages from PyPI, on one event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response

from quiesce import EnhancedMaintenanceModeService
from quiesce_fastapi import init_app

from .asgi import Message, scope_of
from .field import READ, WRITE, Field, Request
from .harness import Run
from .peers import is_installed

Opener = Callable[[], Awaitable[object]]


@contextmanager
def field(
    service: EnhancedMaintenanceModeService, *, folder: Path, redis_url: str, open_window: Callable[[], None]
) -> Iterator[Field]:
    """Yield the contenders; those that are not installed are left out."""
    guarded = make_app()
    init_app(guarded, service=service)
    apps: dict[str, FastAPI] = {"bare": make_app(), "Quiesce, SQLite": guarded}
    openers: list[Opener] = []
    with asyncio.Runner() as runner:
        if is_installed("fastapi-maintenance"):
            _add_fastapi_maintenance(apps, openers, folder=folder)
        if is_installed("waygate"):
            runner.run(_add_waygate(apps, openers, redis_url=redis_url))

        def open_all() -> None:
            open_window()
            for opener in openers:
                runner.run(_awaited(opener))

        yield Field(
            title="FastAPI",
            apps=apps,
            drive=lambda app, request: _drive(runner, app, request),
            status=lambda app, request: runner.run(_status_of(app, request)),
            open_window=open_all,
            budgets={},
        )


def make_app() -> FastAPI:
    """Return the application that all of them serve."""
    app = FastAPI()

    @app.get(READ.path)
    async def read() -> Response:
        return Response(b"ok", media_type="text/plain")

    @app.post(WRITE.path)
    async def write() -> Response:
        return Response(b"ok", media_type="text/plain")

    return app


def _add_fastapi_maintenance(apps: dict[str, FastAPI], openers: list[Opener], *, folder: Path) -> None:
    package: Any = import_module("fastapi_maintenance")
    backend = import_module("fastapi_maintenance.backends").LocalFileBackend(str(folder / "fastapi-maintenance"))
    app = apps["fastapi-maintenance, file"] = make_app()
    app.add_middleware(
        package.MaintenanceModeMiddleware,
        backend=backend,
        exempt_handler=lambda request: request.url.path == READ.path,
    )
    openers.append(lambda: package.set_maintenance_mode(True, backend=backend))


async def _add_waygate(apps: dict[str, FastAPI], openers: list[Opener], *, redis_url: str) -> None:
    logging.getLogger("waygate").addHandler(logging.NullHandler())
    package: Any = import_module("waygate")
    middleware = import_module("waygate.fastapi").WaygateMiddleware
    redis_backend = import_module("waygate.core.backends.redis").RedisBackend
    engines = {
        "waygate, memory": package.WaygateEngine(),
        "waygate, Redis": package.WaygateEngine(backend=redis_backend(url=redis_url)),
    }
    for name, engine in engines.items():
        app = apps[name] = make_app()
        app.add_middleware(middleware, engine=engine)
        await engine.start()
        openers.append(partial(engine.enable_global_maintenance, "benchmark", exempt_paths=[READ.path]))


class _Incoming:
    """A request's body, and then silence until the client goes away: as a server's ``receive``."""

    __slots__ = ("_is_read",)

    def __init__(self) -> None:
        self._is_read = False

    async def __call__(self) -> Message:
        if self._is_read:
            await asyncio.get_running_loop().create_future()
        self._is_read = True
        return {"type": "http.request", "body": b"", "more_body": False}


def _drive(runner: asyncio.Runner, app: Any, request: Request) -> Run:
    scope = scope_of(request)

    async def serve(count: int) -> None:
        for _ in range(count):
            await app(scope.copy(), _Incoming(), _send)

    return lambda count: runner.run(serve(count))


async def _status_of(app: Any, request: Request) -> int:
    statuses: list[int] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope_of(request), _Incoming(), send)
    return statuses[0]


async def _send(message: Message) -> None:
    pass


async def _awaited(opener: Opener) -> None:
    await opener()
