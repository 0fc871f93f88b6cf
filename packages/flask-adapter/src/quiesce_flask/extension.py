"""``init_app``: everything that a Flask application needs, in one call."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from flask import Flask, Response, current_app, request

from quiesce import (
    EnhancedMaintenanceModeService,
    InvalidValueError,
    MaintenanceStatusAPI,
    OperationRefusedError,
)

from .blueprint import make_blueprint
from .commands import maintenance_commands
from .identifying import FlaskIdentify, in_request_context
from .middleware import MaintenanceModeMiddleware
from .resolving import view_operation_resolver
from .responses import to_response
from .second_look import install_second_look
from .sessions import install_session_control

if TYPE_CHECKING:
    from .stored_sessions import StoredSessions

_KEY = "quiesce"

logger = logging.getLogger("quiesce")


@dataclass(frozen=True, slots=True)
class MaintenanceExtension:
    """What ``app.extensions["quiesce"]`` holds."""

    service: EnhancedMaintenanceModeService
    middleware: MaintenanceModeMiddleware


class InstalledMiddleware(MaintenanceModeMiddleware):
    """The gate around a Flask application, whose requests are looked at a second time inside."""

    _marks_requests: ClassVar[bool] = True


def init_app(
    app: Flask,
    *,
    service: EnhancedMaintenanceModeService | None = None,
    identify: FlaskIdentify | None = None,
    credential_headers: Iterable[str] = (),
    sessions: bool = True,
    stored_sessions: StoredSessions | None = None,
) -> EnhancedMaintenanceModeService:
    """Put maintenance mode onto an application, and return its service.

    Installs the middleware around ``app.wsgi_app``, the endpoints, ``flask maintenance``, the 503 for
    ``service.guard``, and what logs people out and keeps them out. Reaches no store and starts nothing: a process
    registers with its first request. Call it after other extensions have wrapped ``app.wsgi_app``, so that what they
    mount is covered.

    Args:
        app: the application.
        service: whose windows hold; ``None``: one by the settings of the environment, under ``app.config``'s
            ``MAINTENANCE_…``, ``EMERGENCY_MODE_…`` and ``TEST_MODE_…`` keys.
        identify: called with the request, in a request context (``session``, ``current_user`` work), when a request
            that carries a credential would be refused; returns a ``Principal`` or ``None``. It must not read the
            body, and ``before_request`` functions have not run. ``None``: nobody passes what is closed.
        credential_headers: headers besides ``Cookie`` and ``Authorization`` by which a request may be somebody's.
        sessions: whether ``flask.session``, Flask-Login's remember-me cookies and tokens obey what a window does to
            sessions. Needs an ``identify`` that knows everybody, not only admins.
        stored_sessions: has those deleted in the background that Redis keeps and that are over.

    Raises:
        InvalidValueError: the application has maintenance mode already, or ``identify`` cannot be used or is missing.
        ConflictError: with ``stored_sessions``: the service serves requests already.
        SettingsError: settings are wrong; every fault is listed.
    """
    if _KEY in app.extensions:
        raise InvalidValueError("app", f"{app.name!r} has maintenance mode already; call init_app once")
    if stored_sessions is not None and (identify is None or not sessions):
        raise InvalidValueError("stored_sessions", "needs identify and sessions=True: log-ins have to be seen")
    if service is None:
        service = EnhancedMaintenanceModeService(app.config)
    if stored_sessions is not None:
        stored_sessions.install(service)
    api = MaintenanceStatusAPI(service)
    middleware = InstalledMiddleware(
        app.wsgi_app,
        service=service,
        identify=None if identify is None else in_request_context(app, identify),
        credential_headers=credential_headers,
        exempt_paths=[route.path for route in api.routes],
    )
    app.register_blueprint(make_blueprint(api, identifier=middleware.admission.identifier))
    service.adopt_framework("flask")
    service.classifier.add_resolver(view_operation_resolver(app))

    def answer_refusal(error: OperationRefusedError) -> Response:
        return to_response(middleware.admission.render(error.decision, request.environ))

    app.register_error_handler(OperationRefusedError, answer_refusal)
    install_second_look(app, middleware.admission)
    identifier = middleware.admission.identifier
    if sessions and identifier is not None:
        install_session_control(
            app, middleware.admission, service=service, identifier=identifier, stored=stored_sessions
        )
    elif sessions:
        logger.info("maintenance leaves sessions alone: without identify nobody can be told from an admin")
    app.cli.add_command(maintenance_commands(service))
    app.wsgi_app = middleware  # type: ignore[method-assign] # the documented way to add a WSGI middleware
    app.extensions[_KEY] = MaintenanceExtension(service, middleware)
    return service


def get_service(app: Flask | None = None) -> EnhancedMaintenanceModeService:
    """Return the service of ``app``, or of the current application.

    Raises:
        InvalidValueError: ``init_app`` was not called on it.
    """
    extension: MaintenanceExtension | None = (app or current_app).extensions.get(_KEY)
    if extension is None:
        raise InvalidValueError("app", "has no maintenance mode; call init_app first")
    return extension.service
