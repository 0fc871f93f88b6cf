"""The part of an adapter's contract that is about plans which cannot be, and paths that come close to an endpoint."""
# ruff: noqa: S101 - a contract is made of assertions

from __future__ import annotations

import json
from typing import Any

from ..control import EnhancedMaintenanceModeService
from ..web import LONGEST_BODY
from .adapter_client import AdapterBase, Users, as_user, with_token
from .adapter_endpoints import SAME_ORIGIN
from .adapter_windows import EVENTS, WINDOWS, plan, problem, send, soon

ADMINS_ONLY = (
    *(("GET", WINDOWS), ("POST", WINDOWS), ("GET", f"{WINDOWS}/x"), ("PATCH", f"{WINDOWS}/x")),
    *(("DELETE", f"{WINDOWS}/x"), ("GET", EVENTS)),
)
BAD_PLANS: tuple[tuple[dict[str, Any], str], ...] = (
    *(({"reason": None}, "reason"), ({"start": None}, "start"), ({"surprise": 1}, "surprise")),
    *(({"reason": 5}, "reason"), ({"reason": "two\nlines"}, "reason"), ({"reason": "\u202egnp"}, "reason")),
    *(({"reason": "x" * 1001}, "reason"), ({"reason": "x" * 1_000_000}, "body"), ({"reason": "\ud800"}, "reason")),
    *(({"start": "2001-01-01T00:00Z"}, "start"), ({"start": "soon"}, "start"), ({"start": 1999999999}, "start")),
    *(({"end": "2001-01-01T00:00Z"}, "end"), ({"end": "9999-12-31T23:59Z"}, "end"), ({"timeout": 0}, "timeout")),
    *(({"timeout": 60, "end": "2001-01-01T00:00Z"}, "end"), ({"duration": 120, "timeout": 60}, "timeout")),
    *(({"zone": "Mars/Base"}, "zone"), ({"zone": "../../etc/passwd"}, "zone"), ({"zone": "UTC\0"}, "zone")),
    *(({"rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "rrule"), ({"rrule": "FREQ=SECONDLY"}, "rrule")),
    *(({"rrule": "daily"}, "rrule"), ({"rrule": "FREQ=DAILY;BYHOUR=1,2", "timeout": 7200}, "rrule")),
    *(({"id": "a b"}, "id"), ({"id": "../x"}, "id"), ({"id": "x" * 41}, "id"), ({"id": 7}, "id"), ({"id": ""}, "id")),
    *(({"mode": "total"}, "mode"), ({"duration": -1}, "duration"), ({"duration": True}, "duration")),
    *(({"operations": ["nonsense"]}, "operations"), ({"allow": "payments"}, "allow"), ({"allow": [[]]}, "allow")),
    *(({"announce": ["x"]}, "announce"), ({"announce": [None]}, "announce")),
    *(({"announce": list(range(60, 72))}, "announce"), ({"notify_users": 1}, "notify_users")),
    *(({"overlap": "yes"}, "overlap"), ({"ticket": "\x1b[2J"}, "ticket"), ({"owner": "a\nb"}, "owner")),
)
WRONG_METHODS = (
    ("DELETE", WINDOWS, "GET, HEAD, POST"),
    ("POST", f"{WINDOWS}/x", "GET, HEAD, PATCH, DELETE"),
    ("PUT", f"{WINDOWS}/x", "GET, HEAD, PATCH, DELETE"),
    ("POST", EVENTS, "GET, HEAD"),
)
NEAR = (
    *("/", "x", "//x", "/x/", "/x/y", "/..", "/.", "/.hidden", "/%2e%2e", "/%2E", "/%00", "/x%00", "/x%0a", "/x;y"),
    *("/x%2fy", "/x%5cy", "/caf%c3%a9", "/%7Bid%7D", "/" + "x" * 81, "/../../jobs", "/x/../../../jobs"),
    *("/..%2f..%2fjobs", "/x/%2e%2e/%2e%2e/%2e%2e/jobs"),
)
NOT_THE_ENDPOINT = (*(WINDOWS + path for path in NEAR), f"/x/..{WINDOWS}/x", f"/{WINDOWS}/x", f"/%2e{WINDOWS}/x")


class PlanFaultContract(AdapterBase):
    """What is not understood, not allowed or not so changes nothing, and says why."""

    def test_a_bad_plan_is_a_problem_that_changes_nothing(self, service: EnhancedMaintenanceModeService) -> None:
        """A window at the wrong time is an outage; neither planning nor changing may guess what was meant."""
        client = self.client(service=service)
        plan(client, id="there", start=soon(hours=48))
        before = service.store.load()

        for fields, field in BAD_PLANS:
            answers = [plan(client, **fields)]
            if None not in fields.values() and not fields.keys() & {"id", "rrule"}:
                answers.append(send(client, "PATCH", f"{WINDOWS}/there", **fields))
            found = (f"{fields!r:.80}", {problem(answer) for answer in answers})
            assert found == (f"{fields!r:.80}", {(400, field)})
        assert service.store.load() == before

    def test_a_body_that_is_no_plan_is_a_problem(self, service: EnhancedMaintenanceModeService) -> None:
        """Half a command is none."""
        client = self.client(service=service)
        plan(client, id="there")

        for body in (b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"{}", b"", b"[" * 9999):
            made = client.request("POST", WINDOWS, headers=with_token(), body=body)
            changed = client.request("PATCH", f"{WINDOWS}/there", headers=with_token(), body=body)
            assert (body[:9], problem(made)[0], problem(changed)[0]) == (body[:9], 400, 400)
        flood = client.request("PATCH", f"{WINDOWS}/there", headers=with_token(), body=b" " * LONGEST_BODY + b"{}")
        with_body = client.request("DELETE", f"{WINDOWS}/there", headers=with_token(), body=b'{"all": true}')

        assert (problem(flood), problem(with_body)) == ((400, "body"), (400, "all"))
        assert service.store.revision() == 1

    def test_a_conflict_changes_nothing(self, service: EnhancedMaintenanceModeService) -> None:
        """An id twice, two windows at once, and what is open already: each is said, and nothing happens."""
        client = self.client(service=service)
        plan(client, id="there")
        opened = service.enable(reason="now", mode="test", actor="ops")
        before = {window.id: (window.reason, window.ended_at) for window in service.store.load().windows}

        answers = (
            plan(client, id="there", start=soon(hours=48)),
            plan(client, id="there", start=soon(hours=48), rrule="FREQ=WEEKLY"),
            plan(client, id="other"),
            send(client, "PATCH", f"{WINDOWS}/{opened.id}", reason="later"),
            send(client, "DELETE", f"{WINDOWS}/{opened.id}"),
        )

        assert [problem(answer)[0] for answer in answers] == [409] * 5
        assert "disable" in json.loads(answers[-1].body)["detail"]
        after = {window.id: (window.reason, window.ended_at) for window in service.store.load().windows}
        assert after == before
        assert plan(client, id="other", overlap=True).status == 201

    def test_what_is_not_there_is_not_found(self, service: EnhancedMaintenanceModeService) -> None:
        """A script must be able to tell a wrong id from a wrong command."""
        client = self.client(service=service)

        answers = (
            send(client, "GET", f"{WINDOWS}/nothing.here"),
            send(client, "PATCH", f"{WINDOWS}/nothing.here", reason="x"),
            send(client, "DELETE", f"{WINDOWS}/nothing.here"),
        )

        assert [problem(answer) for answer in answers] == [(404, "")] * 3

    def test_only_admins_may(self, service: EnhancedMaintenanceModeService) -> None:
        """Plans name people and times; and who may plan may close the service."""
        client = self.client(service=service, identify=Users("ann").identify)
        elsewhere = {**SAME_ORIGIN, "Origin": "http://evil.example"}

        for method, path in ADMINS_ONLY:
            assert problem(client.request(method, path))[0] == 401
            assert problem(send(client, method, path, {**as_user("bob"), **SAME_ORIGIN}))[0] == 403
            if method != "GET":
                assert problem(send(client, method, path, {**as_user("ann"), **elsewhere}))[0] == 403
        assert service.store.revision() == 0
        ann = {**as_user("ann"), **SAME_ORIGIN}
        assert send(client, "POST", WINDOWS, ann, reason="x", start=soon(), id="hers").status == 201
        assert send(client, "PATCH", f"{WINDOWS}/hers", ann, reason="y").status == 200
        assert send(client, "DELETE", f"{WINDOWS}/hers", ann).status == 200
        assert json.loads(send(client, "GET", EVENTS, ann).body)["events"][0]["actor"] == "user:ann"

    def test_a_wrong_method_is_told_the_right_ones(self, service: EnhancedMaintenanceModeService) -> None:
        """RFC 9110 §15.5.6; a path with several methods names them all."""
        client = self.client(service=service)

        for method, path, allowed in WRONG_METHODS:
            answer = send(client, method, path)
            assert (method, path, problem(answer)[0], answer.headers["allow"]) == (method, path, 405, allowed)

    def test_no_path_beside_them_is_exempt(self, service: EnhancedMaintenanceModeService) -> None:
        """What comes close to an endpoint may be a page of the application, and is refused like one."""
        client = self.client(service=service)
        before = {path: client.request("GET", path).status for path in NOT_THE_ENDPOINT}

        service.enable(reason="fire", mode="emergency", actor="ops")

        assert {path: status for path, status in before.items() if not 300 <= status < 500} == {}
        for method in ("GET", "POST"):
            assert [path for path in NOT_THE_ENDPOINT if client.request(method, path).status != 503] == []
