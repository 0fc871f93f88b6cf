"""The applications that real servers serve while an emergency begins: each answer names its worker."""

from __future__ import annotations

import os

from fastapi import FastAPI
from flask import Flask

import quiesce_fastapi
import quiesce_flask


def make_flask() -> Flask:
    """For gunicorn."""
    app = Flask("benchmark")
    app.add_url_rule("/pid", "pid", lambda: str(os.getpid()))
    quiesce_flask.init_app(app)
    return app


def make_fastapi() -> FastAPI:
    """For uvicorn."""
    app = FastAPI()

    @app.get("/pid")
    async def pid() -> int:
        return os.getpid()

    quiesce_fastapi.init_app(app)
    return app
