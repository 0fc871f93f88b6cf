"""A FastAPI application to be killed, stopped and cut off."""

from __future__ import annotations

import asyncio
import os

from fastapi import FastAPI, Request

from quiesce import Principal
from quiesce_fastapi import init_app

app = FastAPI()


@app.get("/items")
async def list_items() -> dict[str, int]:
    return {"pid": os.getpid()}


@app.post("/items", status_code=201)
async def add_item(seconds: float = 0) -> str:
    await asyncio.sleep(seconds)
    return "added"


async def identify(request: Request) -> Principal:
    user = request.cookies["user"]
    return Principal(user, is_admin=user == "root")


init_app(app, identify=identify)
