"""A worker is listed before its application starts, until after it has stopped."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette

from quiesce_fastapi import MaintenanceModeMiddleware, init_app

STARTUP = {"type": "lifespan.startup"}
SHUTDOWN = {"type": "lifespan.shutdown"}


def live(app: Any, service: Any) -> list[tuple[str, int]]:
    """Take an application through its life; return what it sent, each with the number of workers listed then."""
    incoming = [STARTUP, SHUTDOWN]
    sent: list[tuple[str, int]] = []

    async def receive() -> Any:
        return incoming.pop(0)

    async def send(message: Any) -> None:
        sent.append((message["type"], len(service.store.workers())))

    async def scenario() -> None:
        await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)

    asyncio.run(scenario())
    return sent


@pytest.mark.parametrize("build", [FastAPI, Starlette])
def test_an_application_with_a_lifespan_finds_itself_listed(service: Any, build: Any) -> None:
    """What it does at its start may already be work that maintenance must see."""
    listed = []

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        listed.append(len(service.store.workers()))
        yield
        listed.append(len(service.store.workers()))

    app = build(lifespan=lifespan)
    init_app(app, service=service)

    assert live(app, service) == [("lifespan.startup.complete", 1), ("lifespan.shutdown.complete", 0)]
    assert listed == [1, 1]


@pytest.mark.parametrize("build", [FastAPI, Starlette])
def test_an_application_without_one_is_listed_as_well(service: Any, build: Any) -> None:
    """Most small applications have none."""
    app = build()
    init_app(app, service=service)

    assert live(app, service) == [("lifespan.startup.complete", 1), ("lifespan.shutdown.complete", 0)]


@pytest.mark.parametrize("manner", ["raises", "returns"])
def test_an_application_that_knows_no_lifespan_is_stood_in_for(service: Any, manner: str) -> None:
    """Else its worker would never say goodbye, and hold up every proof after it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if manner == "raises":
            raise ValueError("only http here")

    wrapped = MaintenanceModeMiddleware(app, service=service)

    assert live(wrapped, service) == [("lifespan.startup.complete", 1), ("lifespan.shutdown.complete", 0)]


def test_a_failed_start_is_passed_on_and_leaves_no_worker(service: Any) -> None:
    """The server must end the process, and the operator must not wait for it."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        if service.store.url:
            raise RuntimeError("no database")
        yield

    app = FastAPI(lifespan=lifespan)
    init_app(app, service=service)

    with pytest.raises(RuntimeError, match="no database"):
        live(app, service)

    assert not service.store.workers()


def test_the_event_loop_goes_on_while_the_store_is_waited_for(service: Any, drive: Any) -> None:
    """Registering may take seconds; a server that stands still answers no health check either."""
    threads = []
    app = FastAPI()
    init_app(app, service=service)
    revive = service.gate.revive_and_judge

    def revive_and_note(token: int) -> Any:
        threads.append(threading.current_thread())
        return revive(token)

    service.gate.revive_and_judge = revive_and_note

    assert drive(app, "GET", "/docs")[0] == 200

    (report,) = service.store.workers()
    assert report.worker.framework == "fastapi"
    assert threads
    assert threading.main_thread() not in threads


@pytest.mark.parametrize("lifespan", ["on", "off"])
def test_a_server_lists_its_worker(service: Any, serve: Any, lifespan: str) -> None:
    """With the lifespan off, the first request does it."""
    import httpx

    app = FastAPI()
    init_app(app, service=service)

    with serve(app, lifespan=lifespan) as port:
        assert len(service.store.workers()) == (1 if lifespan == "on" else 0)
        assert httpx.get(f"http://127.0.0.1:{port}/docs").status_code == 200
        assert len(service.store.workers()) == 1

    assert len(service.store.workers()) == (0 if lifespan == "on" else 1)
