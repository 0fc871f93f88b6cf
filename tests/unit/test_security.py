"""Who may command."""

from __future__ import annotations

import pytest

from quiesce.model import Principal
from quiesce.web.exchange import ApiRequest, ApiResponse
from quiesce.web.security import authorise, carries_token

TOKEN = "correct-horse-battery"
ADMIN = Principal("anna", is_admin=True)
SAME = {"host": "shop.example", "origin": "https://shop.example"}


def ask(
    method: str = "POST", principal: Principal | None = None, token: str | None = TOKEN, **headers: str
) -> str | int:
    """Who was let in, or the status that turned them away."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = ApiRequest(method=method, path="/x", headers=named, principal=principal)
    answer = authorise(request, admin_token=token)
    return answer.status if isinstance(answer, ApiResponse) else answer


@pytest.mark.parametrize("header", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER   {TOKEN} "])
def test_token_lets_in(header: str) -> None:
    """The scheme's letter case does not matter (RFC 9110 §11.1)."""
    assert ask(authorization=header) == "admin-token"
    assert ask("GET", authorization=header) == "admin-token"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Bearer x{TOKEN}",
        f"Bearer {TOKEN.upper()}",
        f"Bearer {TOKEN} {TOKEN}",
        f"Bearer {TOKEN}, Bearer {TOKEN}",
        f"Bearer\t{TOKEN}",
        f"Basic {TOKEN}",
        f"Bearers {TOKEN}",
        TOKEN,
        "Bearer \xff\xfe",
        "Bearer \udcff",
        "Bearer " + "x" * 100_000,
    ],
    ids=lambda header: repr(header)[:40],
)
def test_anything_but_the_token_does_not(header: str) -> None:
    """Not signed in, and told how."""
    assert ask(authorization=header) == 401


@pytest.mark.parametrize("header", ["Bearer ", "Bearer None", "Bearer null", f"Bearer {TOKEN}"])
def test_without_a_configured_token_none_is_accepted(header: str) -> None:
    """No default token, no open default."""
    assert ask(token=None, authorization=header) == 401


def test_nobody_gets_401_with_the_scheme_and_a_non_admin_403() -> None:
    """RFC 9110 §15.5.2: a 401 says how to authenticate."""
    answer = authorise(ApiRequest(method="POST", path="/x"), admin_token=TOKEN)

    assert isinstance(answer, ApiResponse)
    assert answer.status == 401
    assert dict(answer.headers)["www-authenticate"].startswith("Bearer ")
    assert ask(principal=Principal("bob"), **SAME) == 403
    assert ask("GET", principal=Principal("bob")) == 403


def test_applications_admin_is_let_in_from_the_same_origin() -> None:
    """The audit trail names the user, apart from anybody who holds the token."""
    assert ask(principal=ADMIN, **SAME) == "user:anna"
    assert ask("GET", principal=ADMIN) == "user:anna"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "shop.example:8443", "origin": "https://shop.example:8443"},
        {"host": "SHOP.example", "origin": "https://shop.EXAMPLE"},
        {"host": "shop.example", "origin": "https://shop.example", "sec_fetch_site": "same-origin"},
        {"host": "shop.example", "sec_fetch_site": "same-origin"},
        {"host": "shop.example", "referer": "https://shop.example/admin/page?x=1"},
        {"host": "[::1]:8000", "origin": "http://[::1]:8000"},
    ],
)
def test_same_origin(headers: dict[str, str]) -> None:
    """What a browser says about our own page."""
    assert ask(principal=ADMIN, **headers) == "user:anna"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "shop.example"},
        {"host": "shop.example", "origin": ""},
        {"host": "shop.example", "origin": "null"},
        {"host": "shop.example", "origin": "https://evil.example"},
        {"host": "shop.example", "origin": "https://shop.example.evil.example"},
        {"host": "shop.example", "origin": "https://evilshop.example"},
        {"host": "shop.example", "origin": "https://shop.example:8443"},
        {"host": "shop.example", "origin": "https://shop.example@evil.example"},
        {"host": "shop.example", "origin": "shop.example"},
        {"host": "shop.example", "origin": "https://["},
        {"host": "shop.example", "origin": "//"},
        {"host": "", "origin": "https://"},
        {"origin": "https://shop.example"},
        {"host": "shop.example", "referer": "https://evil.example/?https://shop.example"},
        {"host": "shop.example", "origin": "https://evil.example", "referer": "https://shop.example/"},
        {**SAME, "sec_fetch_site": "cross-site"},
        {**SAME, "sec_fetch_site": "same-site"},
        {**SAME, "sec_fetch_site": "none"},
        {**SAME, "sec_fetch_site": ""},
        {"host": "shop.example", "sec_fetch_site": "cross-site"},
    ],
    ids=repr,
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_command_from_elsewhere_is_refused(headers: dict[str, str], method: str) -> None:
    """A signed-in administrator's browser must not be used by another page."""
    assert ask(method, principal=ADMIN, **headers) == 403


def test_token_needs_no_origin() -> None:
    """``curl`` sends none, and no browser sends the token by itself."""
    assert ask(authorization=f"Bearer {TOKEN}", host="shop.example", origin="https://evil.example") == "admin-token"


def test_applications_own_bearer_token_is_left_to_the_application() -> None:
    """An API whose users carry a JWT has administrators too."""
    jwt = {"authorization": "Bearer eyJ.x.y"}

    assert not carries_token(ApiRequest(method="POST", path="/x", headers=jwt), admin_token=TOKEN)
    assert ask(principal=ADMIN, **jwt, **SAME) == "user:anna"
    assert ask(principal=ADMIN, **jwt) == 403
    assert ask(principal=Principal("bob"), **jwt, **SAME) == 403


def test_a_browsers_word_holds_behind_a_proxy_that_rewrites_the_host() -> None:
    """No page can forge Sec-Fetch-Site, and nginx changes Host unless it is told not to."""
    headers = {"host": "127.0.0.1:8000", "origin": "https://shop.example", "sec_fetch_site": "same-origin"}

    assert ask("POST", principal=ADMIN, **headers) == "user:anna"
