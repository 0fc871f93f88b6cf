"""The part of an adapter's contract that is about the refusal: what a refused client is told."""
# ruff: noqa: S101 - a contract is made of assertions

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from ..control import EnhancedMaintenanceModeService
from .adapter_client import AdapterBase, Users, as_user

HOSTILE_REASON = "<script>alert('x')</script> & \"quotes\" ünïcode ☃"
REFUSED = (
    pytest.param("POST", "/items", id="by the gate"),
    pytest.param("GET", "/guarded", id="by a guard"),
)


class RefusalContract(AdapterBase):
    """Programs and people both understand the answer, however it came about."""

    @pytest.mark.parametrize(("method", "path"), REFUSED)
    def test_a_program_gets_a_problem_document(
        self, service: EnhancedMaintenanceModeService, method: str, path: str
    ) -> None:
        """RFC 9457: clients tell maintenance from a failure, and know what is closed."""
        client = self.client(service=service)
        service.enable(reason="upgrade", duration=timedelta(minutes=10), actor="ops")

        status, headers, body = client.request(method, path)

        assert status == 503
        assert headers["content-type"] == "application/problem+json"
        assert headers["content-length"] == str(len(body))
        assert headers["cache-control"] == "no-store"
        assert headers["x-maintenance-mode"] == "normal"
        assert 590 <= int(headers["retry-after"]) <= 670
        document = json.loads(body)
        assert (document["status"], document["mode"], document["reason"]) == (503, "normal", "upgrade")
        assert document["operation_type"] == ("payments" if path == "/guarded" else "user_data_modification")

    @pytest.mark.parametrize(("method", "path"), REFUSED)
    def test_a_browser_gets_a_page(self, service: EnhancedMaintenanceModeService, method: str, path: str) -> None:
        """People see a page that says what goes on, and that no search engine keeps."""
        client = self.client(service=service)
        service.enable(reason="upgrade", mode="emergency", actor="ops")

        status, headers, body = client.request(method, path, headers={"Accept": "text/html,*/*;q=0.8"})

        assert (status, headers["content-type"]) == (503, "text/html; charset=utf-8")
        assert headers["x-maintenance-mode"] == "emergency"
        assert int(headers["retry-after"]) >= 1
        assert body.startswith(b"<!doctype html>")
        assert b"upgrade" in body

    def test_a_reason_is_shown_and_never_run(self, service: EnhancedMaintenanceModeService) -> None:
        """Whoever may write a reason must not thereby script every visitor's browser."""
        client = self.client(service=service)
        service.enable(reason=HOSTILE_REASON, actor="ops")

        page = client.request("POST", "/items", headers={"Accept": "text/html"}).body
        document = client.request("POST", "/items")

        assert b"<script" not in page
        assert "ünïcode" in page.decode()
        assert json.loads(document.body)["reason"] == HOSTILE_REASON

    def test_head_is_refused_without_a_body(self, service: EnhancedMaintenanceModeService) -> None:
        """RFC 9110 §9.3.2: the fields of GET, and not one byte that would be taken for the next response."""
        client = self.client(service=service)
        service.enable(reason="upgrade", mode="emergency", actor="ops")

        head, get = client.request("HEAD", "/items"), client.request("GET", "/items")

        assert (head.status, head.body) == (503, b"")
        assert head.headers["content-length"] == str(len(get.body))
        assert head.headers["content-type"] == get.headers["content-type"]

    def test_a_refusal_follows_the_state(self, service: EnhancedMaintenanceModeService) -> None:
        """A page kept from the last window would tell users about the wrong one."""
        client = self.client(service=service)
        for reason in ("first", "second"):
            service.enable(reason=reason, actor="ops")
            assert json.loads(client.request("POST", "/items").body)["reason"] == reason
            service.disable(actor="ops")

    def test_a_refused_user_gets_the_same_as_a_stranger(self, service: EnhancedMaintenanceModeService) -> None:
        """The answer says nothing about who asked."""
        client = self.client(service=service, identify=Users().identify)
        service.enable(reason="upgrade", actor="ops")

        stranger, user = client.request("POST", "/items"), client.request("POST", "/items", headers=as_user("bob"))

        assert (stranger.status, stranger.body) == (user.status, user.body)
        assert "set-cookie" not in user.headers
