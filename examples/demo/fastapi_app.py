"""A small shop in FastAPI, under maintenance mode."""

from __future__ import annotations

import asyncio
import os

from fastapi import FastAPI, Request
from starlette.middleware.sessions import SessionMiddleware

from quiesce import Principal
from quiesce_fastapi import init_app

app = FastAPI()
app.add_middleware(SessionMiddleware, secret_key=os.environ["DEMO_SECRET_KEY"])
ADMINS = {"root"}


async def identify(request: Request) -> Principal | None:
    """Say who is signed in; whether that is an admin is looked up each time, not kept in the session."""
    user = request.session.get("user")
    return Principal(user, is_admin=user in ADMINS) if user else None


@app.post("/login")
async def login(request: Request) -> str:
    body = (await request.body()).decode()
    request.session["user"] = body.removeprefix("user=")
    return "welcome"


@app.get("/me")
async def show_user(request: Request) -> str:
    return str(request.session.get("user", "nobody"))


@app.get("/items")
async def list_items() -> list[str]:
    return ["tea", "coffee"]


@app.post("/items", status_code=201)
async def add_item(seconds: float = 0) -> str:
    await asyncio.sleep(seconds)
    return "added"


init_app(app, identify=identify)
