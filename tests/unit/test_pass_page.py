"""The page on which a browser hands in a bypass pass."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from urllib.parse import urljoin

import pytest

from quiesce.control import EnhancedMaintenanceModeService
from quiesce.testing import FakeClock
from quiesce.web import PREFIX, ApiRequest, ApiResponse, MaintenanceStatusAPI

Service = EnhancedMaintenanceModeService
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def service(make_service: Callable[..., Service]) -> Service:
    return make_service(secret_key="a-secret-key-of-the-tests")


@pytest.fixture
def api(service: Service) -> MaintenanceStatusAPI:
    return MaintenanceStatusAPI(service)


def ask(api: MaintenanceStatusAPI, method: str = "GET", body: bytes = b"", **headers: str) -> ApiResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.handle(ApiRequest(method=method, path=f"{PREFIX}/pass", headers=named, body=body))


def hand_in(api: MaintenanceStatusAPI, text: str, *, origin: str = "https://shop.example") -> ApiResponse:
    return ask(api, "POST", f"pass={text}".encode(), host="shop.example", origin=origin, content_type=FORM)


def test_the_policy_allows_the_script_that_is_there_and_no_other(api: MaintenanceStatusAPI) -> None:
    """A digest that is off by a blank would leave the button with an empty field, and only in browsers."""
    answer = ask(api)

    (script,) = re.findall(rb"<script>(.*?)</script>", answer.body, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
    policy = dict(answer.headers)["content-security-policy"]
    assert re.findall(r"script-src ([^;]*)", policy) == [f"'sha256-{digest}'"]
    assert "unsafe-inline" not in policy.partition("script-src")[2]


def test_the_form_names_its_address(api: MaintenanceStatusAPI) -> None:
    """Without one it would be posted to the address with its fragment, which a redirect hands on (Fetch, 4.4)."""
    (action,) = re.findall(rb'<form method="post" action="([^"]*)">', ask(api).body)

    assert action == b"pass"


@pytest.mark.parametrize(
    ("seconds", "age"), [(0, 3600), (1.5, 3598), (3599, 1), (3599.9, 1)], ids=["new", "used", "almost", "just"]
)
def test_the_cookie_ends_with_the_pass(
    service: Service, api: MaintenanceStatusAPI, clock: FakeClock, seconds: float, age: int
) -> None:
    """A cookie that outlives its pass is sent in vain; one of age 0 would be deleted (RFC 6265)."""
    text = service.passes.issue(name="Ann", actor="ops").text
    clock.advance(seconds)

    headers = dict(hand_in(api, text).headers)

    assert f"; Max-Age={age};" in headers["set-cookie"]


@pytest.mark.parametrize(
    ("origin", "is_secure"),
    [("https://shop.example", True), ("HTTPS://SHOP.EXAMPLE", True), ("http://shop.example", False)],
)
def test_the_cookie_is_secure_unless_the_browser_sees_http(
    service: Service, api: MaintenanceStatusAPI, *, origin: str, is_secure: bool
) -> None:
    """On a plain line a secure cookie would be dropped; on any other a plain one could be read."""
    text = service.passes.issue(name="Ann", actor="ops").text

    cookie = dict(hand_in(api, text, origin=origin).headers)["set-cookie"]

    assert cookie.endswith("; Secure") == is_secure
    assert "; HttpOnly; SameSite=Lax" in cookie


@pytest.mark.parametrize("text", ["%20{}%0A", "{}"])
def test_blanks_around_a_pasted_pass_do_not_matter(service: Service, api: MaintenanceStatusAPI, text: str) -> None:
    """People copy them along."""
    issued = service.passes.issue(name="Ann", actor="ops").text

    headers = dict(hand_in(api, text.format(issued)).headers)

    assert headers["set-cookie"].startswith(f"maintenance_pass={issued}; ")


@pytest.mark.parametrize("text", ["%3Cscript%3Ealert(1)%3C%2Fscript%3E", "%0D%0ASet-Cookie:%20x=y", "%ff", "x" * 900])
def test_what_is_no_pass_is_not_shown_again(api: MaintenanceStatusAPI, text: str) -> None:
    """Neither in the page nor in a header."""
    answer = hand_in(api, text)

    assert answer.status == 403
    assert b"script>" not in answer.body
    assert {name for name, _ in answer.headers} & {"set-cookie", "location"} == set()


def test_a_service_without_a_key_takes_none(make_service: Callable[..., Service]) -> None:
    """The page is there all the same, and tells nobody how the service is set up."""
    api = MaintenanceStatusAPI(make_service())

    assert ask(api).status == 200
    assert hand_in(api, "0123456789abcdef." + "A" * 43).status == 403


@pytest.mark.parametrize("prefix", ["", "/shop", "/a/b"])
def test_the_way_from_the_page_leads_to_the_applications_root(
    service: Service, api: MaintenanceStatusAPI, prefix: str
) -> None:
    """What a mount or a proxy puts before the path is nothing that the endpoint knows (RFC 9110, 10.2.2)."""
    location = dict(hand_in(api, service.passes.issue(name="Ann", actor="ops").text).headers)["location"]

    assert urljoin(f"https://shop.example{prefix}/api/maintenance/pass", location) == f"https://shop.example{prefix}/"
