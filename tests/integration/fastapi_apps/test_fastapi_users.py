"""The real fastapi-users: its tokens end with a window, and only admins are given new ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from quiesce.testing import eventually

Client = Callable[[], httpx.Client]


@pytest.fixture
def module(load_app: Any) -> Any:
    """The module with the application."""
    return load_app("users_app")


@pytest.fixture
def app(module: Any, service: Any) -> Any:
    """The application, with nothing open."""
    return module.make_app(service)


@pytest.fixture
def client(app: Any, serve: Any) -> Iterator[Client]:
    """Make clients with a cookie jar each."""
    with serve(app) as port, ExitStack() as opened:
        yield lambda: opened.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20))


def log_in(client: httpx.Client, module: Any, user: str, backend: str) -> int:
    """Log in as a browser or a front end does; a token goes into the client's headers."""
    form = {"username": f"{user}@example.com", "password": module.PASSWORD}
    answer = client.post(f"/auth/{backend}/login", data=form)
    if answer.status_code == 200:
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return answer.status_code


def wait_for_the_next_second() -> None:
    """``iat`` has whole seconds: a token of the second of the revocation counts as older."""
    second = int(time.time())
    eventually(lambda: int(time.time()) > second)


@pytest.mark.parametrize(("backend", "in_", "out"), [("jwt", 200, 401), ("cookie", 204, 200)])
def test_a_window_in_the_life_of_its_users(
    service: Any, app: Any, client: Client, module: Any, backend: str, in_: int, out: int
) -> None:
    """Logged out, kept out, admins in, demoted admins out, back in afterwards."""
    bob, ann, late_ann = client(), client(), client()
    assert (log_in(bob, module, "bob", backend), log_in(ann, module, "ann", backend)) == (in_, in_)
    assert (bob.get("/me").json(), ann.get("/me").json()) == ("bob", "ann")

    service.enable(reason="upgrade", actor="ops")
    answer = bob.get("/me")
    assert (answer.status_code, "bob" in answer.text) == (out, False)
    assert ann.get("/me").json() == "ann"
    bob.headers.pop("Authorization", None)
    bob.cookies.clear()
    wait_for_the_next_second()
    assert (log_in(bob, module, "bob", backend), dict(bob.cookies)) == (503, {})
    assert (log_in(late_ann, module, "ann", backend), late_ann.get("/me").json()) == (in_, "ann")
    app.state.users["ann"].is_superuser = False
    assert "ann" not in ann.get("/me").text

    service.disable(actor="ops")
    assert (log_in(bob, module, "bob", backend), bob.get("/me").json()) == (in_, "bob")


def test_a_wrong_password_is_told(service: Any, client: Client, module: Any) -> None:
    """The application's own answer."""
    service.enable(reason="upgrade", actor="ops")

    answer = client().post("/auth/jwt/login", data={"username": "bob@example.com", "password": "guess"})

    assert (answer.status_code, answer.json()["detail"]) == (400, "LOGIN_BAD_CREDENTIALS")
