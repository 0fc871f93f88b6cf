"""People at their browsers, two workers, and each kind of session: out, kept out, and back in; admins stay."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest

from quiesce import NoOpenWindowError
from quiesce.testing import eventually

if TYPE_CHECKING:
    from tests.conftest import RedisServer

    from .conftest import Server, Site

TRIES = 6  # enough to meet both workers


class Browser:
    """Somebody with a cookie jar of their own; a new connection for each request, so that either worker answers."""

    def __init__(self, server: Server, stack: ExitStack) -> None:
        self.client = stack.enter_context(
            httpx.Client(
                base_url=f"http://127.0.0.1:{server.port}", headers={"Connection": "close"}, timeout=30, verify=False
            )
        )

    def get(self, path: str) -> httpx.Response:
        return self.client.get(path)

    def log_in(self, user: str, *, remember: str | None = None) -> int:
        form = {"user": user} if remember is None else {"user": user, "remember": remember}
        return self.client.post("/login", data=form).status_code

    def seen_as(self) -> set[str]:
        """Return as whom each worker sees them."""
        return {self.get("/me").text for _ in range(TRIES)}

    @property
    def cookies(self) -> dict[str, str]:
        return dict(self.client.cookies)

    @cookies.setter
    def cookies(self, cookies: dict[str, str]) -> None:
        self.client.cookies.clear()
        for name, value in cookies.items():
            self.client.cookies.set(name, value, domain="127.0.0.1")


class Accounts:
    """The application with its sessions, on two workers, and its operator."""

    def __init__(self, site: Site, redis: RedisServer, stack: ExitStack, *, kind: str) -> None:
        self.kind = kind
        self.site = site
        self.operator = site.operator
        self.redis = redis.client()
        self._stack = stack
        stack.callback(self.redis.close)
        site.environ |= {"ACCOUNTS_KIND": kind, "ACCOUNTS_REDIS": redis.url}
        self._server = site.serve("accounts:create_app()", "--workers", "2")
        self._bare: Server | None = None
        self.begin()

    def begin(self) -> None:
        """Leave nothing of what went before but the epoch: no window, no stored session, one admin."""
        with suppress(NoOpenWindowError):
            self.operator.disable(end_all=True, actor="tests")
        self.redis.flushdb()
        self.admins("ann")
        for mark in self.site.folder.glob("slow.*"):
            mark.unlink()

    def admins(self, *names: str) -> None:
        (self.site.folder / "admins").write_text(" ".join(names))

    def browser(self, user: str | None = None, *, remember: str | None = None) -> Browser:
        browser = Browser(self._server, self._stack)
        if user is not None:
            assert browser.log_in(user, remember=remember) == 200
        return browser

    def bare(self, browser: Browser) -> Browser:
        """Return a copy of the browser that talks to the same application without maintenance mode."""
        self._bare = self._bare or self.site.start("accounts:create_bare_app()", "--workers", "1")
        copy = Browser(self._bare, self._stack)
        copy.cookies = browser.cookies
        return copy

    def stored(self) -> dict[Any, Any]:
        return {key: self.redis.get(key) for key in self.redis.keys("session:*")}


class Opening(NamedTuple):
    """How to start what an application with sessions needs."""

    redis: Callable[[Path], AbstractContextManager[RedisServer]]
    site: Callable[[Path], AbstractContextManager[Site]]

    @contextmanager
    def serve(self, kind: str, folder: Path) -> Iterator[Accounts]:
        """Serve accounts with sessions of this kind, on a store and a Redis of their own."""
        with ExitStack() as stack:
            redis, site = stack.enter_context(self.redis(folder)), stack.enter_context(self.site(folder))
            yield Accounts(site, redis, stack, kind=kind)


@pytest.fixture(scope="session")
def opening(open_redis: Any, open_site: Any) -> Opening:
    return Opening(open_redis, open_site)


KINDS = ["cookie", "server", "remember"]


@pytest.fixture(scope="module", params=KINDS)
def shared_accounts(
    request: pytest.FixtureRequest, opening: Opening, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Accounts]:
    with opening.serve(request.param, tmp_path_factory.mktemp(request.param)) as accounts:
        yield accounts


@pytest.fixture
def accounts(shared_accounts: Accounts) -> Accounts:
    """With whatever epoch an earlier test has left."""
    shared_accounts.begin()
    return shared_accounts


@pytest.fixture
def remembering(accounts: Accounts) -> Accounts:
    return accounts


@pytest.fixture
def stored(accounts: Accounts) -> Accounts:
    return accounts


@pytest.fixture(params=KINDS)
def new_accounts(request: pytest.FixtureRequest, opening: Opening, tmp_path: Path) -> Iterator[Accounts]:
    """No session was ever ended."""
    with opening.serve(request.param, tmp_path) as accounts:
        yield accounts


only_remembering = pytest.mark.parametrize("shared_accounts", KINDS[2:], indirect=True)
only_stored = pytest.mark.parametrize("shared_accounts", KINDS[1:2], indirect=True)


def test_people_are_out_and_kept_out_and_back_in_afterwards(new_accounts: Accounts) -> None:
    """The guide's promise, for whoever is no admin."""
    bob, ann, new_ann, eve = (
        new_accounts.browser("bob"),
        new_accounts.browser("ann"),
        new_accounts.browser(),
        new_accounts.browser(),
    )
    old = bob.cookies
    assert bob.seen_as() == {"bob"}

    new_accounts.operator.enable(reason="upgrade", actor="ops")

    assert bob.seen_as() == {"nobody"}
    assert ann.seen_as() == {"ann"}
    before = new_accounts.stored()
    for _ in range(TRIES):
        assert bob.log_in("bob") == 503
        assert eve.log_in("eve") == 503
    assert (bob.seen_as(), eve.seen_as()) == ({"nobody"}, {"nobody"})
    assert eve.cookies == {}
    assert new_accounts.stored() == before
    assert new_ann.log_in("ann") == 200
    assert (ann.seen_as(), new_ann.seen_as()) == ({"ann"}, {"ann"})

    new_accounts.operator.disable(actor="ops")

    assert bob.seen_as() == {"nobody"}
    assert (bob.log_in("bob"), eve.log_in("eve")) == (200, 200)
    assert (bob.seen_as(), eve.seen_as(), ann.seen_as()) == ({"bob"}, {"eve"}, {"ann"})
    thief = new_accounts.browser()
    thief.cookies = old
    assert thief.seen_as() == {"nobody"}


def test_a_suspended_session_comes_through_untouched(accounts: Accounts) -> None:
    """For short work nobody has to log in anew, whatever they try while it lasts."""
    bob, ann, new_ann = accounts.browser("bob"), accounts.browser("ann"), accounts.browser()
    cookies, stored = bob.cookies, accounts.stored()

    accounts.operator.enable(reason="upgrade", sessions="suspend", actor="ops")

    assert (bob.seen_as(), ann.seen_as()) == ({"nobody"}, {"ann"})
    assert bob.get("/cart/tea").text == ""
    assert bob.log_in("bob") == 503
    assert new_ann.log_in("ann") == 200
    assert new_ann.seen_as() == {"ann"}
    assert bob.cookies == cookies
    assert {key: value for key, value in accounts.stored().items() if key in stored} == stored
    accounts.operator.disable(actor="ops")
    assert bob.seen_as() == {"bob"}
    assert bob.get("/cart/tea").text == ""


def test_an_admin_gets_in_at_a_browser_whose_session_is_suspended(accounts: Accounts) -> None:
    """An operator called to somebody's desk is not sent away."""
    desk = accounts.browser("bob")
    accounts.operator.enable(reason="upgrade", sessions="suspend", actor="ops")

    assert desk.log_in("ann") == 200

    assert desk.seen_as() == {"ann"}
    accounts.operator.disable(actor="ops")
    assert desk.seen_as() == {"ann"}


def test_a_window_that_keeps_sessions_only_keeps_the_door(accounts: Accounts) -> None:
    """Whoever is in stays in; nobody comes in anew, not even where somebody has just left."""
    bob, eve = accounts.browser("bob"), accounts.browser()
    accounts.operator.enable(reason="upgrade", sessions="keep", actor="ops")

    assert bob.seen_as() == {"bob"}
    assert eve.log_in("eve") == 503
    assert eve.seen_as() == {"nobody"}
    assert bob.log_in("eve") == 503
    assert bob.seen_as() == {"bob"}
    accounts.operator.disable(actor="ops")
    assert bob.seen_as() == {"bob"}


def test_a_demoted_admin_is_out_at_once(accounts: Accounts) -> None:
    """A role kept in a session is trusted for no request, whether they logged in before the window or in it."""
    accounts.admins("ann", "amy")
    ann, amy = accounts.browser("ann"), accounts.browser()
    accounts.operator.enable(reason="upgrade", actor="ops")
    assert amy.log_in("amy") == 200
    assert (ann.seen_as(), amy.seen_as()) == ({"ann"}, {"amy"})

    accounts.admins()

    assert (ann.seen_as(), amy.seen_as()) == ({"nobody"}, {"nobody"})
    assert ann.log_in("ann") == 503


def test_a_request_in_flight_cannot_bring_a_session_back(accounts: Accounts) -> None:
    """It saves what it had loaded, after that was deleted; the stamp in it is as old as before."""
    bob, twin = accounts.browser("bob"), accounts.browser()
    twin.cookies = bob.cookies
    thread = threading.Thread(target=lambda: bob.get("/slow"))
    thread.start()
    eventually((accounts.site.folder / "slow.begun").exists)

    accounts.operator.enable(reason="upgrade", actor="ops")
    assert twin.get("/me").text == "nobody"
    (accounts.site.folder / "slow.go").touch()
    thread.join(30)

    assert bob.seen_as() == {"nobody"}
    accounts.operator.disable(actor="ops")
    assert bob.seen_as() == {"nobody"}


def test_whoever_is_nobody_keeps_the_cart(accounts: Accounts) -> None:
    """Maintenance logs people out; a visitor was never in."""
    visitor = accounts.browser()
    visitor.get("/cart/tea")
    accounts.operator.enable(reason="upgrade", actor="ops")

    assert visitor.get("/cart/milk").text == "tea"
    assert visitor.log_in("bob") == 503
    assert visitor.get("/cart/bread").text == "milk"
    accounts.operator.disable(actor="ops")
    assert visitor.log_in("bob") == 200
    assert visitor.seen_as() == {"bob"}


def test_one_users_sessions_end_alone(accounts: Accounts) -> None:
    """A stolen laptop is no reason to log everybody out; and a log-in is never refused without a window."""
    bob, eve = accounts.browser("bob"), accounts.browser("eve")
    accounts.operator.sessions.invalidate(user_id="bob", actor="ops")

    assert (bob.seen_as(), eve.seen_as()) == ({"nobody"}, {"eve"})
    assert bob.log_in("bob") == 200
    assert (bob.seen_as(), eve.seen_as()) == ({"bob"}, {"eve"})


def headers(response: httpx.Response) -> set[tuple[str, str]]:
    """Return what does not change with the time of day."""
    pairs = (
        (name, re.sub(r"expires=[^;]*", "", value, flags=re.IGNORECASE)) for name, value in response.headers.items()
    )
    return {pair for pair in pairs if pair[0] != "date"}


def test_no_header_changes_before_the_first_session_is_ended(new_accounts: Accounts) -> None:
    """What was not asked for must neither be seen by caches nor grow a cookie."""
    bob, nobody = new_accounts.browser("bob"), new_accounts.browser()

    for browser in (bob, nobody):
        bare = new_accounts.bare(browser)
        for path in ("/public", "/me", "/nowhere"):
            assert headers(browser.get(path)) == headers(bare.get(path)), path
    assert not any(b"_quiesce" in (value or b"") for value in new_accounts.stored().values())


def test_a_page_that_looks_at_no_session_stays_as_cacheable_as_it_was(accounts: Accounts) -> None:
    """In a window and afterwards, for whoever counts and whoever is nobody; else all pages vary by cookie for good."""
    bob, ann, nobody = accounts.browser("bob"), accounts.browser("ann"), accounts.browser()
    accounts.operator.enable(reason="upgrade", actor="ops")
    for browser in (ann, nobody):
        assert headers(browser.get("/public")) == headers(accounts.bare(browser).get("/public"))
    accounts.operator.disable(actor="ops")
    bob.get("/me")
    bob.log_in("bob")

    for browser in (ann, bob, nobody):
        assert headers(browser.get("/public")) == headers(accounts.bare(browser).get("/public"))


@only_stored
def test_admins_get_in_after_the_whole_session_store_was_wiped(stored: Accounts) -> None:
    """It is what one does in an emergency, and what a Redis may do by itself."""
    ann, bob = stored.browser("ann"), stored.browser("bob")
    stored.operator.enable(reason="intrusion", mode="emergency", actor="ops")

    stored.redis.flushdb()

    assert ann.log_in("ann") == 200
    assert ann.get("/me").text == "ann"
    assert bob.log_in("bob") == 503
    assert stored.redis.dbsize() == 1


@only_stored
def test_what_is_stored_of_an_ended_session_is_deleted_when_it_comes_back(stored: Accounts) -> None:
    """And the browser is told to drop its cookie."""
    bob = stored.browser("bob")
    assert stored.redis.dbsize() == 1
    stored.operator.enable(reason="upgrade", actor="ops")

    bob.get("/me")

    assert (stored.redis.dbsize(), bob.cookies) == (0, {})


def without_session(browser: Browser) -> None:
    """Let the browser be closed and opened anew: what is remembered stays."""
    browser.cookies = {name: value for name, value in browser.cookies.items() if name != "session"}


@only_remembering
def test_nobody_is_remembered_across_a_revocation(remembering: Accounts) -> None:
    """The cookie logs people back in without asking; it must be as old as the session beside which it was given."""
    bob, ann = remembering.browser("bob", remember="yes"), remembering.browser("ann", remember="yes")
    old = bob.cookies["remember_token"]
    remembering.operator.enable(reason="upgrade", actor="ops")

    without_session(bob)
    without_session(ann)
    assert (bob.seen_as(), ann.seen_as()) == ({"nobody"}, {"ann"})
    assert "remember_token" not in bob.cookies
    assert bob.log_in("bob", remember="yes") == 503
    assert "remember_token" not in bob.cookies

    remembering.operator.disable(actor="ops")
    bob.cookies = {"remember_token": old}
    assert bob.seen_as() == {"nobody"}
    assert bob.log_in("bob", remember="yes") == 200
    for _ in range(3):
        without_session(bob)
        assert bob.seen_as() == {"bob"}
    assert bob.cookies["remember_token"] == old
    remembering.operator.sessions.invalidate(actor="ops")
    without_session(bob)
    assert bob.seen_as() == {"nobody"}
    assert not {name for name in bob.cookies if name.startswith("remember_token")}


@only_remembering
def test_a_companion_is_worth_nothing_beside_anothers_cookie(remembering: Accounts) -> None:
    """Otherwise whoever stole a cookie would only have to log in with an account of their own."""
    bob = remembering.browser("bob", remember="yes")
    stolen = bob.cookies["remember_token"]
    remembering.operator.sessions.invalidate(actor="ops")
    eve = remembering.browser("eve", remember="yes")
    companion = eve.cookies["remember_token_quiesce"]

    for forged in (companion, "", "1", "x" * 4000, companion + "x"):
        eve.cookies = {"remember_token": stolen, "remember_token_quiesce": forged}
        assert eve.get("/me").text == "nobody"


@only_remembering
def test_a_remembered_user_is_suspended_with_the_session(remembering: Accounts) -> None:
    """The cookie must neither bring them back during the window nor be lost by it."""
    bob, closed = remembering.browser("bob", remember="yes"), remembering.browser("bob", remember="yes")
    without_session(closed)
    remembering.operator.enable(reason="upgrade", sessions="suspend", actor="ops")

    assert (bob.seen_as(), closed.seen_as()) == ({"nobody"}, {"nobody"})
    remembering.operator.disable(actor="ops")

    assert (bob.seen_as(), closed.seen_as()) == ({"bob"}, {"bob"})


@only_remembering
def test_logging_out_forgets_the_companion_too(remembering: Accounts) -> None:
    """Nothing of a user stays in a browser that is used by several."""
    remembering.operator.sessions.invalidate(actor="ops")
    bob = remembering.browser("bob", remember="yes")
    assert set(bob.cookies) == {"session", "remember_token", "remember_token_quiesce"}

    bob.client.post("/logout")

    assert not {name for name in bob.cookies if name.startswith("remember_token")}
