"""An application with Starlette's signed session cookies; who is an admin stands in a file and is read live."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import BackgroundTasks, FastAPI, Request
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import StreamingResponse

from quiesce import Principal
from quiesce_fastapi import init_app


def make_app(admins: Path, *, service: Any = None, **options: Any) -> FastAPI:
    """Return the application; ``admins`` holds their names, one a line."""
    app = FastAPI()
    app.state.done = []

    def identify(request: Request) -> Principal | None:
        user = request.session.get("user") or request.cookies.get("auth")
        return None if user is None else Principal(user, is_admin=user in admins.read_text().split())

    @app.get("/login")
    def form(request: Request) -> str:
        request.session["csrf"] = "token"
        return "form"

    @app.post("/login")
    async def login(request: Request, user: str) -> str:
        request.session["user"] = user
        return user

    @app.post("/logout")
    async def logout(request: Request) -> str:
        request.session.clear()
        return "out"

    @app.get("/me")
    @app.head("/me")
    def me(request: Request) -> Any:
        return request.session.get("user")

    @app.get("/pid")
    def pid() -> int:
        return os.getpid()

    @app.get("/basket")
    def basket(request: Request) -> Any:
        request.session["basket"] = request.session.get("basket", 0) + 1
        return request.session["basket"]

    @app.get("/stream")
    def stream(request: Request) -> StreamingResponse:
        async def pieces() -> AsyncIterator[str]:
            for number in range(3):
                yield str(number)

        request.session["streamed"] = True
        return StreamingResponse(pieces(), media_type="text/plain")

    @app.get("/background")
    def background(tasks: BackgroundTasks) -> str:
        tasks.add_task(app.state.done.append, "done")
        return "begun"

    app.add_middleware(SessionMiddleware, secret_key="secret")
    init_app(app, service=service, identify=identify, **options)
    return app


def build() -> FastAPI:
    """Return the application, for ``uvicorn --factory``."""
    return make_app(Path(os.environ["ADMINS"]))
