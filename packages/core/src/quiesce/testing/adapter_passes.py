"""The part of an adapter's contract that is about bypass passes."""
# ruff: noqa: S101 - a contract is made of assertions

from __future__ import annotations

import logging

import pytest

from ..control import EnhancedMaintenanceModeService
from ..gate import PASS_HEADER
from ..model import CallerKind, CountKey, Mode, Outcome
from .adapter_client import AdapterBase, MakeService, Users, as_user
from .waiting import eventually

NO_PASSES = (
    *("x", "0123456789abcdef." + "A" * 43, "0" * 60, ".", "\xff" * 60, "%00", "a" * 7000, "a, b", "Bearer x", '""'),
    *("; " * 3000, "maintenance_pass=" * 400, "maintenance_pass=;" * 400),
)


def with_pass(text: str) -> dict[str, str]:
    """Return the headers of a program that carries a pass."""
    return {PASS_HEADER: text}


def with_pass_cookie(text: str) -> dict[str, str]:
    """Return the headers of a browser that carries one."""
    return {"Cookie": f"theme=dark; maintenance_pass={text}; lang=en"}


def issue(service: EnhancedMaintenanceModeService, *, emergency: bool = False) -> str:
    """Issue a pass."""
    return service.passes.issue(name="QA, Ann", emergency=emergency, actor="ops").text


class PassContract(AdapterBase):
    """Who carries a pass uses the application as if no window were open; nobody else does."""

    @pytest.mark.parametrize("carry", [with_pass, with_pass_cookie])
    def test_a_pass_opens_what_is_closed_to_others(
        self, service: EnhancedMaintenanceModeService, carry: object
    ) -> None:
        """Testers, and a payment provider's probe, look behind the maintenance page."""
        assert callable(carry)
        client = self.client(service=service)
        headers = carry(issue(service))
        service.enable(reason="upgrade", actor="ops")

        assert client.request("POST", "/items", headers=headers).status == 201
        assert client.request("GET", "/api/jobs", headers=headers).body == b"jobs"
        assert client.request("GET", "/items", headers=headers).body == b"items"
        assert client.request("POST", "/items").status == 503
        assert client.request("POST", "/items", headers=carry("0123456789abcdef." + "A" * 43)).status == 503

    @pytest.mark.parametrize("carry", [with_pass, with_pass_cookie])
    def test_a_guard_in_the_view_asks_for_it_too(self, service: EnhancedMaintenanceModeService, carry: object) -> None:
        """The view passes as a read; what it guards is refused to others, and opened by the pass."""
        assert callable(carry)
        client = self.client(service=service)
        headers = carry(issue(service))
        client.request("GET", "/guarded")
        service.enable(reason="upgrade", operations=["payments"], actor="ops")

        assert client.request("GET", "/guarded").status == 503
        assert client.request("GET", "/guarded", headers=headers).body == b"guarded"
        eventually(lambda: not service.gate.in_flight)

    def test_an_emergency_opens_to_a_pass_for_emergencies_only(self, service: EnhancedMaintenanceModeService) -> None:
        """What was handed out for a planned night lets nobody in when the house burns."""
        client = self.client(service=service)
        tester, responder = with_pass(issue(service)), with_pass(issue(service, emergency=True))
        service.enable(reason="fire", mode=Mode.EMERGENCY, actor="ops")

        assert [client.request("GET", "/items", headers=each).status for each in (tester, responder)] == [503, 200]
        assert [client.request("POST", "/items", headers=each).status for each in (tester, responder)] == [503, 201]

    def test_a_revoked_pass_is_refused_from_the_next_request_on(self, service: EnhancedMaintenanceModeService) -> None:
        """It may have been sent to the wrong person."""
        client = self.client(service=service)
        headers = with_pass(issue(service))
        service.enable(reason="upgrade", actor="ops")
        assert client.request("POST", "/items", headers=headers).status == 201

        service.passes.revoke("QA, Ann", actor="ops")

        assert client.request("POST", "/items", headers=headers).status == 503

    def test_without_a_key_no_pass_is_good(self, make_service: MakeService) -> None:
        """There is no default key."""
        service = make_service(secret_key=None)
        client = self.client(service=service)
        other = make_service()
        text = issue(other)
        state = other.store.load()
        service.store.commit(state, expected_revision=0, audit=[])
        service.enable(reason="upgrade", actor="ops")

        assert len(service.passes.live()) == 1
        assert client.request("POST", "/items", headers=with_pass(text)).status == 503

    def test_nobody_is_asked_about_a_pass(self, service: EnhancedMaintenanceModeService) -> None:
        """A flood with made-up passes must not cost the application a look-up each; a holder needs none."""
        users = Users("ann")
        client = self.client(service=service, identify=users.identify)
        text = issue(service)
        service.enable(reason="upgrade", actor="ops")

        for headers in (with_pass(text), with_pass("x"), with_pass_cookie(text), {**as_user("bob"), **with_pass(text)}):
            client.request("POST", "/items", headers=headers)
        assert users.asked == 0
        assert client.request("POST", "/items", headers={**as_user("ann"), **with_pass("x")}).status == 201
        assert client.request("POST", "/items", headers={**as_user("bob"), **with_pass("x")}).status == 503

    def test_its_use_is_counted_as_a_bypass(self, service: EnhancedMaintenanceModeService) -> None:
        """Operators see that somebody was let in, as they do of administrators."""
        client = self.client(service=service)
        text = issue(service)
        window = service.enable(reason="upgrade", actor="ops")

        client.request("POST", "/items", headers=with_pass(text))
        client.request("GET", "/guarded", headers=with_pass_cookie(text))
        client.request("GET", "/items", headers=with_pass(text))

        expected = {
            CountKey(window.id, "user_data_modification", Outcome.BYPASSED, caller=CallerKind.PASS): 1,
            CountKey(window.id, "payments", Outcome.BYPASSED, caller=CallerKind.PASS): 1,
        }
        eventually(lambda: dict(service.blocked_counts()) == expected)

    def test_its_entry_is_marked_and_ends(self, service: EnhancedMaintenanceModeService) -> None:
        """Protocol rule 5: who passes on purpose is shown, and not waited for; a stream to its last piece."""
        client = self.client(service=service)
        text = issue(service)
        service.enable(reason="upgrade", actor="ops")

        assert client.request("POST", "/stream", headers=with_pass(text)).body == b"111"
        client.request("POST", "/boom", headers=with_pass_cookie(text))
        eventually(lambda: not service.gate.in_flight)
        assert service.gate.acknowledge().bypassing == 0

    def test_a_hostile_value_opens_nothing_and_breaks_nothing(
        self, service: EnhancedMaintenanceModeService, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Whoever can send a request can send any value with it."""
        client = self.client(service=service)
        issue(service)
        service.enable(reason="upgrade", actor="ops")

        with caplog.at_level(logging.WARNING, logger="quiesce"):
            for value in NO_PASSES:
                for headers in (with_pass(value), with_pass_cookie(value)):
                    assert (value[:20], client.request("POST", "/items", headers=headers).status) == (value[:20], 503)
                    assert client.request("GET", "/items", headers=headers).status == 200
        eventually(lambda: not service.gate.in_flight)
        assert caplog.records == []
