"""The FastAPI application of the trials."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from quiesce import Principal
from quiesce_fastapi import init_app

from .views import OP, PID, principal, service, viewing

app = FastAPI()


async def _view(kind: str, request: Request, seconds: float) -> Response:
    with viewing(kind, op=request.headers[OP], user=request.cookies.get("user")):
        await asyncio.sleep(seconds)
        return Response(kind, 201 if kind == "write" else 200, {PID: str(os.getpid())})


@app.get("/items")
async def read(request: Request, seconds: float = 0) -> Response:
    return await _view("read", request, seconds)


@app.post("/items")
async def write(request: Request, seconds: float = 0) -> Response:
    return await _view("write", request, seconds)


@app.post("/stream")
async def stream(request: Request, seconds: float = 0) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        with viewing("write", op=request.headers[OP], user=request.cookies.get("user")):
            yield b"first"
            await asyncio.sleep(seconds)
            yield b"last"

    return StreamingResponse(pieces(), 201, {PID: str(os.getpid())})


async def identify(request: Request) -> Principal | None:
    return principal(request.cookies.get("user"))


init_app(app, service=service(), identify=identify)
