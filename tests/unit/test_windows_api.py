"""Planned windows over HTTP: documents, and what each field of a command does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from quiesce.control import EnhancedMaintenanceModeService
from quiesce.model import Lease
from quiesce.testing import FakeClock
from quiesce.web import PREFIX, ApiRequest, MaintenanceStatusAPI

Service = EnhancedMaintenanceModeService
MakeService = Callable[..., Service]

TOKEN = "correct-horse-battery"
HEADERS = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
AT_ONE = "2031-05-04T13:00:00Z"
WINDOW = {
    "id": "db",
    "state": "planned",
    "starts_at": AT_ONE,
    "ends_at": "2031-05-04T15:00:00Z",
    "mode": "normal",
    "reason": "upgrade",
    "owner": "the DBAs",
    "estimated_duration": 1800,
    "operations": ["job_creation", "read_operations"],
    "allowed_operations": ["read_operations"],
    "announce": [3600, 900],
    "notify_users": False,
    "ticket": "OPS-7",
    "sessions": "suspend",
    "schedule_id": None,
    "lease": None,
}
EVERYTHING = {
    "id": "db",
    "reason": "upgrade",
    "start": AT_ONE,
    "timeout": 7200,
    "duration": 1800,
    "mode": "normal",
    "operations": ["job_creation", "READ_OPERATIONS"],
    "allow": ["read_operations"],
    "announce": [900, 3600],
    "notify_users": False,
    "ticket": "OPS-7",
    "sessions": "suspend",
    "owner": "the DBAs",
}


@pytest.fixture
def service(make_service: MakeService) -> Service:
    return make_service(admin_token=TOKEN)


@pytest.fixture
def api(service: Service) -> MaintenanceStatusAPI:
    return MaintenanceStatusAPI(service)


def ask(api: MaintenanceStatusAPI, method: str, path: str, content: Any = None, *, status: int = 200) -> Any:
    body = b"" if content is None else json.dumps(content).encode()
    request = ApiRequest(method=method, path=f"{PREFIX}/{path}", headers=HEADERS, body=body)
    answer = api.handle(request)
    document = json.loads(answer.body)
    assert answer.status == status, document
    return document


def plan(api: MaintenanceStatusAPI, *, status: int = 201, **fields: Any) -> Any:
    return ask(api, "POST", "windows", {"reason": "upgrade", "start": AT_ONE, **fields}, status=status)


# -- documents


def test_every_field_of_a_plan_is_in_its_document(api: MaintenanceStatusAPI) -> None:
    """Who reads it must see all that was asked for."""
    made = ask(api, "POST", "windows", EVERYTHING, status=201)

    assert made == {"window": WINDOW}
    assert ask(api, "GET", "windows/db") == {"window": WINDOW}
    assert ask(api, "GET", "windows") == {"windows": [WINDOW], "schedules": []}


def test_a_schedule_is_told_by_its_rule_and_its_next_starts(api: MaintenanceStatusAPI, clock: FakeClock) -> None:
    """The rule says what was meant, the starts what it comes to; local time is meant across changes of clocks."""
    asked = {**EVERYTHING, "id": "sundays", "start": "2031-05-04T15:00", "zone": "Europe/Berlin"}
    made = ask(api, "POST", "windows", {**asked, "rrule": "FREQ=WEEKLY;COUNT=3"}, status=201)

    common = {name: value for name, value in WINDOW.items() if name in made["schedule"]}
    assert made["schedule"] == {
        **common,
        "id": "sundays",
        "rrule": "FREQ=WEEKLY;COUNT=3",
        "zone": "Europe/Berlin",
        "first": "2031-05-04T15:00:00",
        "length": 7200,
        "next": [AT_ONE, "2031-05-11T13:00:00Z", "2031-05-18T13:00:00Z"],
    }
    clock.advance(3600)
    listed = ask(api, "GET", "windows")
    assert listed["schedules"][0]["next"] == ["2031-05-11T13:00:00Z", "2031-05-18T13:00:00Z"]
    assert [(window["state"], window["schedule_id"]) for window in listed["windows"]] == [
        ("open", "sundays"),
        ("planned", "sundays"),
        ("planned", "sundays"),
    ]
    assert ask(api, "GET", f"windows/{listed['windows'][0]['id']}") == {"window": listed["windows"][0]}


def test_a_windows_state_goes_by_the_clock(api: MaintenanceStatusAPI, clock: FakeClock) -> None:
    """Nobody stores it."""
    plan(api, id="kept", timeout=60)
    plan(api, id="dropped", mode="test")

    cancelled = ask(api, "DELETE", "windows/dropped")["window"]
    states = [ask(api, "GET", "windows/kept")["window"]["state"]]
    for seconds in (3600, 60):
        clock.advance(seconds)
        states.append(ask(api, "GET", "windows/kept")["window"]["state"])

    assert (cancelled["state"], cancelled["ends_at"]) == ("cancelled", "2031-05-04T12:00:00Z")
    assert states == ["planned", "open", "over"]
    assert ask(api, "GET", "windows/dropped")["window"]["state"] == "cancelled"
    assert ask(api, "GET", "windows") == {"windows": [], "schedules": []}


def test_a_lease_is_told(api: MaintenanceStatusAPI, service: Service) -> None:
    """An operator who wants to end the window must see what runs in it."""
    lease = Lease(holder="ann@db1 pid 7: alembic upgrade head", seconds=30, releases=True)
    window = service.enable(reason="upgrade", lease=lease, actor="ann")

    told = ask(api, "GET", f"windows/{window.id}")["window"]

    assert told["lease"] == {"holder": "ann@db1 pid 7: alembic upgrade head", "seconds": 30, "releases": True}
    assert (told["state"], told["ends_at"]) == ("open", "")


# -- the public's next window


def test_the_next_enforced_window_is_announced(api: MaintenanceStatusAPI, service: Service, clock: FakeClock) -> None:
    """The nearest, not the first that was planned; a test window concerns nobody."""
    assert ask(api, "GET", "status")["next_window"] is None
    plan(api, id="later", start="2031-05-05T13:00:00Z")
    plan(api, id="rehearsal", mode="test", start="2031-05-04T12:30:00Z")
    plan(api, id="db", duration=1800, timeout=3600, owner="anna")
    service.enable(reason="now", mode="emergency", actor="ops")

    status = ask(api, "GET", "status")

    assert status["next_window"] == {
        "id": "db",
        "mode": "normal",
        "reason": "upgrade",
        "starts_at": AT_ONE,
        "ends_at": "2031-05-04T14:00:00Z",
        "estimated_duration": 1800,
    }
    clock.advance(3600)
    assert ask(api, "GET", "status")["next_window"]["id"] == "later"
    clock.advance(86400)
    assert ask(api, "GET", "status")["next_window"] is None


# -- changing


def test_a_change_touches_only_what_it_names(api: MaintenanceStatusAPI) -> None:
    """The rest of the plan was agreed on."""
    ask(api, "POST", "windows", EVERYTHING, status=201)

    changed = ask(api, "PATCH", "windows/db", {"reason": "upgrade to 17", "start": "2031-05-04T14:00Z"})

    moved = {"starts_at": "2031-05-04T14:00:00Z", "ends_at": "2031-05-04T16:00:00Z"}
    assert changed == {"window": {**WINDOW, **moved, "reason": "upgrade to 17"}}


def test_null_clears_what_a_plan_can_be_without(api: MaintenanceStatusAPI) -> None:
    """There must be a way back to no estimate and to the mode's default."""
    ask(api, "POST", "windows", EVERYTHING, status=201)

    names = ("allow", "announce", "duration", "operations", "sessions", "ticket")
    changed = ask(api, "PATCH", "windows/db", dict.fromkeys(names))

    cleared = {"allowed_operations": [], "announce": [], "estimated_duration": 0, "operations": None, "ticket": ""}
    cleared["sessions"] = "revoke"
    assert changed == {"window": {**WINDOW, **cleared}}


def test_null_leaves_alone_what_a_plan_must_have(api: MaintenanceStatusAPI, service: Service) -> None:
    """A form that sends every field must not undo what it left empty."""
    ask(api, "POST", "windows", EVERYTHING, status=201)

    names = ("reason", "start", "zone", "mode", "timeout", "end", "rrule", "notify_users", "owner", "overlap")
    asked = {**dict.fromkeys(names), "ticket": "OPS-8"}

    assert ask(api, "PATCH", "windows/db", asked) == {"window": {**WINDOW, "ticket": "OPS-8"}}
    assert ask(api, "PATCH", "windows/db", dict.fromkeys(names), status=400)["field"] == "change"
    assert service.store.revision() == 2


def test_null_counts_as_left_out_of_a_new_plan(api: MaintenanceStatusAPI) -> None:
    """As in every other command."""
    names = ("id", "zone", "mode", "duration", "timeout", "end", "rrule", "operations", "allow", "announce", "ticket")

    asked = {**dict.fromkeys(names), "reason": "upgrade", "start": AT_ONE}
    made = ask(api, "POST", "windows", asked, status=201)["window"]

    assert (made["mode"], made["announce"], made["ticket"], made["ends_at"]) == ("normal", [], "", WINDOW["ends_at"])
    assert made["id"]


def test_an_estimate_longer_than_the_window_names_itself(api: MaintenanceStatusAPI) -> None:
    """The field at fault is the one that was given."""
    plan(api, id="db", timeout=3600)

    assert ask(api, "PATCH", "windows/db", {"duration": 7200}, status=400)["field"] == "duration"
    assert ask(api, "PATCH", "windows/db", {"duration": 7200, "timeout": 3600}, status=400)["field"] == "timeout"
    changed = ask(api, "PATCH", "windows/db", {"duration": 7200, "timeout": 7200})
    assert changed["window"]["ends_at"] == WINDOW["ends_at"]


def test_an_id_cannot_be_changed(api: MaintenanceStatusAPI) -> None:
    """Other programs know the window by it."""
    plan(api, id="db")

    assert ask(api, "PATCH", "windows/db", {"id": "other"}, status=400)["field"] == "id"


def test_a_schedule_stays_one(api: MaintenanceStatusAPI) -> None:
    """A rule taken away would leave nobody knows which window."""
    plan(api, id="once")
    plan(api, id="nightly", rrule="FREQ=DAILY", timeout=60, overlap=True)

    assert ask(api, "PATCH", "windows/once", {"rrule": "FREQ=DAILY"}, status=400)["field"] == "rrule"
    assert ask(api, "PATCH", "windows/nightly", {"rrule": ""}, status=400)["field"] == "rrule"
    changed = ask(api, "PATCH", "windows/nightly", {"rrule": "FREQ=WEEKLY", "overlap": True})
    assert changed["schedule"]["next"][1] == "2031-05-11T13:00:00Z"


def test_what_is_over_is_not_found_to_be_changed(api: MaintenanceStatusAPI, clock: FakeClock) -> None:
    """It can still be read."""
    plan(api, id="db", timeout=60)
    clock.advance(7200)

    ask(api, "PATCH", "windows/db", {"reason": "x"}, status=404)
    ask(api, "DELETE", "windows/db", status=404)
    assert ask(api, "GET", "windows/db")["window"]["state"] == "over"


def test_the_trail_names_who_asked_not_whose_it_is(api: MaintenanceStatusAPI, service: Service) -> None:
    """An owner may be anybody's name; the actor is who was signed in."""
    plan(api, id="db", owner="somebody else")
    ask(api, "PATCH", "windows/db", {"owner": "another"})
    ask(api, "DELETE", "windows/db")

    assert [(record.actor, record.source) for record in service.store.audit()] == [("admin-token", "http")] * 3


def test_a_local_time_is_meant_in_its_zone(api: MaintenanceStatusAPI, service: Service) -> None:
    """Two o'clock at night is where the people are; one that the clocks skip is no time."""
    made = plan(api, start="2031-05-05T02:00", end="2031-05-05T04:00", zone="America/New_York")["window"]

    assert (made["starts_at"], made["ends_at"]) == ("2031-05-05T06:00:00Z", "2031-05-05T08:00:00Z")
    skipped = plan(api, start="2032-03-28T02:30", zone="Europe/Berlin", status=400)
    assert skipped["field"] == "start"
    assert len(service.schedule.agenda().windows) == 1
