"""A small shop in Flask, under maintenance mode."""

from __future__ import annotations

import json
import os
import time

from flask import Flask, request, session

from quiesce import Principal
from quiesce_flask import init_app

app = Flask(__name__)
app.secret_key = os.environ["DEMO_SECRET_KEY"]
ADMINS = {"root"}


def identify(_: object) -> Principal | None:
    """Say who is signed in; whether that is an admin is looked up each time, not kept in the session."""
    user = session.get("user")
    return Principal(user, is_admin=user in ADMINS) if user else None


@app.post("/login")
def login() -> str:
    session["user"] = request.form["user"]
    return "welcome"


@app.get("/me")
def show_user() -> str:
    return json.dumps(session.get("user", "nobody"))


@app.get("/items")
def list_items() -> list[str]:
    return ["tea", "coffee"]


@app.post("/items")
def add_item() -> tuple[str, int]:
    time.sleep(float(request.args.get("seconds", "0")))
    return "added", 201


init_app(app, identify=identify)
