"""A Flask application for real servers: slow, streaming and file routes, and a login by cookie."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import flask

from quiesce import Principal
from quiesce_flask import init_app

FOLDER = Path(os.environ["SHOP_FOLDER"])


def identify(request: flask.Request) -> Principal | None:
    """Return the user that the cookie names; ann is the admin."""
    user = request.cookies.get("user")
    return None if user is None else Principal(user_id=user, is_admin=user == "ann")


def hold(name: str) -> None:
    """Say that this request has begun, and wait until the test lets it go on."""
    (FOLDER / f"{name}.begun").touch()
    deadline = time.monotonic() + 20
    while not (FOLDER / f"{name}.go").exists() and time.monotonic() < deadline:
        time.sleep(0.005)


def slow() -> str:
    """Answer when the test allows it."""
    hold(flask.request.args["name"])
    return "slow"


def stream() -> flask.Response:
    """Send a piece, wait for the test, and then send until somebody is tired of it."""

    def pieces() -> Iterator[bytes]:
        yield b"first\n"
        hold(flask.request.args["name"])
        for _ in range(int(flask.request.args.get("pieces", "1"))):
            yield b"x" * 65536

    return flask.Response(flask.stream_with_context(pieces()))


app = flask.Flask("shop", static_folder=None)
app.add_url_rule("/pid", "pid", lambda: str(os.getpid()), methods=["GET", "POST"])
app.add_url_rule("/slow", view_func=slow, methods=["POST"])
app.add_url_rule("/stream", view_func=stream, methods=["POST"])
app.add_url_rule("/file", "file", lambda: flask.send_file(FOLDER / "file.bin"), methods=["GET", "POST"])
app.add_url_rule("/upload", "upload", lambda: str(len(flask.request.get_data())), methods=["POST"])
service = init_app(app, identify=identify)
