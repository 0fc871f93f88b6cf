"""The reference of HTTP says what the endpoints and the refusal do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from quiesce import (
    Alert,
    AlertRule,
    ApiRequest,
    DeadNotice,
    EnhancedMaintenanceModeService,
    MaintenanceStatusAPI,
    Outcome,
    Refusals,
    Settings,
)
from quiesce.control.outbox_notes import write_dead, write_place
from quiesce.control.outbox_rules import Place
from quiesce.model import Acknowledgement, CountKey, WorkerInfo

TYPES: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "text": (str,),
    "number": (int, float),
    "list of text": (list,),
    "list of objects": (list,),
    "object or null": (dict, type(None)),
}
TOKEN = "a-token-of-the-tests"


@pytest.fixture(scope="session")
def page(root: Path) -> str:
    return (root / "docs/reference/http.md").read_text(encoding="utf-8")


@pytest.fixture
def service() -> Iterator[EnhancedMaintenanceModeService]:
    service = EnhancedMaintenanceModeService(Settings(store_url="memory://", admin_token=TOKEN))
    yield service
    service.close()


def section(page: str, heading: str) -> str:
    return page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of every row of a table below its head."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def answer(service: EnhancedMaintenanceModeService, method: str, path: str, body: object = None) -> dict[str, object]:
    asked = ApiRequest(
        method=method,
        path=path,
        headers={"authorization": f"Bearer {TOKEN}", "content-type": "application/json"},
        body=b"" if body is None else json.dumps(body).encode(),
    )
    document: dict[str, object] = json.loads(MaintenanceStatusAPI(service).handle(asked).body)
    return document


def test_endpoints_are_those_that_there_are(page: str, service: EnhancedMaintenanceModeService) -> None:
    """A path or a method that is wrong here costs an operator minutes in the worst hour; who may ask, more."""
    listed = {(*name.strip("`").partition("?")[0].split(" "), who) for name, who, _ in rows(page.partition("\n## ")[0])}

    routes = MaintenanceStatusAPI(service).routes
    assert listed == {(r.method, r.path, "admins" if r.needs_admin else "everyone") for r in routes}


@pytest.mark.parametrize("is_open", [False, True])
def test_status_has_the_documented_fields(page: str, service: EnhancedMaintenanceModeService, *, is_open: bool) -> None:
    """Front ends are written against this table, and their types must hold with and without a window."""
    if is_open:
        service.enable(reason="Database upgrade", duration=60, actor="test")
        service.schedule.add(reason="The next one", start=datetime.now(UTC) + timedelta(days=1), actor="test")
    document = answer(service, "GET", "/api/maintenance/status")

    table = {name.strip("`"): kind for name, kind, _ in rows(section(page, "Status"))}

    assert list(table) == list(document)
    assert [name for name, kind in table.items() if not isinstance(document[name], TYPES[kind])] == []


def test_status_without_a_window_holds_the_documented_defaults(service: EnhancedMaintenanceModeService) -> None:
    """The page promises them by value."""
    values = list(answer(service, "GET", "/api/maintenance/status").values())

    assert [value for value in values if value not in (False, "normal", "", 0, [], None)] == []


@pytest.mark.parametrize("command", ["enable", "disable", "extend", "emergency", "recover"])
def test_commands_take_the_documented_fields(page: str, service: EnhancedMaintenanceModeService, command: str) -> None:
    """The error about an unknown field lists the known ones; the page must list the same."""
    described = re.search(rf"^`{command}`: (.*?)\n\n", section(page, "Commands"), re.DOTALL | re.MULTILINE)
    assert described is not None
    outside_brackets = re.sub(r"\([^)]*\)", "", described[1])

    refused = answer(service, "POST", f"/api/maintenance/{command}", {"nonsense": 1})

    known = str(refused["detail"]).rpartition("known are ")[2].split(", ")
    assert sorted(re.findall(r"`(\w+)`", outside_brackets)) == sorted(known)


def test_commands_answer_with_the_status_and_what_changed(service: EnhancedMaintenanceModeService) -> None:
    """A script reads the window's id there."""
    status = answer(service, "GET", "/api/maintenance/status")

    changed = answer(service, "POST", "/api/maintenance/enable", {"reason": "Database upgrade"})

    assert set(changed) == {*status, "changed"}


def test_the_next_window_has_the_documented_members(page: str, service: EnhancedMaintenanceModeService) -> None:
    """Front ends announce it from these."""
    service.schedule.add(reason="The next one", start=datetime.now(UTC) + timedelta(days=1), actor="test")

    told = answer(service, "GET", "/api/maintenance/status")["next_window"]

    (meaning,) = [meaning for name, _, meaning in rows(section(page, "Status")) if name == "`next_window`"]
    assert isinstance(told, dict)
    assert re.findall(r"`(\w+)`", meaning) == list(told)


def test_a_plan_takes_the_documented_fields(page: str, service: EnhancedMaintenanceModeService) -> None:
    """An operator who plans at noon what happens at night must be able to trust this table."""
    table = [name.strip("`") for name, *_ in rows(section(page, "Planned windows"))]

    for method, path, fields in (("POST", "", table), ("PATCH", "/x", table[1:])):
        refused = answer(service, method, f"/api/maintenance/windows{path}", {"nonsense": 1})
        assert str(refused["detail"]).rpartition("known are ")[2].split(", ") == fields


def test_null_clears_the_documented_fields(page: str, service: EnhancedMaintenanceModeService) -> None:
    """And no other: a form that leaves a field empty must not move a window."""
    start = datetime.now(UTC) + timedelta(days=1)
    service.schedule.add(plan_id="x", reason="r", start=start, operations=["job_creation"], actor="test")
    before = answer(service, "GET", "/api/maintenance/windows/x")
    text = section(page, "Planned windows")
    cleared = re.findall(r"`(\w+)`", text.partition("which is ")[2].partition(";")[0])
    every = [name.strip("`") for name, *_ in rows(text)][1:]

    def change(names: list[str]) -> dict[str, object]:
        return answer(service, "PATCH", "/api/maintenance/windows/x", {**dict.fromkeys(names), "owner": "test"})

    assert change([name for name in every if name not in cleared]) == before
    assert change(cleared) != before


@pytest.mark.parametrize("kind", ["window", "schedule", "event"])
def test_what_is_planned_has_the_documented_members(
    page: str, service: EnhancedMaintenanceModeService, kind: str
) -> None:
    """Scripts read them."""
    start = datetime.now(UTC) + timedelta(days=1)
    service.schedule.add(plan_id="x", reason="r", start=start, rrule="FREQ=DAILY", timeout=60, actor="test")
    window = service.schedule.agenda().windows[0]
    path = {"window": f"windows/{window.id}", "schedule": "windows/x", "event": "events"}[kind]

    told = answer(service, "GET", f"/api/maintenance/{path}")

    found = told.get(kind) or told.get("events")
    document = found[0] if isinstance(found, list) else found
    assert isinstance(document, dict)
    described = re.search(rf"^An? {kind} has (.*?)\n\n", page, re.DOTALL | re.MULTILINE)
    assert described is not None
    outside_brackets = re.sub(r"\([^)]*\)", "", described[1])
    assert re.findall(r"`(\w+)`", outside_brackets) == list(document)


@pytest.mark.parametrize("kind", ["stats", "session"])
def test_sessions_have_the_documented_members(page: str, service: EnhancedMaintenanceModeService, kind: str) -> None:
    """Scripts read them."""
    service.store.items.put("sessions.users", {"a": b'["bob", 0]'})

    told = answer(service, "GET", "/api/maintenance/sessions")

    document = told["stats"] if kind == "stats" else told["sessions"][0]  # type: ignore[index]  # a list of them
    assert isinstance(document, dict)
    described = re.search(rf"^An? {kind} has (.*?)\n\n", page, re.DOTALL | re.MULTILINE)
    assert described is not None
    outside_brackets = re.sub(r"\([^)]*\)", "", described[1])
    assert re.findall(r"`(\w+)`", outside_brackets) == list(document)


@pytest.mark.parametrize("kind", ["notifier", "notice that was given up"])
def test_notifiers_have_the_documented_members(page: str, service: EnhancedMaintenanceModeService, kind: str) -> None:
    """A console shows them."""
    service.enable(reason="r", actor="test")
    write_place(service.store.items, "mail", Place(cursor=""), expected=None)
    event = service.store.events()[0]
    dead = DeadNotice(notifier="mail", event=event, attempts=1, problem="413", given_up_at=event.at)
    write_dead(service.store.items, [dead])

    notifiers: Any = answer(service, "GET", "/api/maintenance/notifications")["notifiers"]
    (notifier,) = [each for each in notifiers if each["name"] == "mail"]

    document = notifier if kind == "notifier" else notifier["dead"][0]
    described = re.search(rf"^A {kind} has (.*?)\n\n", page, re.DOTALL | re.MULTILINE)
    assert described is not None
    assert re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", described[1])) == list(document)


def test_alerts_have_the_documented_members(page: str, service: EnhancedMaintenanceModeService) -> None:
    """A program that pages people reads them."""
    now = datetime.now(UTC)
    alert = Alert(rule=AlertRule.BLOCK_RATE, since=now, opened_at=now)
    service.store.commit(replace(service.store.load(), revision=1, alerts=(alert,)), expected_revision=0, audit=())

    alerts: Any = answer(service, "GET", "/api/maintenance/alerts")["alerts"]

    described = re.search(r"^An alert has (.*?)\n\n", page, re.DOTALL | re.MULTILINE)
    assert described is not None
    assert re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", described[1])) == list(alerts[0])


@pytest.mark.parametrize("kind", ["heading", "report", "timeline entry", "count"])
def test_a_report_has_the_documented_members(page: str, service: EnhancedMaintenanceModeService, kind: str) -> None:
    """Whoever keeps reports reads them by these."""
    window = service.enable(reason="fire", mode="emergency", actor="test")
    service.store.register(WorkerInfo("w", "h", 1, "m", 1, "flask", datetime.now(UTC)))
    counts = {CountKey(window.id, "job_creation", Outcome.REFUSED): 1}
    service.store.report("w", Acknowledgement(1), counts=counts, batch=1)

    heading = answer(service, "GET", "/api/maintenance/reports")["reports"][0]  # type: ignore[index]  # a list of them
    report = answer(service, "GET", f"/api/maintenance/reports/{window.id}")

    text = section(page, "Reports")
    described = re.search(rf"^A {kind} has,? (.*?)(?:\n\n|\Z)", text, re.DOTALL | re.MULTILINE)
    assert described is not None
    named = re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", described[1]))
    expected = {
        "heading": list(heading),
        "report": list(report)[len(heading) :],
        "timeline entry": list(report["timeline"][0]),  # type: ignore[index]  # a list of them
        "count": list(report["counts"][0]),  # type: ignore[index]  # a list of them
    }
    assert named == expected[kind]


@pytest.mark.parametrize("kind", ["record", "verification"])
def test_the_audit_trail_has_the_documented_members(
    page: str, service: EnhancedMaintenanceModeService, kind: str
) -> None:
    """Whoever keeps the trail elsewhere reads it by these."""
    service.enable(reason="fire", actor="test")
    records = answer(service, "GET", "/api/maintenance/audit")["records"]
    verification = answer(service, "GET", "/api/maintenance/audit/verify")

    described = re.search(rf"^A {kind} has (.*?)(?:\n\n|\Z)", section(page, "Audit trail"), re.DOTALL | re.MULTILINE)
    assert described is not None
    named = re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", described[1]))
    assert named == list(records[0] if kind == "record" else verification)  # type: ignore[index]  # a list of them


def test_the_second_proof_has_the_documented_answers(page: str, service: EnhancedMaintenanceModeService) -> None:
    """A client is written against this table."""
    table = {status: members for status, _, members in status_rows(section(page, "The second proof"))}
    plain = set(answer(service, "GET", "/api/maintenance/windows/x"))
    fire = {"reason": "fire", "mode": "emergency"}

    answers = [answer(service, "POST", "/api/maintenance/enable", fire)]
    answers += [answer(service, "POST", "/api/maintenance/enable", {**fire, "proof": "wrong"}) for _ in range(6)]

    seen = {str(document["status"]): set(document) - plain for document in answers}
    assert seen.keys() | {"503"} == table.keys()
    for status, members in seen.items():
        assert members == {name for name in re.findall(r"`(\w+)`", table[status]) if name not in {"code", "token"}}


def status_rows(text: str) -> list[list[str]]:
    """The cells of every row that begins with a status."""
    lines = [line for line in text.splitlines() if re.match(r"\| \d", line)]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_emergencies_have_the_documented_members(page: str, service: EnhancedMaintenanceModeService) -> None:
    """A console shows them in the worst hour."""
    begun = answer(service, "POST", "/api/maintenance/emergency", {"reason": "breach", "proof": TOKEN})["emergency"]
    ended = answer(service, "POST", "/api/maintenance/recover", {"force": True})

    assert isinstance(begun, dict)
    documents = {"emergency": begun, "step": begun["steps"][0], "recovery": ended["recovery"]}
    for kind, document in {**documents, "check": ended["checks"][0]}.items():  # type: ignore[index]  # a list of them
        described = re.search(rf"^An? {kind} has (.*?)\n\n", page, re.DOTALL | re.MULTILINE)
        assert described is not None
        assert re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", described[1])) == list(document)


def test_refusal_has_the_documented_members(page: str, service: EnhancedMaintenanceModeService) -> None:
    """Clients show the reason and wait as long as they are told."""
    text = section(page, "The refusal")
    service.enable(reason="Database upgrade", actor="test")
    decision = service.explain("POST", "/orders")

    refusal = Refusals().render(decision, accept="*/*", now=datetime.now(UTC))

    headers = dict(refusal.headers)
    members = text.partition("document with ")[2].partition(". ")[0]
    assert re.findall(r"`(\w+)`", members) == list(json.loads(refusal.body))
    assert (refusal.status, headers["cache-control"], headers["x-maintenance-mode"]) == (503, "no-store", "normal")
    assert 60 <= int(headers["retry-after"]) <= 67
    assert all(f"`{name}" in text for name in ("Retry-After", "Cache-Control: no-store", "X-Maintenance-Mode"))
