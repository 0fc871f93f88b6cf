"""The Flask application of the trials."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from flask import Flask, Response, request

from quiesce_flask import init_app

from .views import OP, PID, principal, service, viewing

app = Flask(__name__)


def _view(kind: str) -> Response:
    with viewing(kind, op=request.headers[OP], user=request.cookies.get("user")):
        time.sleep(float(request.args.get("seconds", "0")))
        return Response(kind, 201 if kind == "write" else 200, {PID: str(os.getpid())})


@app.get("/items")
def read() -> Response:
    return _view("read")


@app.post("/items")
def write() -> Response:
    return _view("write")


@app.post("/stream")
def stream() -> Response:
    op, user, seconds = request.headers[OP], request.cookies.get("user"), float(request.args.get("seconds", "0"))

    def pieces() -> Iterator[bytes]:
        with viewing("write", op=op, user=user):
            yield b"first"
            time.sleep(seconds)
            yield b"last"

    return Response(pieces(), 201, {PID: str(os.getpid())})


init_app(app, service=service(), identify=lambda request: principal(request.cookies.get("user")))
