"""The part of an adapter's contract that is about how a browser comes by a bypass pass's cookie."""
# ruff: noqa: S101 - a contract is made of assertions

from __future__ import annotations

import json
from http.cookies import SimpleCookie
from urllib.parse import urljoin

from ..control import EnhancedMaintenanceModeService
from .adapter_client import AdapterBase, AdapterClient, Answer, Users, as_user
from .adapter_passes import issue, with_pass, with_pass_cookie

PAGE = "/api/maintenance/pass"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SAME_ORIGIN = {"Host": "shop.example", "Origin": "http://shop.example", **FORM}
BAD_FORMS = (b"", b"pass", b"pass=", b"text=x", b"pass=x&pass=y", b"pass=x&next=//evil.example", b"\xff", b"x" * 2000)
COMMANDS = (
    *(("POST", "enable"), ("POST", "disable"), ("POST", "extend"), ("GET", "quiescence"), ("GET", "events")),
    *(("GET", "windows"), ("POST", "windows"), ("DELETE", "windows/x")),
)


def hand_in(client: AdapterClient, text: str, **headers: str) -> Answer:
    """Post the page's form."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.request("POST", PAGE, headers={**SAME_ORIGIN, **named}, body=f"pass={text}".encode())


class PassPageContract(AdapterBase):
    """A tester opens a link and presses a button; nothing else gets a cookie, and nothing sends the pass elsewhere."""

    def test_the_form_makes_a_cookie_by_which_the_browser_passes(self, service: EnhancedMaintenanceModeService) -> None:
        """The way from the link to the site, in an emergency too."""
        client = self.client(service=service)
        text = issue(service, emergency=True)
        service.enable(reason="fire", mode="emergency", actor="ops")

        page, taken = client.request("GET", PAGE), hand_in(client, text)

        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert b'<form method="post" action="pass">' in page.body
        assert (taken.status, urljoin(PAGE, taken.headers["location"])) == (303, "/")
        assert taken.headers["cache-control"] == page.headers["cache-control"] == "no-store"
        cookie = SimpleCookie(taken.headers["set-cookie"])["maintenance_pass"]
        assert (cookie.value, cookie["path"], cookie["samesite"], cookie["httponly"]) == (text, "/", "Lax", True)
        assert 3500 < int(cookie["max-age"]) <= 3600
        assert not cookie["secure"]
        assert client.request("POST", "/items", headers={"Cookie": f"maintenance_pass={cookie.value}"}).status == 201

    def test_the_cookie_is_secure_where_the_browser_sees_https(self, service: EnhancedMaintenanceModeService) -> None:
        """Behind a proxy that ends TLS the server itself knows nothing of it; the browser does."""
        client = self.client(service=service)
        text = issue(service)

        secure = hand_in(client, text, Origin="https://shop.example").headers["set-cookie"]
        fetched = client.request(
            "POST", PAGE, headers={**FORM, "Sec-Fetch-Site": "same-origin"}, body=f"pass={text}".encode()
        )

        assert "; Secure" in secure
        assert "; Secure" in fetched.headers["set-cookie"]

    def test_a_pass_that_is_not_good_makes_no_cookie(self, service: EnhancedMaintenanceModeService) -> None:
        """A tester whose pass was revoked learns it here, and not from a page that looks like everybody's."""
        client = self.client(service=service)
        text = issue(service)
        service.passes.revoke("QA, Ann", actor="ops")

        for wrong in (text, "x", "0123456789abcdef." + "A" * 43, "%3Cscript%3E"):
            answer = hand_in(client, wrong)
            assert (answer.status, "set-cookie" in answer.headers) == (403, False)
            assert b"not valid" in answer.body
            assert b"<script" not in answer.body

    def test_another_site_cannot_hand_one_in(self, service: EnhancedMaintenanceModeService) -> None:
        """What a browser keeps is decided on our own page."""
        client = self.client(service=service)
        text = issue(service)

        for elsewhere in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
            answer = hand_in(client, text, **elsewhere)
            assert (answer.status, "set-cookie" in answer.headers) == (403, False)

    def test_a_query_is_not_read(self, service: EnhancedMaintenanceModeService) -> None:
        """Addresses are written into logs; a link that worked so would put the pass there."""
        client = self.client(service=service)
        text = issue(service)

        shown = client.request("GET", f"{PAGE}?pass={text}&token={text}")
        posted = client.request("POST", f"{PAGE}?pass={text}", headers=SAME_ORIGIN)

        assert "set-cookie" not in shown.headers
        assert text.encode() not in shown.body
        assert posted.status == 400

    def test_a_form_that_is_not_the_pages_is_a_problem(self, service: EnhancedMaintenanceModeService) -> None:
        """Half a form is none, and there is nowhere else to be sent to."""
        client = self.client(service=service)

        for body in BAD_FORMS:
            answer = client.request("POST", PAGE, headers=SAME_ORIGIN, body=body)
            assert (body[:30], answer.status) == (body[:30], 400)
            assert json.loads(answer.body)["field"] in {"body", "pass"}
        as_json = {**SAME_ORIGIN, "Content-Type": "application/json"}
        assert client.request("POST", PAGE, headers=as_json, body=b'{"pass": "x"}').status == 400

    def test_a_pass_commands_nothing(self, service: EnhancedMaintenanceModeService) -> None:
        """It opens the application, not the product: a tester must not end the window, or see who is let in."""
        client = self.client(service=service, identify=Users("ann").identify)
        text = issue(service, emergency=True)
        window = service.enable(reason="upgrade", actor="ops")
        same = {"Host": "shop.example", "Origin": "http://shop.example", "Content-Type": "application/json"}

        for method, name in COMMANDS:
            path, body = f"/api/maintenance/{name}", b"" if method in {"GET", "DELETE"} else b'{"reason": "x"}'
            for carried in (with_pass(text), with_pass_cookie(text), {"Authorization": f"Bearer {text}"}):
                assert client.request(method, path, headers={**same, **carried}, body=body).status == 401
            bob = {**same, **as_user("bob"), **with_pass(text)}
            assert client.request(method, path, headers=bob, body=body).status == 403
        assert [(each.id, each.ended_at, each.ends_at) for each in service.store.load().windows] == [
            (window.id, None, window.ends_at)
        ]

    def test_the_page_runs_nothing_but_its_own_script(self, service: EnhancedMaintenanceModeService) -> None:
        """The policy names that script by its digest, and no other page may frame the form."""
        answer = self.client(service=service).request("GET", PAGE)

        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'sha256-" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["referrer-policy"] == "same-origin"
