"""The application of the worker tests; configured by the environment, as an operator would."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from fastapi import FastAPI, Request

from quiesce import Principal
from quiesce_fastapi import init_app


def build() -> FastAPI:
    """Return the application, for ``uvicorn --factory``."""
    app = FastAPI()

    @app.get("/items")
    def items() -> int:
        return os.getpid()

    @app.post("/items")
    async def make() -> int:
        return os.getpid()

    @app.post("/slow")
    async def slow(seconds: float) -> int:
        await asyncio.sleep(seconds)
        return os.getpid()

    def identify(request: Request) -> Principal | None:
        user: Any = request.cookies.get("user")
        return None if user is None else Principal(user_id=user, is_admin=user == "ann")

    init_app(app, identify=identify)
    return app
