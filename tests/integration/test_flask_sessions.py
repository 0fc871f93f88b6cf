"""Sessions and tokens in a Flask application, in this process: whom identify is asked about, and what follows."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import flask
import pytest
from flask.sessions import SessionInterface, SessionMixin

from quiesce import EnhancedMaintenanceModeService, Principal, Settings
from quiesce.testing import FakeClock
from quiesce.testing.clock import NOON
from quiesce_flask import init_app


class PlainSession(dict[str, Any], SessionMixin):
    """Tracks nothing: as far as anybody can tell it is always modified."""

    def __init__(self, sid: str, content: dict[str, Any]) -> None:
        super().__init__(content)
        self.sid = sid


class PlainInterface(SessionInterface):
    """Sessions of another maker, in a dictionary."""

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, Any]] = {}
        self.saves = 0

    def open_session(self, app: flask.Flask, request: flask.Request) -> PlainSession:
        sid = request.cookies.get("session") or f"s{len(self.stored) + 1}"
        return PlainSession(sid, copy.deepcopy(self.stored.get(sid, {})))

    def save_session(self, app: flask.Flask, session: SessionMixin, response: flask.Response) -> None:
        assert isinstance(session, PlainSession)
        self.saves += 1
        if not session:
            self.stored.pop(session.sid, None)
            response.delete_cookie("session")
            return
        self.stored[session.sid] = dict(session)
        response.set_cookie("session", session.sid)


class Shop:
    """An application, whom it was asked about, and what its people carry."""

    def __init__(self, service: EnhancedMaintenanceModeService) -> None:
        self.service = service
        self.asked = 0
        self.principals: dict[str, Principal] = {}
        self.app = flask.Flask("shop")
        self.app.secret_key = "a key for one test"
        self.app.add_url_rule("/me", "me", self._me)
        self.app.add_url_rule("/login/<user>", "login", self._log_in, methods=["POST"])

    def install(self, **options: Any) -> flask.testing.FlaskClient:
        init_app(self.app, service=self.service, identify=self._identify, **options)
        return self.app.test_client()

    def revoke(self) -> None:
        self.service.sessions.invalidate(actor="ops")

    def _identify(self, request: flask.Request) -> Principal | None:
        self.asked += 1
        user = flask.session.get("user")
        if user == "broken":
            raise RuntimeError("no database")
        if user is not None:
            return Principal(user, is_admin=user == "ann")
        return self.principals.get(request.headers.get("Authorization", ""))

    def _me(self) -> str:
        return str(flask.session.get("user", "nobody"))

    def _log_in(self, user: str) -> flask.Response:
        flask.session.clear()
        flask.session["user"] = user
        regenerate = getattr(self.app.session_interface, "regenerate", None)
        if regenerate is not None:
            regenerate(flask.session)
        response = flask.Response(user)
        response.set_cookie("device", "known")
        return response


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def shop(clock: FakeClock) -> Iterator[Shop]:
    service = EnhancedMaintenanceModeService(Settings(store_url="memory://"), clock=clock)
    yield Shop(service)
    service.close()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_nobody_is_asked_but_at_a_login_before_the_first_session_is_ended(shop: Shop) -> None:
    """Identify may cost a query; what was not asked for costs none."""
    client = shop.install()

    client.post("/login/bob")
    at_login = shop.asked
    assert client.get("/me", headers=bearer("x")).text == "bob"
    assert (at_login, shop.asked) == (1, 1)
    shop.revoke()
    assert client.get("/me").text == "nobody"
    client.post("/login/bob")
    asked = shop.asked
    assert client.get("/me").text == "bob"
    assert shop.asked == asked


@pytest.mark.parametrize("is_on_server", [False, True])
def test_active_sessions_are_counted_on_an_open_gate(shop: Shop, *, is_on_server: bool) -> None:
    """The guide's numbers of users and admins, before an operator decides; each session once, however often used."""
    if is_on_server:
        shop.app.session_interface = PlainInterface()
    shop.install()
    clients = [shop.app.test_client() for _ in range(3)]
    for client, user in zip(clients, ("bob", "bob", "ann"), strict=True):
        client.post(f"/login/{user}")
        client.get("/me")
    asked = shop.asked
    for client in clients:
        client.get("/me")
    shop.app.test_client().get("/me")

    shop.service.stop()

    stats = shop.service.sessions.stats()
    assert (stats.users, stats.admins, asked, shop.asked) == (2, 1, 3, 3)
    assert not stats.is_estimate


@pytest.fixture
def running_shop() -> Iterator[Shop]:
    """By the clock that the store's ages are of."""
    service = EnhancedMaintenanceModeService(Settings(store_url="memory://"))
    yield Shop(service)
    service.close()


def test_active_sessions_are_counted_under_a_window_and_after_it(running_shop: Shop) -> None:
    """Whoever was logged out is not counted, whoever was kept is, and whoever logs in anew is."""
    shop = running_shop
    shop.install()
    bob, ann = shop.app.test_client(), shop.app.test_client()
    bob.post("/login/bob")
    ann.post("/login/ann")
    shop.service.enable(reason="upgrade", actor="ops")
    for client in (bob, ann):
        client.get("/me")
    shop.service.stop()
    during = shop.service.sessions.stats()
    shop.service.disable(actor="ops")
    bob.post("/login/bob")
    bob.get("/me")
    shop.service.stop()
    after = shop.service.sessions.stats()

    assert (during.users, during.admins) == (0, 1)
    assert (after.users, after.admins) == (1, 1)


def test_a_token_that_counts_is_counted(shop: Shop) -> None:
    """One whose owner nobody was asked about shows that there are more than are counted."""
    client = shop.install()
    shop.principals["Bearer new"] = Principal("bob", authenticated_at=NOON + timedelta(hours=1))
    shop.revoke()
    client.get("/me", headers=bearer("new"))
    client.get("/me", headers=bearer("unknown"))
    shop.service.stop()

    assert [session.user_id for session in shop.service.sessions.list()] == ["bob"]


def test_whoever_is_logged_out_stands_in_the_log(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """The guide names the line by which an operator sees whom a window has logged out."""
    client = shop.install()
    client.post("/login/bob")
    shop.revoke()

    with caplog.at_level(logging.INFO, logger="quiesce"):
        client.get("/me")
        shop.service.stop()

    assert '[MAINTENANCE] Session invalidated: user="bob" reason="ended_by_operator"' in caplog.messages


def test_a_refused_login_leaves_nothing_behind(shop: Shop) -> None:
    """Neither the session nor any other cookie of the view's answer; and it is counted as what it is."""
    client = shop.install()
    shop.service.enable(reason="upgrade", actor="ops")

    answer = client.post("/login/bob")

    assert (answer.status_code, answer.headers.getlist("Set-Cookie")) == (503, [])
    assert answer.json is not None
    assert answer.json["operation_type"] == "authentication"
    assert int(answer.headers["Retry-After"]) >= 1
    assert client.get("/me").text == "nobody"


def test_a_login_counts_from_before_it_began(shop: Shop) -> None:
    """Who proved who they are before a revocation has not done so after it."""
    client = shop.install()
    shop.revoke()

    def revoke_meanwhile(response: flask.Response) -> flask.Response:
        shop.revoke()
        return response

    shop.app.after_request(revoke_meanwhile)
    client.post("/login/bob")

    assert client.get("/me").text == "nobody"


def test_a_session_whose_owner_cannot_be_told_does_not_count(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """A database that is down must not bring ended sessions back; nor may it end one for good."""
    client = shop.install()
    client.post("/login/broken")
    shop.revoke()

    with caplog.at_level(logging.ERROR):
        assert client.get("/me").text == "nobody"

    assert "identify failed" in caplog.text
    with client.session_transaction() as session:
        assert session["user"] == "broken"


@pytest.mark.parametrize("stamp", ["9", True, None, [], -1, 1.5])
def test_a_stamp_that_is_none_is_of_the_first_generation(shop: Shop, stamp: object) -> None:
    """An application may have used the key; nothing else than a generation makes a session young."""
    client = shop.install()
    shop.revoke()
    with client.session_transaction() as session:
        session["user"], session["_quiesce"] = "bob", stamp

    assert client.get("/me").text == "nobody"


def test_sessions_of_any_maker_obey(shop: Shop) -> None:
    """All that is asked of them is to be a dictionary; those that track no changes too."""
    interface = PlainInterface()
    shop.app.session_interface = interface
    client, desk = shop.install(), shop.app.test_client()
    client.post("/login/bob")
    desk.post("/login/eve")
    stored = copy.deepcopy(interface.stored)

    shop.service.enable(reason="short work", sessions="suspend", actor="ops")
    saves = interface.saves
    assert client.get("/me").text == "nobody"
    assert client.post("/login/bob").status_code == 503
    assert (interface.stored, interface.saves) == (stored, saves)
    assert desk.post("/login/ann").status_code == 200
    assert desk.get("/me").text == "ann"
    assert interface.stored.items() >= stored.items()
    shop.service.disable(actor="ops")
    assert client.get("/me").text == "bob"

    shop.service.enable(reason="upgrade", actor="ops")
    assert client.get("/me").text == "nobody"
    assert desk.get("/me").text == "ann"
    shop.service.disable(actor="ops")
    assert client.post("/login/bob").status_code == 200
    assert client.get("/me").text == "bob"


def test_tokens_count_by_their_time_of_issue(shop: Shop, clock: FakeClock) -> None:
    """A JWT cannot be taken back; its ``iat`` can be compared (RFC 6750, section 3.1, has the answer)."""
    client = shop.install()
    for name, is_admin in (("bob", False), ("ann", True)):
        shop.principals[f"Bearer {name}"] = Principal(name, is_admin=is_admin, authenticated_at=NOON)
    shop.principals["Bearer young"] = Principal("bob", authenticated_at=NOON + timedelta(minutes=2))
    clock.advance(60)
    assert client.get("/me", headers=bearer("bob")).status_code == 200

    shop.revoke()

    refused = client.get("/me", headers=bearer("bob"))
    assert (refused.status_code, refused.mimetype) == (401, "application/problem+json")
    assert refused.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert refused.headers["Cache-Control"] == "no-store"
    for token in ("ann", "young", "of nobody"):
        assert client.get("/me", headers=bearer(token)).status_code == 200


def test_tokens_do_not_count_while_sessions_are_suspended(shop: Shop) -> None:
    """Whatever their age; afterwards they do again."""
    client = shop.install()
    shop.principals["Bearer bob"] = Principal("bob", authenticated_at=datetime(2099, 1, 1, tzinfo=UTC))
    shop.service.enable(reason="short work", sessions="suspend", actor="ops")

    assert client.get("/me", headers=bearer("bob")).status_code == 401
    shop.service.disable(actor="ops")
    assert client.get("/me", headers=bearer("bob")).status_code == 200


def test_keys_of_programs_are_left_alone(shop: Shop) -> None:
    """They are never renewed by a log-in: to end one for good is not what a window does."""
    client = shop.install()
    shop.principals["Bearer key"] = Principal("robot", is_interactive=False)

    shop.service.enable(reason="upgrade", actor="ops")
    assert client.get("/me", headers=bearer("key")).status_code == 200
    shop.service.disable(actor="ops")

    assert client.get("/me", headers=bearer("key")).status_code == 200


def test_a_password_with_each_request_is_a_login_each_time(shop: Shop) -> None:
    """Kept out while a window is open, and back in at once afterwards."""
    client = shop.install()
    shop.principals["Basic Ym9iOng="] = Principal("bob")
    headers = {"Authorization": "Basic Ym9iOng="}

    shop.service.enable(reason="upgrade", actor="ops")
    assert client.get("/me", headers=headers).status_code == 503
    shop.service.disable(actor="ops")

    assert client.get("/me", headers=headers).status_code == 200


def test_another_header_brings_no_old_session_through(shop: Shop) -> None:
    """Whoever holds an ended session may send any header beside it."""
    client = shop.install()
    client.post("/login/bob")
    shop.principals["Bearer key"] = Principal("robot", is_interactive=False)
    shop.revoke()

    assert client.get("/me", headers=bearer("key")).text == "nobody"
    assert client.get("/me").text == "nobody"


def test_a_token_changed_for_a_session_is_a_login(shop: Shop) -> None:
    """The session begins now; it must not be taken for one from before all revocations."""
    client = shop.install()
    shop.principals["Bearer bob"] = Principal("bob", authenticated_at=NOON + timedelta(hours=1))
    shop.revoke()

    client.post("/login/bob", headers=bearer("bob"))

    assert client.get("/me").text == "bob"


def test_sessions_can_be_left_to_the_application(shop: Shop) -> None:
    """Some have an epoch of their own."""
    client = shop.install(sessions=False)
    client.post("/login/bob")
    shop.service.enable(reason="upgrade", actor="ops")

    assert client.get("/me").text == "bob"
    assert client.post("/login/eve").status_code == 200


def test_without_identify_sessions_are_left_alone_and_the_log_says_so(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody could be told from an admin, and admins must stay in."""
    with caplog.at_level(logging.INFO, logger="quiesce"):
        init_app(shop.app, service=shop.service)
    client = shop.app.test_client()
    client.post("/login/bob")
    shop.service.enable(reason="upgrade", actor="ops")

    assert client.get("/me").text == "bob"
    assert caplog.text.count("leaves sessions alone") == 1
