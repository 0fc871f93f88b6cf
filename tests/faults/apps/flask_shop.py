"""A Flask application to be killed, stopped and cut off."""

from __future__ import annotations

import os
import time

from flask import Flask, request

from quiesce import Principal
from quiesce_flask import init_app

app = Flask(__name__)


@app.get("/items")
def list_items() -> dict[str, int]:
    return {"pid": os.getpid()}


@app.post("/items")
def add_item() -> tuple[str, int]:
    time.sleep(float(request.args.get("seconds", "0")))
    return "added", 201


init_app(app, identify=lambda request: Principal(request.cookies["user"], is_admin=request.cookies["user"] == "root"))
