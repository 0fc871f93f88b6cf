"""Notifiers over HTTP: how far each is, and trying again what failed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from quiesce import ApiRequest, DeliveryError, EnhancedMaintenanceModeService, MaintenanceStatusAPI, hookimpl
from quiesce.control.outbox_notes import read_places, write_place
from quiesce.control.outbox_rules import failed
from quiesce.plugins import PluginManager
from quiesce.testing.clock import NOON

TOKEN = "a-token-of-the-tests"
LIST, RETRY = "/api/maintenance/notifications", "/api/maintenance/notifications/retry"


class Notifier:
    """Tells nobody; what matters here is its place."""

    @hookimpl
    def notify(self) -> None:
        """Deliver."""


@pytest.fixture
def service(make_service: Any) -> EnhancedMaintenanceModeService:
    plugins = PluginManager()
    plugins.register(Notifier(), "mail")
    service: EnhancedMaintenanceModeService = make_service(plugins=plugins, admin_token=TOKEN)
    return service


def ask(
    service: EnhancedMaintenanceModeService, method: str, path: str, body: Any = None, *, token: str = TOKEN
) -> Any:
    api = MaintenanceStatusAPI(service)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    request = ApiRequest(method=method, path=path, headers=headers, body=json.dumps(body or {}).encode())
    response = api.handle(request)
    return response.status, json.loads(response.body)


def test_place_is_told_and_a_switched_off_notifier_is_switched_on(service: EnhancedMaintenanceModeService) -> None:
    """An operator without a shell mends it from the console."""
    service.enable(reason="r", actor="ann")
    service.notifications.deliver(within_seconds=5)
    place, _, body = read_places(service.store.items)["mail"]
    off = failed(place, error=DeliveryError("410", disables=True), problem="410", now=NOON, jitter=0)[0]
    write_place(service.store.items, "mail", off, expected=body)

    status, before = ask(service, "GET", LIST)
    retried, after = ask(service, "POST", RETRY, {"notifier": "mail"})

    assert (status, retried) == (200, 200)
    (notifier,) = before["notifiers"]
    assert before["enabled"] is True
    assert (notifier["name"], notifier["is_off"], notifier["problem"], notifier["waiting"]) == ("mail", True, "410", 0)
    assert (after["is_off"], after["problem"]) == (False, "")


def test_only_admins_see_and_command_notifiers(service: EnhancedMaintenanceModeService) -> None:
    """Problems name receivers."""
    for method, path in (("GET", LIST), ("POST", RETRY)):
        assert ask(service, method, path, {"notifier": "mail"}, token="a-wrong-token-of-all")[0] in (401, 403)


@pytest.mark.parametrize(("body", "status"), [({}, 400), ({"notifier": 7}, 400), ({"notifier": "x"}, 409)])
def test_retry_needs_a_notifier_that_is_known(
    body: dict[str, Any], status: int, service: EnhancedMaintenanceModeService
) -> None:
    """A misspelt name must not look as if it had helped."""
    assert ask(service, "POST", RETRY, body)[0] == status
