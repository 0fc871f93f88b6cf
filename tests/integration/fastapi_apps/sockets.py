"""An application of open WebSockets, by itself or inside the bare middleware; what it saw of each end is on a list."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Any

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from quiesce import EnhancedMaintenanceModeService, Principal
from quiesce_fastapi import MaintenanceModeMiddleware, init_app


def identify(request: Any) -> Principal | None:
    """Ann is an admin by her cookie."""
    user = request.cookies.get("user")
    return None if user is None else Principal(user, is_admin=user == "ann")


def make_app() -> FastAPI:
    """Return the application without any maintenance mode."""
    app = FastAPI()
    app.state.ends = []

    @app.websocket("/ws")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(str(os.getpid()))
        try:
            while True:
                await websocket.send_text(await websocket.receive_text())
        except WebSocketDisconnect as exc:
            with contextlib.suppress(WebSocketDisconnect):  # of a client that has really gone
                await websocket.send_text("too late")
            app.state.ends.append(exc.code)

    @app.websocket("/ticks")
    async def ticks(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            while True:
                await websocket.send_text("tick")
                await asyncio.sleep(0.001)
        except (WebSocketDisconnect, OSError):  # Starlette makes the one of the other since 0.37
            app.state.ends.append("gone")

    @app.websocket("/slow")
    async def slow(websocket: WebSocket) -> None:
        app.state.ends.append("connecting")
        await asyncio.sleep(0.5)
        await websocket.accept()
        await websocket.send_text("in")

    @app.get("/pid")
    def pid() -> int:
        return os.getpid()

    return app


def build() -> FastAPI:
    """Return it for ``uvicorn --factory``."""
    app = make_app()
    init_app(app, identify=identify)
    return app


def build_bare() -> MaintenanceModeMiddleware:
    """Return it inside the bare middleware."""
    return MaintenanceModeMiddleware(make_app(), service=EnhancedMaintenanceModeService(), identify=identify)
