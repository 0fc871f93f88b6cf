"""Sessions of Starlette's SessionMiddleware under each policy, with clients that keep cookies like a browser."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from quiesce import SessionPolicy

Browser = Callable[[], httpx.Client]


@pytest.fixture
def admins(tmp_path: Path) -> Path:
    """The file that names the admins."""
    file = tmp_path / "admins"
    file.write_text("ann\n")
    return file


@pytest.fixture
def options() -> dict[str, Any]:
    """What ``init_app`` is given besides."""
    return {}


@pytest.fixture
def app(load_app: Any, service: Any, admins: Path, options: dict[str, Any]) -> Any:
    """The application, with nothing open."""
    return load_app("session_shop").make_app(admins, service=service, **options)


@pytest.fixture
def browser(app: Any, serve: Any) -> Iterator[Browser]:
    """Make clients with a cookie jar each."""
    with serve(app) as port, ExitStack() as opened:
        yield lambda: opened.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20))


def log_in(client: httpx.Client, user: str) -> int:
    return client.post("/login", params={"user": user}).status_code


def who(client: httpx.Client) -> Any:
    answer = client.get("/me")
    assert answer.status_code == 200, answer.text
    return answer.json()


class TestRevoke:
    """The guide's meaning: logged out, kept out, back in afterwards."""

    def test_users_are_logged_out_and_admins_are_not(self, service: Any, browser: Browser) -> None:
        """And the browser forgets the cookie that is worth nothing any more."""
        bob, ann = browser(), browser()
        assert (log_in(bob, "bob"), log_in(ann, "ann")) == (200, 200)

        service.enable(reason="upgrade", actor="ops")

        assert (who(bob), who(ann)) == (None, "ann")
        assert not bob.cookies
        service.disable(actor="ops")
        assert (who(bob), who(ann)) == (None, "ann")

    def test_whoever_is_logged_out_stands_in_the_log(
        self, service: Any, browser: Browser, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The guide names the line by which an operator sees whom a window has logged out."""
        bob = browser()
        log_in(bob, "bob")
        service.enable(reason="upgrade", actor="ops")

        with caplog.at_level(logging.INFO, logger="quiesce"):
            who(bob)
            service.stop()

        assert '[MAINTENANCE] Session invalidated: user="bob" reason="maintenance_activation"' in caplog.messages

    def test_an_old_cookie_is_over_for_good(self, service: Any, browser: Browser) -> None:
        """A copy of it is as old as itself."""
        bob, thief = browser(), browser()
        log_in(bob, "bob")
        stolen = bob.cookies["session"]

        service.enable(reason="upgrade", actor="ops")
        service.disable(actor="ops")
        thief.cookies.set("session", stolen)

        assert who(thief) is None

    def test_users_log_in_anew_afterwards_and_stay(self, service: Any, browser: Browser) -> None:
        """Also when an anonymous session was there before, as a login form's is."""
        bob, eve = browser(), browser()
        assert eve.get("/login").status_code == 200
        service.enable(reason="upgrade", actor="ops")
        assert eve.get("/basket").json() == 1
        service.disable(actor="ops")

        assert (log_in(bob, "bob"), log_in(eve, "eve")) == (200, 200)

        for _ in range(3):
            assert (who(bob), who(eve)) == ("bob", "eve")
            assert bob.get("/basket").status_code == 200
        assert eve.get("/basket").json() == 2

    def test_a_login_is_undone_and_an_admins_is_not(self, service: Any, browser: Browser) -> None:
        """503 and no session; the operator who closed the laptop must come in."""
        bob, ann = browser(), browser()
        bob.get("/login")
        service.enable(reason="upgrade", actor="ops")

        refused = bob.post("/login", params={"user": "bob"})
        allowed = log_in(ann, "ann")

        assert (refused.status_code, refused.headers["x-maintenance-mode"]) == (503, "normal")
        assert refused.json()["operation_type"] == "authentication"
        assert (who(bob), allowed, who(ann)) == (None, 200, "ann")
        service.disable(actor="ops")
        assert (who(bob), who(ann)) == (None, "ann")

    def test_a_browser_is_shown_the_page(self, service: Any, browser: Browser) -> None:
        """Whoever logs in by a form reads HTML."""
        bob = browser()
        service.enable(reason="upgrade", actor="ops")

        refused = bob.post("/login", params={"user": "bob"}, headers={"Accept": "text/html"})

        assert (refused.status_code, refused.headers["content-type"]) == (503, "text/html; charset=utf-8")
        assert not bob.cookies

    def test_a_demoted_admin_is_out_at_once(self, service: Any, browser: Browser, admins: Path) -> None:
        """Whether they logged in before the window or in it, and however often their sessions were written since."""
        admins.write_text("ann\namy\n")
        ann, amy = browser(), browser()
        log_in(ann, "ann")
        service.enable(reason="upgrade", actor="ops")
        assert log_in(amy, "amy") == 200
        for admin, name in ((ann, "ann"), (amy, "amy")):
            for _ in range(3):
                assert admin.get("/basket").status_code == 200
            assert who(admin) == name

        admins.write_text("")

        assert (who(ann), who(amy)) == (None, None)
        assert log_in(ann, "ann") == 503

    def test_a_window_can_let_people_log_in(self, service: Any, browser: Browser) -> None:
        """``--allow authentication`` means it; who comes in then stays in."""
        bob = browser()
        log_in(bob, "bob")
        service.enable(reason="upgrade", allow=["authentication"], actor="ops")
        assert who(bob) is None

        assert (log_in(bob, "bob"), who(bob)) == (200, "bob")

    @pytest.mark.parametrize("options", [{"token_cookies": ["auth"]}])
    def test_an_old_token_beside_it_logs_nobody_in(self, service: Any, browser: Browser) -> None:
        """Nor is the anonymous session beside it taken for somebody's, and cleared."""
        bob = browser()
        bob.cookies.set("auth", "bob")
        assert bob.get("/basket").json() == 1
        service.enable(reason="upgrade", actor="ops")
        assert bob.get("/basket").json() == 2
        assert log_in(bob, "bob") == 503
        service.disable(actor="ops")

        assert (log_in(bob, "bob"), who(bob), who(bob)) == (200, "bob", "bob")

    def test_one_users_sessions_end_and_nobody_elses(self, service: Any, browser: Browser) -> None:
        """A stolen laptop."""
        bob, eve = browser(), browser()
        log_in(bob, "bob")
        log_in(eve, "eve")

        service.sessions.invalidate(user_id="bob", actor="ops")

        assert (who(bob), who(eve)) == (None, "eve")
        assert (log_in(bob, "bob"), who(bob)) == (200, "bob")

    def test_another_user_in_the_same_session_is_a_login(self, service: Any, browser: Browser) -> None:
        """Whoever is in already may not let others in, and stays what they were."""
        bob = browser()
        log_in(bob, "bob")
        service.enable(reason="upgrade", sessions="keep", actor="ops")

        assert log_in(bob, "eve") == 503
        assert who(bob) == "bob"

    def test_logging_out_works(self, service: Any, browser: Browser) -> None:
        """It is of the same type as logging in."""
        ann = browser()
        log_in(ann, "ann")
        service.enable(reason="upgrade", actor="ops")

        assert ann.post("/logout").status_code == 200
        assert (who(ann), dict(ann.cookies)) == (None, {})


class TestSuspendAndKeep:
    """What else an operator can ask for."""

    def test_a_suspended_session_comes_back_untouched(self, service: Any, browser: Browser) -> None:
        """Byte by byte, whatever the application wrote meanwhile."""
        bob, ann = browser(), browser()
        log_in(bob, "bob")
        bob.get("/basket")
        log_in(ann, "ann")
        cookie = bob.cookies["session"]
        service.enable(reason="upgrade", sessions=SessionPolicy.SUSPEND, actor="ops")

        assert (who(bob), who(ann)) == (None, "ann")
        assert bob.get("/basket").json() == 1
        assert (log_in(bob, "bob"), log_in(bob, "eve")) == (503, 503)
        assert content(bob.cookies["session"]) == content(cookie)

        service.disable(actor="ops")
        assert (who(bob), bob.get("/basket").json()) == ("bob", 2)

    def test_an_admin_logs_in_over_a_suspended_session(self, service: Any, browser: Browser) -> None:
        """An operator who was signed in as somebody else must come in all the same."""
        bob = browser()
        log_in(bob, "bob")
        service.enable(reason="upgrade", sessions="suspend", actor="ops")

        assert (log_in(bob, "ann"), who(bob)) == (200, "ann")
        service.disable(actor="ops")
        assert who(bob) == "ann"

    def test_a_suspended_session_is_not_replaced_by_an_anonymous_one(self, service: Any, browser: Browser) -> None:
        """A login form writes a token into the session; reading it must log nobody out."""
        bob = browser()
        log_in(bob, "bob")
        service.enable(reason="upgrade", sessions="suspend", allow=["authentication"], actor="ops")

        assert bob.get("/login").status_code == 200
        service.disable(actor="ops")
        assert who(bob) == "bob"

    def test_kept_sessions_are_left_alone(self, service: Any, browser: Browser) -> None:
        """Nobody is logged out, and nobody else comes in."""
        bob, eve = browser(), browser()
        log_in(bob, "bob")
        service.enable(reason="upgrade", sessions="keep", actor="ops")

        assert (who(bob), log_in(eve, "eve"), who(eve)) == ("bob", 503, None)
        assert bob.get("/basket").json() == 1


def content(cookie: str) -> str:
    """Return what was signed, without the time of signing: Starlette before 1 signs anew at every response."""
    return cookie.partition(".")[0]


class TestOtherResponses:
    """What the watch on logins must not disturb."""

    def test_streams_background_tasks_and_head(self, service: Any, app: Any, browser: Browser) -> None:
        """They pass piece by piece, and end when they end."""
        bob, ann = browser(), browser()
        service.sessions.invalidate(actor="ops")
        log_in(bob, "bob")
        log_in(ann, "ann")
        service.enable(reason="upgrade", actor="ops")

        for client in (bob, ann):
            assert client.get("/stream").text == "012"
            assert client.get("/background").json() == "begun"
            assert (client.head("/me").status_code, client.head("/me").content) == (200, b"")
        assert app.state.done == ["done", "done"]

    def test_nothing_changes_while_nothing_was_asked_for(self, browser: Browser, app: Any) -> None:
        """No stamp, no header more; only a log-in gets a name, by which it is counted."""
        bob, eve = browser(), browser()

        answer = bob.post("/login", params={"user": "bob"})
        eve.get("/basket")

        session = json.loads(base64.b64decode(content(bob.cookies["session"])))
        assert (session.pop("_quiesce_id") != "", session) == (True, {"user": "bob"})
        assert json.loads(base64.b64decode(content(eve.cookies["session"]))) == {"basket": 1}
        assert set(answer.headers) - {"vary"} == {"content-length", "content-type", "date", "server", "set-cookie"}
        assert who(bob) == "bob"

    def test_active_sessions_are_counted(self, service: Any, browser: Browser) -> None:
        """The guide's numbers, on an open gate, under a window, and after it; each session once."""
        bob, eve, ann = browser(), browser(), browser()
        for client, user in ((bob, "bob"), (eve, "eve"), (ann, "ann")):
            log_in(client, user)
            who(client)
        service.stop()
        before = service.sessions.stats()
        service.enable(reason="upgrade", actor="ops")
        for client in (bob, eve, ann):
            who(client)
        service.stop()
        during = service.sessions.stats()
        service.disable(actor="ops")
        log_in(bob, "bob")
        who(bob)
        service.stop()
        after = service.sessions.stats()

        assert (before.users, before.admins, before.is_estimate) == (2, 1, False)
        assert (during.users, during.admins) == (0, 1)
        assert (after.users, after.admins, after.is_estimate) == (1, 1, False)

    @pytest.mark.parametrize("path", ["/renew", "/auth/login"])
    def test_whoever_logs_in_anew_in_an_emptied_session_stays(
        self, service: Any, browser: Browser, app: Any, path: str
    ) -> None:
        """Views empty the session when somebody logs in; the stamp goes with the rest, and comes back."""

        async def renew(request: Request, user: str) -> str:
            request.session.clear()
            request.session["user"] = user
            return user

        app.post(path)(renew)
        service.sessions.invalidate(actor="ops")
        bob = browser()
        log_in(bob, "bob")

        for user in ("bob", "eve"):
            assert bob.post(path, params={"user": user}).status_code == 200
            assert who(bob) == user

    @pytest.mark.parametrize("options", [{"sessions": False}])
    def test_it_can_be_left_out(self, service: Any, browser: Browser) -> None:
        """For applications that do all this themselves."""
        bob = browser()
        log_in(bob, "bob")
        service.enable(reason="upgrade", actor="ops")

        assert (who(bob), log_in(bob, "eve")) == ("bob", 200)

    def test_a_fault_in_identify_neither_opens_nor_loses_a_session(
        self, service: Any, browser: Browser, admins: Path
    ) -> None:
        """Not known whose it is: it does not count, and is there again when that is known."""
        ann = browser()
        log_in(ann, "ann")
        service.enable(reason="upgrade", actor="ops")
        names = admins.read_text()
        admins.unlink()

        assert who(ann) is None
        admins.write_text(names)
        assert who(ann) == "ann"
