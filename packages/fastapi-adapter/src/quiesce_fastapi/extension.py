"""``init_app``: everything that a FastAPI or Starlette application needs, in one call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from quiesce import (
    ConflictError,
    EnhancedMaintenanceModeService,
    InvalidValueError,
    MaintenanceStatusAPI,
    OperationRefusedError,
)

from .documenting import documented_routes
from .identity import Identify, Identity
from .middleware import MaintenanceModeMiddleware, credential_fields
from .paths import path_as_routed
from .refusing import RefusalSender
from .resolving import RouteResolver, mounted_applications
from .router import OwnEndpoints
from .session_control import SessionControl


def init_app(
    app: Starlette,
    *,
    service: EnhancedMaintenanceModeService | None = None,
    identify: Identify | None = None,
    credential_headers: Iterable[str] = (),
    sessions: bool = True,
    token_cookies: Iterable[str] = (),
) -> EnhancedMaintenanceModeService:
    """Put an application under maintenance mode, and return the service, which also stands at ``app.state.quiesce``.

    The gate is the innermost middleware, whatever is added before or after: sessions and authentication have run when
    ``identify`` is asked, and the refusal goes out through CORS and compression. What other middleware does itself is
    not covered; wrap the application in ``MaintenanceModeMiddleware`` for that. No I/O and no thread before the
    server starts the application.

    Args:
        app: a FastAPI or Starlette application that has served nothing yet.
        service: ``None``: one that is configured by the environment.
        identify: takes the ``Request`` (for a WebSocket an ``HTTPConnection``), returns a ``quiesce.Principal`` or
            ``None``; plain (run in a thread) or ``async``.
        credential_headers: header fields beside ``Cookie`` and ``Authorization`` that are a credential: a request
            that would be refused and carries none is refused without asking ``identify``.
        sessions: whether windows end or suspend the sessions of everyone but admins, and let nobody else log in;
            needs ``identify``, which then must go by the request's session and token as they are at that moment.
        token_cookies: names of cookies that hold a token, as fastapi-users' ``CookieTransport`` makes them.

    Raises:
        InvalidValueError: ``app`` or ``identify`` is something else.
        ConflictError: it was called on this application before, or the application has started.
        QuiesceError: the settings or an installed plugin are wrong.
    """
    if not isinstance(app, Starlette):
        raise InvalidValueError("app", "must be FastAPI or Starlette; wrap any other in MaintenanceModeMiddleware")
    if hasattr(app.state, "quiesce"):
        raise ConflictError("init_app was called on this application before; its service is app.state.quiesce")
    if app.middleware_stack is not None:
        raise ConflictError("the application has started; call init_app before it serves anything")
    identity = None if identify is None else Identity(identify)
    fields = tuple(credential_headers)
    service = EnhancedMaintenanceModeService() if service is None else service
    service.adopt_framework("fastapi" if isinstance(app, FastAPI) else "starlette")
    service.classifier.add_resolver(RouteResolver(app))

    api = MaintenanceStatusAPI(service)
    endpoints = OwnEndpoints(api, identity=identity, credentials=credential_fields(fields))
    app.router.routes.insert(0, endpoints)  # before a route of the application that answers every path
    if isinstance(app, FastAPI):
        app.router.routes.extend(documented_routes(api, respond=endpoints.respond))
        app.openapi_schema = None

    refusals = RefusalSender()
    app.exception_handlers.setdefault(OperationRefusedError, refusals.handle)
    app.user_middleware.append(
        Middleware(
            InstalledMiddleware,
            service=service,
            identify=identify,
            credential_headers=fields,
            owner=app,
            api=api,
            refusals=refusals,
            sessions=sessions,
            token_cookies=tuple(token_cookies),
        )
    )
    app.state.quiesce = service
    return service


class InstalledMiddleware(MaintenanceModeMiddleware):
    """The gate inside an application; made when that starts, so that ``init_app`` touches no file."""

    _framework: ClassVar[str | None] = None
    _path_of = staticmethod(path_as_routed)
    _app_answers_guards: ClassVar[bool] = True

    def __init__(
        self,
        app: ASGIApp,
        *,
        service: EnhancedMaintenanceModeService,
        identify: Identify | None,
        credential_headers: Iterable[str],
        owner: Starlette,
        api: MaintenanceStatusAPI,
        refusals: RefusalSender,
        sessions: bool,
        token_cookies: Iterable[str],
    ) -> None:
        super().__init__(app, service=service, identify=identify, credential_headers=credential_headers)
        if sessions and self._identity is not None:
            self.app = SessionControl(
                app,
                service=service,
                identity=self._identity,
                refusals=refusals,
                path_of=self._path_of,
                is_own=api.serves,
                token_cookies=token_cookies,
            )
        service.gate.policy.exempt(route.path for route in api.routes)
        for inner in mounted_applications(owner):
            # It would make a 500 of a guard's refusal before that came to the gate.
            inner.exception_handlers.setdefault(OperationRefusedError, refusals.handle)
