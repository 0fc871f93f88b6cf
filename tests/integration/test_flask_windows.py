"""Planned windows over HTTP inside Flask applications of every shape."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urljoin

import flask
import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from quiesce import EnhancedMaintenanceModeService, Settings
from quiesce_flask import init_app

WINDOWS = "/api/maintenance/windows"
TOKEN = "a-token-for-these-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def service() -> Iterator[EnhancedMaintenanceModeService]:
    service = EnhancedMaintenanceModeService(Settings(store_url="memory://", admin_token=TOKEN))
    yield service
    service.close()


@pytest.fixture
def app(service: EnhancedMaintenanceModeService) -> flask.Flask:
    app = flask.Flask("shop")
    init_app(app, service=service)
    return app


def a_plan(**fields: Any) -> dict[str, Any]:
    start = datetime.now(UTC) + timedelta(hours=1)
    return {"id": "db", "reason": "upgrade", "start": start.isoformat(), **fields}


def test_their_paths_have_names(app: flask.Flask) -> None:
    """A page of the application links to them; a path with several methods has one name."""
    with app.test_request_context():
        assert flask.url_for("quiesce.windows") == WINDOWS
        assert flask.url_for("quiesce.window", id="nightly.20310504T130000Z") == f"{WINDOWS}/nightly.20310504T130000Z"


def test_a_mounted_application_plans_windows(app: flask.Flask, service: EnhancedMaintenanceModeService) -> None:
    """Below a prefix of somebody else's, the id is still found and the location still leads there."""
    client = Client(DispatcherMiddleware(flask.Flask("outer"), {"/shop": app}))
    service.enable(reason="fire", mode="emergency", actor="ops")

    made = client.post(f"/shop{WINDOWS}", json=a_plan(), headers=BEARER)
    found = client.get(urljoin(f"/shop{WINDOWS}", made.headers["Location"]), headers=BEARER)

    assert made.status_code == 201
    assert (found.status_code, json.loads(found.data)["window"]["id"]) == (200, "db")
    assert client.get(f"/shop{WINDOWS}/x/y", headers=BEARER).status_code == 503


def test_a_page_for_every_path_does_not_hide_them(app: flask.Flask) -> None:
    """Single-page applications answer every path with the same page."""
    app.add_url_rule("/<path:path>", "page", lambda path: "page", methods=["GET", "POST"])
    client = app.test_client()

    assert client.get("/anything").data == b"page"
    assert client.post(WINDOWS, json=a_plan(), headers=BEARER).status_code == 201
    assert client.get(f"{WINDOWS}/db", headers=BEARER).mimetype == "application/json"
    assert client.get(f"{WINDOWS}/caf%C3%A9", headers=BEARER).mimetype == "application/problem+json"
