"""The reference of HTTP says what the endpoints and the refusal do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from quiesce import ApiRequest, EnhancedMaintenanceModeService, MaintenanceStatusAPI, Refusals, Settings

TYPES: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "text": (str,),
    "number": (int, float),
    "list of text": (list,),
    "list of objects": (list,),
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
    document = answer(service, "GET", "/api/maintenance/status")

    table = {name.strip("`"): kind for name, kind, _ in rows(section(page, "Status"))}

    assert list(table) == list(document)
    assert [name for name, kind in table.items() if not isinstance(document[name], TYPES[kind])] == []


def test_status_without_a_window_holds_the_documented_defaults(service: EnhancedMaintenanceModeService) -> None:
    """The page promises them by value."""
    values = list(answer(service, "GET", "/api/maintenance/status").values())

    assert [value for value in values if value not in (False, "normal", "", 0, [])] == []


@pytest.mark.parametrize("command", ["enable", "disable", "extend"])
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
