"""The part of an adapter's contract that is about emergencies over HTTP."""
# ruff: noqa: S101 - a contract is made of assertions

from __future__ import annotations

import json

from ..control import EnhancedMaintenanceModeService
from .adapter_client import ADMIN_TOKEN, AdapterBase
from .adapter_windows import problem, send
from .waiting import eventually

EMERGENCY = "/api/maintenance/emergency"
RECOVER = "/api/maintenance/recover"


class EmergencyContract(AdapterBase):
    """What an operator does with curl in the worst hour is what the command line does."""

    def test_an_emergency_refuses_before_it_answers(self, service: EnhancedMaintenanceModeService) -> None:
        """Nothing that follows may come before, or hold up, the refusal; the worker then carries the steps out."""
        client = self.client(service=service)
        before = client.request("GET", "/items").status

        begun = send(client, "POST", EMERGENCY, reason="breach", ticket="OPS-7", proof=ADMIN_TOKEN)
        after = client.request("GET", "/items").status

        document = json.loads(begun.body)
        window = document["window"]
        assert (before, begun.status, after) == (200, 202, 503)
        assert (window["mode"], window["reason"], window["ticket"]) == ("emergency", "breach", "OPS-7")
        assert document["emergency"]["window_id"] == window["id"]
        steps = eventually(lambda: _settled(send(client, "GET", EMERGENCY).body), within=20)
        assert {"block", "sessions", "jobs", "websockets", "logging"} <= set(steps)
        assert send(client, "GET", f"{EMERGENCY}?window={window['id']}").status == 200

    def test_an_emergency_goes_on_until_its_checklist_is_ok(self, service: EnhancedMaintenanceModeService) -> None:
        """Nobody is to end it by a slip; and nobody is kept from ending it."""
        client = self.client(service=service)
        begun = send(client, "POST", EMERGENCY, reason="breach", proof=ADMIN_TOKEN)
        window_id = json.loads(begun.body)["window"]["id"]

        looked = send(client, "POST", RECOVER, check_only=True, threat_resolved="keys are new")
        refused = send(client, "POST", RECOVER)
        still = client.request("GET", "/items").status
        forced = send(client, "POST", RECOVER, window_id=window_id, force=True)
        after = client.request("GET", "/items").status

        lines = {line["name"]: line for line in json.loads(looked.body)["checks"]}
        assert list(lines) == ["threat_resolved", "store_healthy", "workers_confirmed", "ledger_reviewed"]
        assert lines["threat_resolved"]["kind"] == "acknowledged"
        assert lines["threat_resolved"]["is_ok"] is True
        assert problem(refused) == (409, "")
        assert json.loads(refused.body)["checks"][0] == {
            **lines["threat_resolved"],
            "is_ok": False,
            "detail": "nobody has said what was done about it",
        }
        assert (still, forced.status, after) == (503, 200, 200)
        assert json.loads(forced.body)["recovery"]["was_forced"] is True

    def test_what_is_not_an_emergency_is_said_to_be_none(self, service: EnhancedMaintenanceModeService) -> None:
        """A console asks every second, also when all is well."""
        client = self.client(service=service)
        service.enable(reason="upgrade", actor="ops")

        assert json.loads(send(client, "GET", EMERGENCY).body) == {"emergency": None}
        assert problem(send(client, "GET", f"{EMERGENCY}?window=none")) == (404, "")
        assert problem(send(client, "POST", RECOVER, force=True))[0] == 409
        assert problem(send(client, "POST", EMERGENCY)) == (400, "reason")
        assert problem(send(client, "POST", EMERGENCY, reason="r", mode="test")) == (400, "mode")
        assert problem(send(client, "POST", EMERGENCY, reason="r"))[0] == 401
        assert problem(send(client, "POST", EMERGENCY, reason="r", proof="guessed"))[0] == 403
        assert client.request("GET", "/items").status == 200
        assert client.request("POST", EMERGENCY, headers={"Content-Type": "application/json"}, body=b"{}").status == 401


def _settled(body: bytes) -> list[str]:
    """Return the names of the steps when all are done."""
    found = json.loads(body)["emergency"]
    return [step["name"] for step in found["steps"]] if found["is_settled"] else []
