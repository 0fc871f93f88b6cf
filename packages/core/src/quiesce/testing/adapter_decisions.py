"""The part of an adapter's contract that is about who and what passes."""
# ruff: noqa: S101 - a contract is made of assertions

from __future__ import annotations

from typing import Any

import pytest

from ..control import EnhancedMaintenanceModeService
from ..model import CallerKind, CountKey, Mode, Outcome, Principal
from .adapter_client import AdapterBase, MakeService, Users, as_user
from .waiting import eventually

EXEMPT = (("GET", "/health"), ("OPTIONS", "/items"), ("OPTIONS", "/api/jobs"))
LOGIN = (("POST", "/login"),)
READS = (("GET", "/items"), ("HEAD", "/items"), ("GET", "/items?x=/api/jobs"), ("GET", "/nowhere"), ("GET", "/boom"))
ADMIN = (("GET", "/admin/panel"), ("POST", "/admin/panel"))
WRITES = (
    ("POST", "/items"),
    ("DELETE", "/items"),
    ("QUIESCE", "/items"),
    ("GET", "/api/jobs"),
    ("HEAD", "/api/jobs"),
    ("POST", "/api/jobs"),
    ("POST", "/nowhere"),
    ("POST", "/boom"),
    ("POST", "/stream"),
    ("GET", "/payments"),
    ("GET", "/guarded"),
)
EVERYTHING = (*EXEMPT, *LOGIN, *READS, *ADMIN, *WRITES)
PASSES = {
    Mode.NORMAL: (*EXEMPT, *LOGIN, *READS, *ADMIN),
    Mode.EMERGENCY: (*EXEMPT, *LOGIN),
    Mode.TEST: EVERYTHING,
}


class DecisionContract(AdapterBase):
    """The decision table, over the adapter's real path."""

    @pytest.mark.parametrize("mode", list(Mode))
    def test_a_mode_refuses_what_the_table_says_and_touches_nothing_else(
        self, service: EnhancedMaintenanceModeService, mode: Mode
    ) -> None:
        """An operator chooses a mode by what it stops; a request that passes must be answered as ever."""
        client = self.client(service=service)
        before = {asked: client.request(*asked) for asked in EVERYTHING}

        window = service.enable(reason="upgrade", mode=mode, actor="ops")
        during = {asked: client.request(*asked) for asked in EVERYTHING}
        service.disable(window_id=window.id, actor="ops")
        after = {asked: client.request(*asked) for asked in EVERYTHING}

        refused = {asked for asked, answer in during.items() if answer.status == 503}
        assert refused == set(EVERYTHING) - set(PASSES[mode])
        assert {asked: (a.status, a.body) for asked, a in during.items() if asked not in refused} == {
            asked: (a.status, a.body) for asked, a in before.items() if asked not in refused
        }
        assert {asked: (a.status, a.body) for asked, a in after.items()} == {
            asked: (a.status, a.body) for asked, a in before.items()
        }

    def test_nothing_is_refused_when_the_master_switch_is_off(self, make_service: MakeService) -> None:
        """``MAINTENANCE_MODE_ENABLED=false`` is the way out when maintenance itself is the problem."""
        service = make_service(enabled=False)
        client = self.client(service=service)
        service.enable(reason="upgrade", mode="emergency", actor="ops")

        assert {client.request(*asked).status for asked in EVERYTHING} & {503} == set()

    def test_a_change_holds_from_the_next_request_on(self, service: EnhancedMaintenanceModeService) -> None:
        """A write that is admitted after ``enable`` returned makes the proof of quiescence a lie."""
        client = self.client(service=service)
        for _ in range(25):
            service.enable(reason="upgrade", actor="ops")
            assert client.request("POST", "/items").status == 503
            service.disable(actor="ops")
            assert client.request("POST", "/items").status == 201

    def test_a_rule_of_the_application_decides(self, service: EnhancedMaintenanceModeService) -> None:
        """The guide's way to say that a path which reads is costly all the same."""
        client = self.client(service=service)
        service.classifier.add_custom_classification(pattern=r"/items\Z", operation_type="batch_operations")
        service.enable(reason="upgrade", operations=["batch_operations"], actor="ops")

        assert client.request("GET", "/items").status == 503
        assert client.request("POST", "/api/jobs").status == 200

    @pytest.mark.parametrize("mode", [Mode.NORMAL, Mode.EMERGENCY])
    def test_admins_pass_and_others_do_not(self, service: EnhancedMaintenanceModeService, mode: Mode) -> None:
        """Administrators need the application to carry out the maintenance."""
        client = self.client(service=service, identify=Users("ann").identify)
        service.enable(reason="upgrade", mode=mode, actor="ops")

        assert client.request("POST", "/items", headers=as_user("ann")).status == 201
        assert client.request("GET", "/api/jobs", headers=as_user("ann")).status == 200
        assert client.request("GET", "/guarded", headers=as_user("ann")).body == b"guarded"
        assert client.request("POST", "/items", headers=as_user("bob")).status == 503
        assert client.request("GET", "/guarded", headers=as_user("bob")).status == 503
        assert client.request("POST", "/items").status == 503

    def test_who_is_an_admin_is_asked_for_at_each_decision(self, service: EnhancedMaintenanceModeService) -> None:
        """Someone who was an admin a minute ago must not pass on a remembered answer."""
        users = Users("ann")
        client = self.client(service=service, identify=users.identify)
        service.enable(reason="upgrade", actor="ops")
        assert client.request("POST", "/items", headers=as_user("ann")).status == 201

        users.admins.clear()
        assert client.request("POST", "/items", headers=as_user("ann")).status == 503
        users.admins.add("ann")
        assert client.request("POST", "/items", headers=as_user("ann")).status == 201

    def test_nobody_is_asked_for_without_need(self, service: EnhancedMaintenanceModeService) -> None:
        """Asking costs the application a look-up; a flood without credentials must not cause any."""
        users = Users("ann")
        client = self.client(service=service, identify=users.identify)
        client.request("POST", "/items", headers=as_user("ann"))
        service.enable(reason="upgrade", actor="ops")

        client.request("POST", "/items")
        client.request("GET", "/items", headers=as_user("ann"))
        assert users.asked == 0
        client.request("POST", "/items", headers={"Authorization": "Basic YW5uOg=="})
        client.request("POST", "/items", headers=as_user("ann"))
        assert users.asked == 2

    @pytest.mark.parametrize("nonsense", ["ann", True, {"is_admin": True}, object()])
    def test_an_answer_that_is_no_principal_counts_as_nobody(
        self, service: EnhancedMaintenanceModeService, nonsense: Any
    ) -> None:
        """A truthy answer of the wrong kind must not open what is closed."""
        client = self.client(service=service, identify=lambda _request: nonsense)
        service.enable(reason="upgrade", actor="ops")

        assert client.request("POST", "/items", headers=as_user("ann")).status == 503
        assert client.request("GET", "/guarded", headers=as_user("ann")).status == 503
        assert client.request("GET", "/items", headers=as_user("ann")).status == 200

    def test_an_identify_that_fails_counts_as_nobody(
        self, service: EnhancedMaintenanceModeService, caplog: pytest.LogCaptureFixture
    ) -> None:
        """An outage of the user database must neither open the gate nor turn the refusal into a 500."""

        def identify(_request: Any) -> Principal | None:
            raise ConnectionError("no users today")

        client = self.client(service=service, identify=identify)
        service.enable(reason="upgrade", actor="ops")

        assert client.request("POST", "/items", headers=as_user("ann")).status == 503
        assert "no users today" in caplog.text

    def test_every_decision_is_counted_once(self, service: EnhancedMaintenanceModeService) -> None:
        """Operators read from the counts whom the maintenance hits."""
        client = self.client(service=service, identify=Users("ann").identify)
        window = service.enable(reason="upgrade", actor="ops")

        for _ in range(3):
            client.request("POST", "/api/jobs")
        client.request("POST", "/api/jobs", headers=as_user("bob"))
        client.request("GET", "/guarded")
        client.request("POST", "/items", headers=as_user("ann"))
        client.request("GET", "/items")

        expected = {
            CountKey(window.id, "job_creation", Outcome.REFUSED): 3,
            CountKey(window.id, "job_creation", Outcome.REFUSED, caller=CallerKind.USER): 1,
            CountKey(window.id, "payments", Outcome.REFUSED): 1,
            CountKey(window.id, "user_data_modification", Outcome.BYPASSED): 1,
        }
        eventually(lambda: dict(service.blocked_counts()) == expected)

    def test_a_test_window_counts_what_it_would_refuse_by_path(self, service: EnhancedMaintenanceModeService) -> None:
        """That is the report for which a test window is opened."""
        client = self.client(service=service)
        window = service.enable(reason="rehearsal", mode="test", actor="ops")

        client.request("POST", "/items")
        client.request("GET", "/items")
        client.request("POST", "/api/jobs")

        expected = {
            CountKey(window.id, "user_data_modification", Outcome.WOULD_BLOCK, "/items"): 1,
            CountKey(window.id, "job_creation", Outcome.WOULD_BLOCK, "/api/jobs"): 1,
        }
        eventually(lambda: dict(service.blocked_counts()) == expected)
