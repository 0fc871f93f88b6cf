"""Sessions over HTTP: how many, whose, and ending them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from quiesce import ApiRequest, EnhancedMaintenanceModeService, MaintenanceStatusAPI, SessionDeletion

PREFIX = "/api/maintenance"
TOKEN = "a-token-of-the-tests"
HEADERS = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}


@pytest.fixture
def service(make_service: Callable[..., EnhancedMaintenanceModeService]) -> EnhancedMaintenanceModeService:
    """With three sessions in its index, noted in generation 0."""
    service = make_service(admin_token=TOKEN)
    items = service.store.items
    items.put("sessions.users", {"aa": b'["bob", 0]', "bb": b'["eve", 0]'})
    items.put("sessions.admins", {"cc": b'["root", 0]'})
    items.put("sessions.trackers", {"w": b"false"})
    return service


@pytest.fixture
def api(service: EnhancedMaintenanceModeService) -> MaintenanceStatusAPI:
    return MaintenanceStatusAPI(service)


def ask(
    api: MaintenanceStatusAPI, content: Any = None, *, path: str = "sessions", status: int = 200, **query: str
) -> Any:
    method, body = ("GET", b"") if content is None else ("POST", json.dumps(content).encode())
    request = ApiRequest(method=method, path=f"{PREFIX}/{path}", query=query, headers=HEADERS, body=body)
    answer = api.handle(request)
    document = json.loads(answer.body)
    assert answer.status == status, document
    return document


def users(document: Any) -> list[tuple[str, bool, bool]]:
    return sorted((each["user_id"], each["is_admin"], each["is_over"]) for each in document["sessions"])


def test_sessions_are_counted_and_listed_by_pages(
    api: MaintenanceStatusAPI, service: EnhancedMaintenanceModeService
) -> None:
    """An application may have a hundred thousand."""
    whole = ask(api)

    assert whole["stats"] == {"users": 2, "admins": 1, "within": 900, "is_estimate": False, "is_tracked": True}
    assert users(whole) == [("bob", False, False), ("eve", False, False), ("root", True, False)]
    service.store.items.put("sessions.admins", {"cc": None})
    assert users(ask(api, limit="1")) == [("eve", False, False)]
    assert users(ask(api, limit="1", skip="1")) == [("bob", False, False)]
    assert ask(api, within="60")["stats"]["within"] == 60


def test_sessions_of_one_user_and_of_everyone_are_ended(
    api: MaintenanceStatusAPI, service: EnhancedMaintenanceModeService
) -> None:
    """And audited, with who did it."""
    one = ask(api, {"user_id": "bob"}, path="sessions/end")
    after_one = ask(api)
    all_ = ask(api, {"all": True}, path="sessions/end")
    after_all = ask(api)

    at = "2031-05-04T12:00:00Z"
    assert one == {"ended": {"user_id": "bob", "generation": 1, "at": at}}
    assert all_ == {"ended": {"user_id": None, "generation": 2, "at": at}}
    assert users(after_one) == [("bob", False, True), ("eve", False, False), ("root", True, False)]
    assert users(after_all) == [("bob", False, True), ("eve", False, True), ("root", True, False)]
    assert (after_one["stats"]["users"], after_all["stats"]["users"]) == (1, 0)
    assert [(each.action, each.actor, each.source) for each in service.store.audit()] == [
        ("sessions.revoked", "admin-token", "http")
    ] * 2


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({}, "user_id"),
        ({"all": False}, "user_id"),
        ({"all": None}, "user_id"),
        ({"all": True, "user_id": "bob"}, "all"),
        ({"all": "yes"}, "all"),
        ({"user_id": 7}, "user_id"),
        ({"user_id": ""}, "user"),
        ({"user_id": "a\u202eb"}, "user"),
        ({"user": "bob"}, "user"),
    ],
)
def test_ending_must_be_asked_for_clearly(
    api: MaintenanceStatusAPI, service: EnhancedMaintenanceModeService, content: dict[str, object], field: str
) -> None:
    """A client that forgets the user must not log everybody out."""
    assert ask(api, content, path="sessions/end", status=400)["field"] == field
    assert service.store.revision() == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("limit", "0"), ("limit", "1001"), ("limit", "x"), ("skip", "-1"), ("skip", "9001"), ("within", "0")],
)
def test_pages_out_of_range_are_named(api: MaintenanceStatusAPI, name: str, value: str) -> None:
    """One request must not read the whole index."""
    assert ask(api, status=400, **{name: value})["field"] == name


def test_how_far_a_deletion_is_is_shown(api: MaintenanceStatusAPI, service: EnhancedMaintenanceModeService) -> None:
    """An operator who watches a million go must see that it goes on; another version may have written too."""
    assert ask(api)["deletions"] == []
    service.sessions.note_deletion(SessionDeletion(plugin="shop", generation=3, looked_at=40, deleted=7, expected=100))
    service.store.items.put("sessions.deletions", {"newer": b'{"generation": 1, "colour": "red"}', "broken": b"["})

    shown = ask(api)["deletions"]
    assert 0 <= shown[0].pop("idle") < 60
    health = str(service.sessions.health_check())
    service.sessions.note_deletion(SessionDeletion(plugin="shop", generation=3, deleted=9, is_done=True))

    assert shown == [
        {
            "plugin": "shop",
            "generation": 3,
            "user_id": None,
            "looked_at": 40,
            "deleted": 7,
            "expected": 100,
            "is_done": False,
        }
    ]
    assert "shop: everyone's below 3: 7 deleted, 40 of about 100 looked at, under way" in health
    assert "shop" not in str(service.sessions.health_check())
    assert [(each["deleted"], each["is_done"]) for each in ask(api)["deletions"]] == [(9, True)]
