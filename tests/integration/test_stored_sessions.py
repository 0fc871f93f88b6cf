"""Flask-Session on a real Redis: what is stored of ended sessions goes in the background, and nothing else does."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask
import pytest
import redis
from flask_session.redis import RedisSessionInterface

from quiesce import (
    ConflictError,
    EnhancedMaintenanceModeService,
    InvalidValueError,
    Principal,
    SessionInvalidation,
    Settings,
    hookimpl,
)
from quiesce.testing import eventually
from quiesce.testing.clock import NOON
from quiesce_flask import StoredSessions, init_app

FEW = 3
SWEEP = """
import sys
from datetime import UTC, datetime
import redis
from quiesce import EnhancedMaintenanceModeService, SessionInvalidation, Settings
from quiesce_flask import StoredSessions

service = EnhancedMaintenanceModeService(Settings(store_url=sys.argv[1]))
stored = StoredSessions(redis.Redis(host="127.0.0.1", port=int(sys.argv[2]), socket_timeout=5), batch=5)
stored.install(service)
stored.on_session_invalidate(SessionInvalidation(generation=1, at=datetime.now(UTC)))
"""


class Troubled:
    """A client whose Redis goes away after so many scans."""

    def __init__(self, client: redis.Redis, *, scans: int) -> None:
        self._client = client
        self.left = scans
        self.cursors: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def scan(self, cursor: int, **options: Any) -> Any:
        self.cursors.append(cursor)
        if not self.left:
            raise redis.ConnectionError("gone")
        self.left -= 1
        return self._client.scan(cursor, **options)


class Bomb:
    """Whoever unpickles it leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return open, (str(self.path), "w")


@pytest.fixture
def client(redis_server: Any) -> Iterator[redis.Redis]:
    with redis.Redis(host="127.0.0.1", port=redis_server.port, socket_timeout=5) as client:
        yield client


@pytest.fixture
def service(tmp_path: Path) -> Iterator[EnhancedMaintenanceModeService]:
    service = EnhancedMaintenanceModeService(Settings(store_url=f"sqlite:///{tmp_path}/maintenance.db"))
    yield service
    service.close()


@pytest.fixture
def app(service: EnhancedMaintenanceModeService, client: redis.Redis) -> flask.Flask:
    """Everybody logs in by a path; ann is an admin."""
    app = flask.Flask("stored")
    app.session_interface = RedisSessionInterface(app, client=client)

    def identify(request: flask.Request) -> Principal | None:
        user = flask.session.get("user")
        return None if user is None else Principal(user, is_admin=user == "ann")

    @app.post("/login/<user>")
    def log_in(user: str) -> str:
        flask.session["user"] = user
        return user

    @app.get("/me")
    def me() -> str:
        return str(flask.session.get("user", "nobody"))

    @app.get("/basket")
    def basket() -> str:
        flask.session["basket"] = 1
        return "1"

    @app.get("/late")
    def late() -> str:
        """End everybody's sessions, and save this one only when it has been deleted."""
        name = f"session:{flask.session.sid}"  # type: ignore[attr-defined] # Flask-Session's have it
        service.sessions.invalidate(actor="ops")
        eventually(lambda: not client.exists(name), within=20)
        flask.session["late"] = True
        return name

    init_app(app, service=service, identify=identify, stored_sessions=StoredSessions(client, batch=FEW))
    return app


def log_in(app: flask.Flask, user: str) -> tuple[flask.testing.FlaskClient, bytes]:
    """Return a browser, and the key under which its session is stored."""
    browser = app.test_client()
    assert browser.post(f"/login/{user}").status_code == 200
    return browser, key_of(browser)


def key_of(browser: flask.testing.FlaskClient) -> bytes:
    cookie = browser.get_cookie("session")
    assert cookie is not None
    return f"session:{cookie.value}".encode()


def is_done(service: EnhancedMaintenanceModeService, generation: int) -> bool:
    return any(told.is_done and told.generation == generation for told in service.sessions.deletions())


def test_stored_sessions_of_users_go_and_no_others(
    app: flask.Flask, service: EnhancedMaintenanceModeService, client: redis.Redis, tmp_path: Path
) -> None:
    """An admin's, a visitor's, one in an old format and whatever else is in that Redis must come through untouched."""
    users = [log_in(app, user) for user in ("bob", "bob", "eve")]
    ann, anns = log_in(app, "ann")
    visitor = app.test_client()
    visitor.get("/basket")
    bomb = pickle.dumps(Bomb(tmp_path / "unpickled"))
    others = {
        b"session:legacy": bomb,
        b"session:q0.legacy": bomb,
        b"q0.0123456789abcdef.x": b"",
        b"\xff\x00": b"binary",
    }
    for key, value in others.items():
        client.set(key, value)

    service.sessions.invalidate(actor="ops")
    eventually(lambda: is_done(service, 1), within=20)
    again, agains = log_in(app, "bob")
    service.sessions.end_user("eve", actor="ops")
    eventually(lambda: is_done(service, 2), within=20)

    assert client.exists(*(key for _, key in users)) == 0
    assert {anns, key_of(visitor), agains, *others} == set(client.keys())
    assert client.mget(others) == list(others.values())
    assert not (tmp_path / "unpickled").exists()
    assert [browser.get("/me").text for browser in (users[0][0], again, ann)] == ["nobody", "bob", "ann"]
    assert [told.deleted for told in service.sessions.deletions()] == [0]


def test_sessions_of_one_user_go_and_nobody_elses(
    app: flask.Flask, service: EnhancedMaintenanceModeService, client: redis.Redis
) -> None:
    """Ending bob's sessions must not log out eve, nor the bob who logs in a moment later."""
    _, bobs = log_in(app, "bob")
    _, eves = log_in(app, "eve")

    service.sessions.end_user("bob", actor="ops")
    _, laters = log_in(app, "bob")
    eventually(lambda: is_done(service, 1), within=20)

    assert set(client.keys()) == {eves, laters}
    assert bobs not in {eves, laters}


def test_a_request_in_flight_cannot_bring_a_session_back(app: flask.Flask, client: redis.Redis) -> None:
    """It stores its session once more after that was deleted; the epoch wins all the same."""
    browser, key = log_in(app, "bob")

    assert browser.get("/late").text.encode() == key

    assert client.exists(key)
    assert browser.get("/me").text == "nobody"
    assert not client.exists(key)


def test_the_id_is_exchanged_at_a_login_and_at_no_other_time(app: flask.Flask, client: redis.Redis) -> None:
    """The id that a visitor had is worth nothing afterwards, and nobody else's session carries a user's name."""
    browser = app.test_client()
    browser.get("/basket")
    before = key_of(browser)
    browser.post("/login/bob")
    bobs = key_of(browser)
    browser.get("/basket")
    same = key_of(browser)
    browser.post("/login/ann")
    anns = key_of(browser)

    assert client.keys() == [anns]
    assert bobs.startswith(b"session:q0.")
    assert (same == bobs, b"." in anns, len({before, bobs, anns})) == (True, False, 3)
    ttl = client.ttl(anns)
    assert isinstance(ttl, int)
    assert ttl > 0


def test_a_sweep_goes_on_where_it_was(service: EnhancedMaintenanceModeService, client: redis.Redis) -> None:
    """Redis may go away in the middle of a million, and a leader may die; what was looked at is not looked at again."""
    troubled = Troubled(client, scans=40)
    stored = StoredSessions(troubled, batch=10)
    stored.install(service)
    names = [f"session:q0.{number:016x}.token" for number in range(2_000)]
    client.mset(dict.fromkeys(names, "x"))
    invalidation = SessionInvalidation(generation=1, at=NOON)

    with pytest.raises(redis.ConnectionError):
        stored.on_session_invalidate(invalidation)
    (half,) = service.sessions.deletions()
    first = list(troubled.cursors)
    troubled.left = 1_000_000
    stored.on_session_invalidate(invalidation)
    (whole,) = service.sessions.deletions()
    second = troubled.cursors[len(first) :]
    stored.on_session_invalidate(invalidation)

    assert client.dbsize() == 0
    assert 0 < half.deleted < 2_000
    assert not half.is_done
    assert second[0] == int(half.position.partition(":")[2]) != 0
    assert (whole.is_done, whole.looked_at, whole.expected) == (True, 2_000, 2_000)
    assert len(troubled.cursors) == len(first) + len(second)


def test_what_a_killed_worker_left_is_deleted_by_the_next(
    service: EnhancedMaintenanceModeService, client: redis.Redis, redis_server: Any
) -> None:
    """It gets no chance to say where it was, and has said it all along."""
    client.mset({f"session:q0.{number:016x}.token": "x" for number in range(20_000)})
    command = [sys.executable, "-W", "error", "-c", SWEEP, service.store.url, str(redis_server.port)]
    worker = subprocess.Popen(command)
    try:
        (half,) = eventually(service.sessions.deletions, within=20)
        eventually(lambda: client.dbsize() < 19_000, within=20)
    finally:
        worker.kill()
        worker.wait()
    left = client.dbsize()
    next_one = Troubled(client, scans=1_000_000)
    stored = StoredSessions(next_one, batch=1_000)
    stored.install(service)

    stored.on_session_invalidate(SessionInvalidation(generation=1, at=NOON))

    assert isinstance(left, int)
    assert 0 < left < 20_000
    assert half.position.partition(":")[2] != "0"
    assert next_one.cursors[0] != 0
    assert client.dbsize() == 0
    assert [told.is_done for told in service.sessions.deletions()] == [True]


def test_another_redis_is_swept_from_the_beginning(
    service: EnhancedMaintenanceModeService, client: redis.Redis
) -> None:
    """After a failover the cursor of the old server leads anywhere in the new one."""
    stored = StoredSessions(client, key_prefix="shop[*]:")
    stored.install(service)
    client.set("shop[*]:q0.0123456789abcdef.token", "x")
    client.set("shop*:q0.0123456789abcdef.token", "x")
    told = {"generation": 1, "user_id": None, "is_done": True, "position": "another:0"}
    service.store.items.put("sessions.deletions", {"flask-sessions": flask.json.dumps(told).encode()})

    stored.on_session_invalidate(SessionInvalidation(generation=1, at=NOON))

    assert client.keys() == [b"shop*:q0.0123456789abcdef.token"]


@pytest.mark.parametrize(
    ("options", "said"),
    [({"socket_timeout": None}, "socket_timeout"), ({"socket_timeout": 1, "decode_responses": True}, "bytes")],
)
def test_a_client_that_cannot_be_used_is_refused_at_once(options: dict[str, Any], said: str) -> None:
    """Not in the worst hour."""
    with pytest.raises(InvalidValueError, match=said):
        StoredSessions(redis.Redis(**options))


def test_it_needs_to_see_logins(client: redis.Redis, service: EnhancedMaintenanceModeService) -> None:
    """Without identify no session would ever get its name, and nothing be deleted."""
    with pytest.raises(InvalidValueError, match="identify"):
        init_app(flask.Flask("x"), service=service, stored_sessions=StoredSessions(client))


class Late:
    """A plugin of the application."""

    @hookimpl
    def on_session_invalidate(self, invalidation: SessionInvalidation) -> None:
        """Do nothing."""


def test_a_plugin_cannot_come_when_requests_are_served(service: EnhancedMaintenanceModeService) -> None:
    """The worker has asked by then who implements what."""
    service.add_plugin(Late(), name="early")
    service.start()

    with pytest.raises(ConflictError, match="too late"):
        service.add_plugin(Late(), name="late")
