"""A Flask and a Django application, bare, and with what turns maintenance on in each."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from flask import Flask, Response, request

from quiesce import EnhancedMaintenanceModeService
from quiesce_flask import init_app

from .field import READ, WRITE, Field
from .peers import is_installed
from .wsgi import drive, status_of


def flask_field(service: EnhancedMaintenanceModeService, *, open_window: Callable[[], None]) -> Field:
    """Return Flask bare, with Quiesce, and with the flag that many write themselves."""
    guarded = make_app()
    init_app(guarded, service=service)
    flagged = make_app()
    is_open = False

    @flagged.before_request
    def look_at_the_flag() -> Response | None:
        if is_open and request.path != READ.path:
            return Response("maintenance", status=503, headers={"Retry-After": "60"})
        return None

    def open_all() -> None:
        nonlocal is_open
        open_window()
        is_open = True

    return Field(
        title="Flask",
        apps={"bare": make_app(), "Quiesce, SQLite": guarded, "a flag in before_request": flagged},
        drive=drive,
        status=status_of,
        open_window=open_all,
        budgets={},
    )


def make_app() -> Flask:
    """Return the application that all of them serve."""
    app = Flask("benchmark")
    app.add_url_rule(READ.path, "read", lambda: "ok", methods=["GET"])
    app.add_url_rule(WRITE.path, "write", lambda: "ok", methods=["POST"])
    return app


def django_field(*, folder: Path) -> Field | None:
    """Return Django bare and with django-maintenance-mode, or ``None`` when they are not installed."""
    if not is_installed("django-maintenance-mode"):
        return None
    django: Any = import_module("django")
    settings: Any = import_module("django.conf").settings
    logging.getLogger("django").addHandler(logging.NullHandler())
    sys.modules["benchmark_urls"] = urls = ModuleType("benchmark_urls")
    settings.configure(
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=["maintenance_mode"],
        LOGGING_CONFIG=None,
        MAINTENANCE_MODE_IGNORE_URLS=[READ.path],
        MAINTENANCE_MODE_RESPONSE_TYPE="json",
        MAINTENANCE_MODE_STATE_FILE_PATH=str(folder / "django-maintenance-mode"),
        MIDDLEWARE=[],
        ROOT_URLCONF="benchmark_urls",
        SECRET_KEY="benchmark",
    )
    django.setup()
    path: Any = import_module("django.urls").path
    response: Any = import_module("django.http").HttpResponse
    urls.urlpatterns = [  # type: ignore[attr-defined] # a module made here, which Django reads this from
        path(each.path.removeprefix("/"), lambda request: response("ok")) for each in (READ, WRITE)
    ]
    handler: Any = import_module("django.core.handlers.wsgi").WSGIHandler
    bare = handler()
    settings.MIDDLEWARE = ["maintenance_mode.middleware.MaintenanceModeMiddleware"]
    return Field(
        title="Django",
        apps={"bare": bare, "django-maintenance-mode, file": handler()},
        drive=drive,
        status=status_of,
        open_window=lambda: import_module("maintenance_mode.core").set_maintenance_mode(True),
        budgets={},
    )
