"""The part of an adapter's contract that is about the product's own endpoints."""
# ruff: noqa: S101 - a contract is made of assertions

from __future__ import annotations

import json
from typing import Any

from ..control import EnhancedMaintenanceModeService
from ..web import LONGEST_BODY
from .adapter_client import ADMIN_TOKEN, AdapterBase, AdapterClient, Answer, Users, as_user, with_token
from .waiting import eventually

PUBLIC = (
    "/api/maintenance/status",
    "/api/maintenance/blocked-operations",
    "/api/maintenance/message",
    "/api/health/maintenance",
)
BAD_BODIES = (
    *(b"{", b"[]", b"\xff\xfe", b"{}", b'{"reason": 1}', b'{"reason": ""}', b'{"reason": "x", "mode": "total"}'),
    *(b'{"reason": "x", "duration": -1}', b'{"reason": "x", "duration": 1e400}', b'{"reason": "x", "duration": NaN}'),
    *(b'{"reason": "x", "surprise": 1}', b'{"reason": "x", "reason": "y"}', b'{"reason": "x\\u0000"}', b"[" * 9999),
    b'{"reason": "' + b"x" * LONGEST_BODY + b'"}',
)
SAME_ORIGIN = {"Host": "shop.example", "Origin": "http://shop.example", "Content-Type": "application/json"}


def command(client: AdapterClient, name: str, headers: dict[str, str], **fields: Any) -> Answer:
    """Send one command with these fields."""
    body = json.dumps(fields).encode()
    return client.request("POST", f"/api/maintenance/{name}", headers=headers, body=body)


class EndpointContract(AdapterBase):
    """Whatever happens to the application, maintenance can be looked at and ended."""

    def test_everyone_may_look_in_an_emergency(self, service: EnhancedMaintenanceModeService) -> None:
        """The status page and the probes are needed most when all else is closed."""
        client = self.client(service=service)
        service.enable(reason="upgrade", mode="emergency", actor="ops")

        for path in PUBLIC:
            status, headers, body = client.request("GET", path)
            assert (path, status, headers["content-type"]) == (path, 200, "application/json")
            assert headers["cache-control"] == "no-store"
            assert isinstance(json.loads(body), dict)

    def test_the_status_tells_of_the_window(self, service: EnhancedMaintenanceModeService) -> None:
        """Front ends show these fields of the guide."""
        client = self.client(service=service)
        service.enable(reason="upgrade", duration=600, actor="ops")

        status = json.loads(client.request("GET", "/api/maintenance/status?x=1").body)

        assert (status["is_active"], status["mode"], status["reason"]) == (True, "normal", "upgrade")
        assert status["estimated_duration"] == 600
        assert "job_creation" in status["blocked_operations"]

    def test_the_query_reaches_the_endpoint(self, service: EnhancedMaintenanceModeService) -> None:
        """Of a parameter that is given twice, the last value counts."""
        client = self.client(service=service)
        service.enable(reason="upgrade", actor="ops")

        answer = client.request("GET", "/api/maintenance/message?operation=read_operations&operation=payments")

        assert json.loads(answer.body)["message"] == "Payments are paused."

    def test_refusals_are_counted_for_all_to_see(self, service: EnhancedMaintenanceModeService) -> None:
        """The guide's monitoring reads ``attempt_count``."""
        client = self.client(service=service)
        service.enable(reason="upgrade", actor="ops")
        for _ in range(2):
            client.request("POST", "/api/jobs")

        def attempts() -> int:
            blocked = json.loads(client.request("GET", "/api/maintenance/blocked-operations").body)
            counts = {entry["operation_type"]: entry["attempt_count"] for entry in blocked["blocked_operations"]}
            return int(counts["job_creation"])

        eventually(lambda: attempts() == 2)

    def test_the_token_commands_a_whole_cycle(self, service: EnhancedMaintenanceModeService) -> None:
        """An operator with curl and a token needs nothing else, in an emergency either."""
        client = self.client(service=service)

        emergency = {"reason": "upgrade", "mode": "emergency", "duration": 60}
        assert command(client, "enable", with_token(), **emergency).status == 401
        assert client.request("GET", "/items").status == 200
        assert command(client, "enable", with_token(), **emergency, proof=ADMIN_TOKEN).status == 200
        assert client.request("GET", "/items").status == 503
        assert command(client, "extend", with_token(), by=60).status == 200
        assert client.request("GET", "/api/maintenance/quiescence", headers=with_token()).status == 200
        assert client.request("POST", "/api/maintenance/disable", headers=with_token()).status == 200
        assert client.request("GET", "/items").status == 200

    def test_an_admin_of_the_application_commands_from_the_same_origin(
        self, service: EnhancedMaintenanceModeService
    ) -> None:
        """A page elsewhere must not command through the browser of an admin who visits it."""
        client = self.client(service=service, identify=Users("ann").identify)
        elsewhere = {**SAME_ORIGIN, "Origin": "http://evil.example", "X-Forwarded-Host": "evil.example"}

        assert command(client, "enable", {**as_user("ann"), **elsewhere}, reason="x").status == 403
        assert command(client, "enable", {**as_user("bob"), **SAME_ORIGIN}, reason="x").status == 403
        assert command(client, "enable", SAME_ORIGIN, reason="x").status == 401
        assert not service.get_maintenance_status().is_active
        assert command(client, "enable", {**as_user("ann"), **SAME_ORIGIN}, reason="x").status == 200
        assert [window.owner for window in service.get_maintenance_status().windows] == ["user:ann"]

    def test_a_report_is_markdown_for_who_asks_for_that(self, service: EnhancedMaintenanceModeService) -> None:
        """It is what one hands in; a program gets JSON."""
        client = self.client(service=service)
        window = service.enable(reason="fire", mode="emergency", actor="ops")
        path = f"/api/maintenance/reports/{window.id}"

        assert client.request("GET", path).status == 401
        text = client.request("GET", path, headers={**with_token(), "Accept": "text/markdown"})
        document = client.request("GET", path, headers=with_token())

        assert (text.status, text.headers["content-type"]) == (200, "text/markdown; charset=utf-8")
        assert text.body.startswith(f"# Emergency window {window.id}\n".encode())
        assert (document.status, json.loads(document.body)["window_id"]) == (200, window.id)

    def test_open_alerts_are_shown_to_operators(self, service: EnhancedMaintenanceModeService) -> None:
        """They name hosts and receivers; the public sees at most that there is one."""
        client = self.client(service=service)

        assert client.request("GET", "/api/maintenance/alerts").status == 401
        answer = client.request("GET", "/api/maintenance/alerts", headers=with_token())
        assert (answer.status, json.loads(answer.body)) == (200, {"is_stale": False, "alerts": []})
        assert json.loads(client.request("GET", "/api/maintenance/status").body)["alerts"] == []

    def test_the_audit_trail_is_read_and_verified(self, service: EnhancedMaintenanceModeService) -> None:
        """An auditor has no shell on the machine."""
        client = self.client(service=service)
        service.enable(reason="upgrade", actor="ops")
        assert command(client, "disable", with_token() | {"Content-Type": "application/json"}).status == 200
        path = "/api/maintenance/audit"

        assert (client.request("GET", path).status, client.request("GET", f"{path}/verify").status) == (401, 401)
        page = json.loads(client.request("GET", f"{path}?after=0&limit=1", headers=with_token()).body)
        report = json.loads(client.request("GET", f"{path}/verify", headers=with_token()).body)

        assert [(each["number"], each["actor"]) for each in page["records"]] == [(1, "ops")]
        (ended,) = (record for record in service.audit.records() if record.action == "window.ended")
        assert ended.source.startswith("http ")
        assert (report["verdict"], report["records"]) == ("intact", service.store.load().audit.number)

    def test_a_second_proof_may_stand_in_a_header(self, service: EnhancedMaintenanceModeService) -> None:
        """Of somebody who is signed in, an emergency asks for more than the session; five wrong ones bring silence."""
        client = self.client(service=service, identify=Users("ann").identify)

        def enable(proof: str) -> Answer:
            headers = {**as_user("ann"), **SAME_ORIGIN, "X-Maintenance-Proof": proof}
            return command(client, "enable", headers, reason="fire", mode="emergency")

        assert enable("wrong").status == 403
        assert enable(ADMIN_TOKEN).status == 200
        service.disable(actor="ops")
        assert {enable("wrong").status for _ in range(5)} == {403}
        silenced = enable(ADMIN_TOKEN)
        assert (silenced.status, 0 < int(silenced.headers["retry-after"]) <= 900) == (429, True)
        assert not service.get_maintenance_status().is_active

    def test_there_is_no_way_in_by_default(self, service: EnhancedMaintenanceModeService) -> None:
        """Without ``identify`` and with a wrong token, nobody commands."""
        client = self.client(service=service)
        wrong = {**with_token(), "Authorization": "Bearer wrong-token-wrong-token"}

        assert command(client, "enable", wrong, reason="x").status == 401
        assert command(client, "enable", {**as_user("ann"), **SAME_ORIGIN}, reason="x").status == 401
        assert client.request("GET", "/api/maintenance/quiescence").status == 401
        assert not service.get_maintenance_status().is_active

    def test_a_bad_body_is_a_problem_that_changes_nothing(self, service: EnhancedMaintenanceModeService) -> None:
        """A command that is half understood is worse than one that is refused."""
        client = self.client(service=service)

        for body in BAD_BODIES:
            answer = client.request("POST", "/api/maintenance/enable", headers=with_token(), body=body)
            found = (body[:40], answer.status, answer.headers["content-type"], "field" in json.loads(answer.body))
            assert found == (body[:40], 400, "application/problem+json", True)
        assert not service.get_maintenance_status().is_active

    def test_a_conflict_says_what_is_so(self, service: EnhancedMaintenanceModeService) -> None:
        """The second of two operators must learn of the first."""
        client = self.client(service=service)
        service.enable(reason="the first one", actor="ops")

        answer = command(client, "enable", with_token(), reason="the second one")

        assert (answer.status, answer.headers["content-type"]) == (409, "application/problem+json")
        assert "the first one" in json.loads(answer.body)["detail"]

    def test_a_wrong_method_is_answered_without_html(self, service: EnhancedMaintenanceModeService) -> None:
        """A program that mistakes the method must be able to read that."""
        client = self.client(service=service)

        answer = client.request("GET", "/api/maintenance/enable")

        assert answer.status == 405
        assert "POST" in answer.headers["allow"]
        assert "json" in answer.headers["content-type"]
