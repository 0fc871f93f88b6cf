"""Bearer tokens and cookies with tokens, with JWTs made by hand."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import httpx
import jwt
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from quiesce import Principal

KEY = "k" * 32
HOUR = 3600


def token(user: str, *, age: float = HOUR, **claims: Any) -> str:
    """Return a signed token that is so many seconds old."""
    return jwt.encode({"sub": user, "iat": time.time() - age, **claims}, KEY, algorithm="HS256")


def bearer(value: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {value}"}


@pytest.fixture
def api(load_app: Any, service: Any) -> Any:
    """The application, with nothing open."""
    return load_app("token_api").Api(service)


@pytest.fixture
def client(api: Any, serve: Any) -> Iterator[Callable[[], httpx.Client]]:
    """Make clients with a cookie jar each."""
    with serve(api.app) as port, ExitStack() as opened:
        yield lambda: opened.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20))


class TestBearer:
    """RFC 6750."""

    def test_one_that_counts_is_counted(self, service: Any, client: Any) -> None:
        """Once identify has said whose it is; of another it is only known that there are more."""
        http = client()
        service.sessions.invalidate(actor="ops")
        old = bearer(token("ann"))
        assert http.get("/me", headers=old).json() == "ann"
        assert http.get("/me", headers=bearer(token("bob"))).status_code == 401
        service.stop()

        listed = service.sessions.list()

        assert [(each.user_id, each.is_admin) for each in listed] == [("ann", True)]

    def test_older_ones_are_refused_and_newer_ones_cost_nothing(self, service: Any, api: Any, client: Any) -> None:
        """After the revocation a client logs in anew, and nobody is asked about its new token."""
        http = client()
        assert http.get("/me", headers=bearer(token("bob"))).json() == "bob"
        assert api.asked == 0
        service.sessions.invalidate(actor="ops")

        refused = http.get("/me", headers=bearer(token("bob")))
        head = http.head("/me", headers=bearer(token("bob")))
        asked = api.asked
        newer = http.get("/me", headers=bearer(token("bob", age=-2)))

        assert (refused.status_code, refused.headers["content-type"]) == (401, "application/problem+json")
        assert refused.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
        assert (refused.json()["status"], head.status_code, head.content) == (401, 401, b"")
        assert (newer.json(), api.asked) == ("bob", asked)

    def test_admins_and_nobody_pass(self, service: Any, api: Any, client: Any) -> None:
        """A demoted admin does not; a token that the application does not know is its own business."""
        http = client()
        service.enable(reason="upgrade", actor="ops")
        ann = bearer(token("ann"))

        assert http.get("/me", headers=ann).json() == "ann"
        assert http.get("/me", headers=bearer("nonsense")).json() is None
        assert http.get("/me").json() is None
        api.admins.clear()
        assert http.get("/me", headers=ann).status_code == 401

    def test_an_admin_who_is_none_any_more_is_out_whenever_they_logged_in(
        self, service: Any, api: Any, client: Any
    ) -> None:
        """Nobody else can have been given a token since the window began, here or by an issuer elsewhere."""
        http = client()
        service.enable(reason="upgrade", actor="ops")
        inside = bearer(token("ann", age=-2))
        stamped = bearer(token("ann", _quiesce=service.sessions.generation))
        assert [http.get("/me", headers=each).json() for each in (inside, stamped)] == ["ann", "ann"]

        api.admins.clear()

        assert [http.get("/me", headers=each).status_code for each in (inside, stamped)] == [401, 401]
        service.disable(actor="ops")
        assert http.get("/me", headers=inside).json() == "ann"

    def test_a_stamp_decides_instead_of_the_time(self, service: Any, client: Any) -> None:
        """No clocks are compared where the application writes the generation into its tokens."""
        http = client()
        service.sessions.invalidate(actor="ops")
        now = service.sessions.generation

        assert http.get("/me", headers=bearer(token("bob", _quiesce=now))).json() == "bob"
        assert http.get("/me", headers=bearer(token("bob", age=-9, _quiesce=now - 1))).status_code == 401

    def test_one_of_unknown_age(self, service: Any, api: Any, client: Any) -> None:
        """A key that a program was given stays; whoever may have logged in at any time logs in anew."""
        http = client()
        service.sessions.invalidate(actor="ops")
        ageless = jwt.encode({"sub": "bob"}, KEY, algorithm="HS256")

        assert http.get("/me", headers=bearer(ageless)).status_code == 401
        assert http.get("/me", headers=bearer("key-of-a-robot")).json() == "robot"
        api.keys["opaque"] = Principal("eve", authenticated_at=datetime.fromtimestamp(time.time() + 2, UTC))
        assert http.get("/me", headers=bearer("opaque")).json() == "eve"
        api.keys["opaque"] = Principal("eve", authenticated_at=datetime(2020, 1, 1, tzinfo=UTC))
        assert http.get("/me", headers=bearer("opaque")).status_code == 401

    def test_suspended_ones_count_again_afterwards(self, service: Any, client: Any) -> None:
        """Old and new alike, but not a program's key."""
        http = client()
        service.enable(reason="upgrade", sessions="suspend", actor="ops")

        for age in (HOUR, -2):
            assert http.get("/me", headers=bearer(token("bob", age=age))).status_code == 401
        assert http.get("/me", headers=bearer("key-of-a-robot")).json() == "robot"
        service.disable(actor="ops")
        assert http.get("/me", headers=bearer(token("bob"))).json() == "bob"

    def test_a_fault_in_identify_opens_nothing(self, service: Any, client: Any) -> None:
        """Whose an old token is, is not known: it does not count."""
        service.sessions.invalidate(actor="ops")

        assert client().get("/me", headers=bearer(token("broken"))).status_code == 401

    def test_the_products_own_token_is_not_judged(self, make_service: Any, load_app: Any, serve: Any) -> None:
        """It is no login of the application's; an operator must never be locked out by it."""
        service = make_service(admin_token="t" * 32)
        api = load_app("token_api").Api(service)
        api.keys["t" * 32] = Principal("bob")
        with serve(api.app) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
            service.enable(reason="upgrade", actor="ops")
            answer = http.post("/api/maintenance/disable", headers=bearer("t" * 32), json={})

        assert answer.status_code == 200

    def test_a_websocket_with_an_old_one_is_refused(self, service: Any, api: Any, serve: Any) -> None:
        """Programs send the header with the handshake."""
        service.sessions.invalidate(actor="ops")
        with (
            serve(api.app) as port,
            pytest.raises(InvalidStatus) as refused,
            connect(f"ws://127.0.0.1:{port}/ws", additional_headers=bearer(token("bob"))),
        ):
            pass

        assert refused.value.response.status_code == 401


def claims(text: str) -> str:
    """Return a token with this for its claims."""
    return f"a.{base64.urlsafe_b64encode(text.encode()).decode().rstrip('=')}.c"


@pytest.mark.parametrize(
    "value",
    [
        *("", ".", "..", "...", "a.b.c", "a.\xff\xfe.c", "x" * 60_000, f"a.{'A' * 60_000}.c"),
        *map(claims, ("[]", "null", "1", '"iat"', '{"iat": "soon"}', '{"iat": null}', '{"iat": [1]}')),
        *map(claims, ('{"iat": NaN}', '{"iat": 1e999}', '{"iat": -1e300}', '{"iat": true}', '{"_quiesce": true}')),
        claims('{"_quiesce": "99", "iat": {}}'),
        claims("[" * 6000),
        claims(f'{{"iat": 9999999999, "padding": "{"x" * 9000}"}}'),
        claims('{"iat": ' + "9" * 5000 + "}"),
    ],
)
def test_nonsense_is_no_token_and_no_fault(service: Any, api: Any, drive: Any, value: str) -> None:
    """Anybody can send it; identify, which knows such tokens, says whose they are, and they are of no known age."""
    api.keys[value.strip()] = Principal("bob")
    service.sessions.invalidate(actor="ops")

    scope = drive.scope("GET", "/me")
    scope["headers"].append((b"authorization", b"Bearer " + value.encode("latin-1")))
    sent = drive.run(api.app, scope)

    assert sent[0]["status"] == 401


class TestCookies:
    """As fastapi-users' CookieTransport makes them."""

    def test_an_old_one_is_taken_out_of_the_request(self, service: Any, client: Any) -> None:
        """A 401 would keep the browser from its login page; the other cookies stay."""
        http = client()
        http.cookies.set("auth", token("bob"))
        assert http.get("/me").json() == "bob"
        service.sessions.invalidate(actor="ops")

        assert http.get("/me").json() is None
        assert http.post("/login", params={"user": "bob", "how": "cookie"}).status_code == 204
        assert http.get("/me").json() == "bob"

    def test_an_admins_stays(self, service: Any, client: Any) -> None:
        """Whatever its age."""
        http = client()
        http.cookies.set("auth", token("ann"))
        service.enable(reason="upgrade", actor="ops")

        assert http.get("/me").json() == "ann"


class TestLogin:
    """Tokens are handed out to admins only, while a window is open."""

    @pytest.mark.parametrize("how", ["json", "nested", "cookie", "redirect", "opaque", "long"])
    def test_a_users_is_undone(self, service: Any, client: Any, how: str) -> None:
        """Whatever way it is handed out, and also when nobody can say for whom it is."""
        http = client()
        service.enable(reason="upgrade", sessions="keep", actor="ops")

        refused = http.post("/login", params={"user": "bob", "how": how})

        assert (refused.status_code, refused.json()["operation_type"]) == (503, "authentication")
        assert "eyJ" not in str(refused.headers)
        assert not http.cookies

    @pytest.mark.parametrize("how", ["json", "nested", "cookie", "redirect"])
    def test_an_admins_is_not(self, service: Any, client: Any, how: str) -> None:
        """And the answer arrives whole."""
        http = client()
        service.enable(reason="upgrade", actor="ops")

        allowed = http.post("/login", params={"user": "ann", "how": how})

        assert allowed.status_code == {"cookie": 204, "redirect": 303}.get(how, 200)
        if how == "json":
            assert http.get("/me", headers=bearer(allowed.json()["access_token"])).json() == "ann"
        if how in {"cookie", "redirect"}:
            assert http.get("/me").json() == "ann"

    @pytest.mark.parametrize(("how", "status"), [("wrong", 403), ("page", 200)])
    def test_what_logs_nobody_in_is_no_login(self, service: Any, client: Any, how: str, status: int) -> None:
        """Whoever types the wrong password is told so."""
        service.enable(reason="upgrade", actor="ops")

        assert client().post("/login", params={"how": how}).status_code == status

    def test_logging_out_is_none(self, service: Any, client: Any) -> None:
        """It is of the same type, and takes a cookie away."""
        http = client()
        http.cookies.set("auth", token("bob"), domain="127.0.0.1")
        service.enable(reason="upgrade", sessions="keep", actor="ops")

        assert http.post("/logout").status_code == 204
        assert not http.cookies

    def test_a_fault_in_identify_hands_out_nothing(self, service: Any, api: Any, client: Any) -> None:
        """It must not open what is closed; what looks harmless may be a login by a way that only identify knows."""
        http = client()
        service.enable(reason="upgrade", actor="ops")

        assert http.post("/login", params={"user": "broken"}).status_code == 503
        api.is_down = True
        assert http.post("/login", params={"how": "page"}).status_code == 503

    def test_an_admin_is_given_what_nobody_knows(self, service: Any, client: Any) -> None:
        """Who asks for it is known, at least."""
        service.enable(reason="upgrade", actor="ops")

        answer = client().post("/login", params={"how": "opaque"}, headers=bearer(token("ann")))

        assert (answer.status_code, answer.json()["access_token"]) == (200, "nobody-knows-it")

    def test_an_answer_in_pieces_is_held_back_only_so_far(self, service: Any, api: Any, drive: Any) -> None:
        """Memory is bounded; nothing of it follows the refusal."""
        service.enable(reason="upgrade", actor="ops")

        sent: list[Any] = []

        async def receive() -> Any:
            return await asyncio.Future()

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(api.app(drive.scope("POST", "/login", query_string=b"how=pieces"), receive, send))

        assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
        assert sent[0]["status"] == 503

    def test_nothing_but_logins_is_held_back(self, service: Any, client: Any) -> None:
        """Whatever its length."""
        service.enable(reason="upgrade", sessions="keep", actor="ops")

        assert len(client().get("/big").json()) == 70_000

    def test_everybody_logs_in_afterwards(self, service: Any, client: Any) -> None:
        """And the token that comes of it counts."""
        http = client()
        service.enable(reason="upgrade", actor="ops")
        service.disable(actor="ops")

        answer = http.post("/login", params={"user": "bob"})

        assert http.get("/me", headers=bearer(answer.json()["access_token"])).json() == "bob"
        assert json.loads(answer.content)["token_type"] == "bearer"
