"""The part of an adapter's contract that is about planned windows and events over HTTP."""
# ruff: noqa: S101 - a contract is made of assertions

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urljoin

from ..control import EnhancedMaintenanceModeService
from .adapter_client import NO_HEADERS, AdapterBase, AdapterClient, Answer, with_token

WINDOWS = "/api/maintenance/windows"
EVENTS = "/api/maintenance/events"


def soon(*, hours: float = 1) -> str:
    """Return a time to come as RFC 3339."""
    return (datetime.now(UTC) + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


def send(
    client: AdapterClient, method: str, path: str, headers: Mapping[str, str] = NO_HEADERS, **fields: Any
) -> Answer:
    """Send a command by the token, or with these headers."""
    body = json.dumps(fields).encode() if fields else b""
    return client.request(method, path, headers=headers or with_token(), body=body)


def plan(client: AdapterClient, **fields: Any) -> Answer:
    """Plan a window in an hour, unless the fields say otherwise."""
    return send(client, "POST", WINDOWS, **{"reason": "upgrade", "start": soon(), **fields})


def problem(answer: Answer) -> tuple[int, str]:
    """Return the status of an error and the field that it names; it must be a problem document."""
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status, json.loads(answer.body).get("field", "")


class WindowContract(AdapterBase):
    """What an operator plans with curl is what the command line plans."""

    def test_a_window_is_planned_read_changed_and_cancelled(self, service: EnhancedMaintenanceModeService) -> None:
        """The life of a plan that never comes true."""
        client = self.client(service=service)
        start = soon()

        made = plan(
            client, id="db-upgrade", start=start, duration=600, timeout=3600, allow=["payments"], ticket="OPS-7"
        )
        where = urljoin(WINDOWS, made.headers["location"])
        shown = json.loads(send(client, "GET", where).body)["window"]
        changed = json.loads(send(client, "PATCH", where, reason="later", duration=None, start=soon(hours=2)).body)
        cancelled = send(client, "DELETE", where)

        assert (made.status, where, made.headers["cache-control"]) == (201, f"{WINDOWS}/db-upgrade", "no-store")
        assert json.loads(made.body)["window"] == shown
        assert (shown["state"], shown["starts_at"], shown["estimated_duration"]) == ("planned", start, 600)
        assert (shown["allowed_operations"], shown["ticket"], shown["owner"]) == (["payments"], "OPS-7", "admin-token")
        assert (changed["window"]["reason"], changed["window"]["estimated_duration"]) == ("later", 0)
        assert changed["window"]["starts_at"] > start
        assert (cancelled.status, json.loads(cancelled.body)["window"]["state"]) == (200, "cancelled")
        assert json.loads(send(client, "GET", where).body)["window"]["state"] == "cancelled"
        assert json.loads(send(client, "GET", WINDOWS).body) == {"windows": [], "schedules": []}
        assert problem(send(client, "DELETE", where)) == (404, "")

    def test_a_rule_makes_a_schedule_of_windows(self, service: EnhancedMaintenanceModeService) -> None:
        """Each of its windows can be reached by an id of its own, which holds a dot."""
        client = self.client(service=service)

        made = plan(client, id="nightly", rrule="FREQ=DAILY", zone="Europe/Berlin", timeout=1800)
        listed = json.loads(send(client, "GET", WINDOWS).body)
        first = listed["windows"][0]
        skipped = send(client, "DELETE", f"{WINDOWS}/{first['id']}")
        gone = send(client, "DELETE", f"{WINDOWS}/nightly")

        assert (made.status, made.headers["location"]) == (201, "windows/nightly")
        assert [schedule["id"] for schedule in listed["schedules"]] == ["nightly"]
        assert first["schedule_id"] == "nightly"
        assert json.loads(made.body)["schedule"]["next"][0] == first["starts_at"]
        assert (skipped.status, json.loads(skipped.body)["window"]["id"]) == (200, first["id"])
        assert (gone.status, json.loads(gone.body)["schedule"]["rrule"]) == (200, "FREQ=DAILY")
        assert json.loads(send(client, "GET", WINDOWS).body) == {"windows": [], "schedules": []}

    def test_the_public_learns_of_the_next_window(self, service: EnhancedMaintenanceModeService) -> None:
        """Front ends announce it; who planned it is nobody's business, and a test window is not announced."""
        client = self.client(service=service)
        start = soon(hours=3)
        plan(client, id="rehearsal", mode="test")
        plan(client, id="upgrade", start=start, owner="Ann the DBA", duration=600)

        body = client.request("GET", "/api/maintenance/status").body

        coming = json.loads(body)["next_window"]
        assert (coming["id"], coming["starts_at"], coming["estimated_duration"]) == ("upgrade", start, 600)
        assert b"Ann" not in body

    def test_events_are_told_from_where_the_reader_was(self, service: EnhancedMaintenanceModeService) -> None:
        """A program that reads in turns must miss none and see none twice."""
        client = self.client(service=service)
        plan(client, id="a")
        send(client, "PATCH", f"{WINDOWS}/a", reason="later")
        send(client, "DELETE", f"{WINDOWS}/a")

        first = json.loads(send(client, "GET", f"{EVENTS}?limit=2").body)["events"]
        rest = json.loads(send(client, "GET", f"{EVENTS}?after={first[-1]['id']}").body)["events"]

        assert [event["kind"] for event in (*first, *rest)] == ["scheduled", "changed", "cancelled"]
        assert {event["window_id"] for event in (*first, *rest)} == {"a"}
        assert problem(send(client, "GET", f"{EVENTS}?after=now")) == (400, "after")
        assert problem(send(client, "GET", f"{EVENTS}?limit=1001")) == (400, "limit")
        assert problem(send(client, "GET", f"{EVENTS}?limit=0")) == (400, "limit")

    def test_enable_takes_what_a_plan_takes(self, service: EnhancedMaintenanceModeService) -> None:
        """What passes all the same, a ticket, and a second window on purpose."""
        client = self.client(service=service)
        enable = "/api/maintenance/enable"

        answer = send(client, "POST", enable, reason="upgrade", allow=["payments"], ticket="OPS-7")
        passed = client.request("GET", "/payments")
        twice = send(client, "POST", enable, reason="again")
        meant = send(client, "POST", enable, reason="again", overlap=True)

        changed = json.loads(answer.body)["changed"][0]
        assert (changed["allowed_operations"], changed["ticket"], changed["state"]) == (["payments"], "OPS-7", "open")
        assert (passed.status, problem(twice)[0], meant.status) == (200, 409, 200)

    def test_head_is_get_without_its_body(self, service: EnhancedMaintenanceModeService) -> None:
        """Monitors probe with it."""
        client = self.client(service=service)
        plan(client, id="there")

        for path in (WINDOWS, f"{WINDOWS}/there", EVENTS):
            head, get = send(client, "HEAD", path), send(client, "GET", path)
            assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(get.body)))
        assert send(client, "HEAD", f"{WINDOWS}/nothing").status == 404

    def test_plans_can_be_made_in_an_emergency(self, service: EnhancedMaintenanceModeService) -> None:
        """These paths are exempt; without that the operator's own command would be refused."""
        client = self.client(service=service)
        service.enable(reason="fire", mode="emergency", actor="ops")

        assert plan(client, id="there").status == 201
        assert send(client, "PATCH", f"{WINDOWS}/there", reason="later").status == 200
        assert send(client, "DELETE", f"{WINDOWS}/there").status == 200
        assert send(client, "GET", EVENTS).status == 200
