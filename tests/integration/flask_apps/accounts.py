"""People who log in, by an application factory and a blueprint; the environment says what keeps their sessions."""

from __future__ import annotations

import os
import time
from pathlib import Path

import flask
import flask_login
import flask_session
import redis

from quiesce import Principal
from quiesce_flask import init_app

FOLDER = Path(os.environ["SHOP_FOLDER"])

people = flask.Blueprint("people", __name__)


class User(flask_login.UserMixin):  # type: ignore[misc]  # Flask-Login ships no types
    """Has nothing but an id."""

    def __init__(self, user_id: str) -> None:
        self.id = user_id


def identify(_request: flask.Request) -> Principal | None:
    """Return the user of the session, with the role of this moment."""
    user = user_id()
    return None if user is None else Principal(user, is_admin=user in (FOLDER / "admins").read_text().split())


def user_id() -> str | None:
    """Return who is logged in."""
    if flask.current_app.config["KIND"] == "remember":
        found: str | None = getattr(flask_login.current_user, "id", None)
        return found
    return flask.session.get("user")


@people.post("/login")
def log_in() -> str:
    """Log in whoever says so; the form may ask to be remembered."""
    user = flask.request.form["user"]
    if flask.current_app.config["KIND"] == "remember":
        flask_login.login_user(User(user), remember="remember" in flask.request.form)
    else:
        flask.session["user"] = user
    if flask.current_app.config["KIND"] == "server":  # against session fixation, as its documentation says
        flask.current_app.session_interface.regenerate(flask.session)  # type: ignore[attr-defined]  # Flask-Session's
    return user


@people.post("/logout")
def log_out() -> str:
    """Log out, and leave the rest of the session."""
    if flask.current_app.config["KIND"] == "remember":
        flask_login.logout_user()
    else:
        flask.session.pop("user", None)
    return ""


@people.get("/me")
def me() -> str:
    """Say who it is, or nobody."""
    return user_id() or "nobody"


@people.get("/public")
def public() -> str:
    """Look at no session."""
    return "public"


@people.get("/cart/<item>")
def cart(item: str) -> str:
    """Keep something for somebody who need not be logged in; return what was kept before."""
    before: str = flask.session.get("cart", "")
    flask.session["cart"] = item
    return before


@people.get("/slow")
def slow() -> str:
    """Hold the session until the test lets it go, then change it."""
    before = user_id()
    (FOLDER / "slow.begun").touch()
    deadline = time.monotonic() + 20
    while not (FOLDER / "slow.go").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    flask.session["seen"] = "slow"
    return before or "nobody"


def create_app() -> flask.Flask:
    """Make the application."""
    app = create_bare_app()
    init_app(app, identify=identify)
    return app


def create_bare_app() -> flask.Flask:
    """Make it without maintenance mode."""
    app = flask.Flask("accounts", static_folder=None)
    app.config.update(SECRET_KEY="a key for these tests", KIND=os.environ["ACCOUNTS_KIND"])
    if app.config["KIND"] == "server":
        app.config.update(SESSION_TYPE="redis", SESSION_REDIS=redis.Redis.from_url(os.environ["ACCOUNTS_REDIS"]))
        flask_session.Session(app)
    if app.config["KIND"] == "remember":
        flask_login.LoginManager(app).user_loader(User)
    app.register_blueprint(people)
    return app
