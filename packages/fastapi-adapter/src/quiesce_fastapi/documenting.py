"""The product's own endpoints in OpenAPI: FastAPI's native routes, which say what there is and answer nothing."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from fastapi.routing import APIRoute
from starlette.datastructures import URLPath
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Scope

from quiesce import MaintenanceStatusAPI, Route

Respond: TypeAlias = Callable[[Request], Awaitable[Response]]

_making = threading.RLock()


class DocumentedRoute(APIRoute):
    """Stands in OpenAPI and answers nothing: ``OwnEndpoints`` comes before it.

    It becomes a whole route when one of its attributes is asked for: most workers are never asked for OpenAPI, and the
    models of all endpoints are two megabytes.
    """

    def __init__(self, route: Route, *, respond: Respond) -> None:
        self._outline: tuple[Route, Respond] = (route, respond)

    def __getattr__(self, name: str) -> Any:
        with _making:
            outline = vars(self).pop("_outline", None)
            if outline is not None:
                self._make(*outline)
            if name in vars(self):
                return vars(self)[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def matches(self, scope: Scope) -> tuple[Match, Scope]:  # noqa: ARG002 - Starlette's signature
        """Match nothing."""
        return Match.NONE, {}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """Find nothing, whatever the name."""
        raise NoMatchFound(name, path_params)

    def _make(self, route: Route, respond: Respond) -> None:
        from .descriptions import describe  # noqa: PLC0415 - the models, see above

        changed_by_the_application = dict(vars(self))
        super().__init__(route.path, respond, **describe(route))
        vars(self).update(changed_by_the_application)


def documented_routes(api: MaintenanceStatusAPI, *, respond: Respond) -> list[BaseRoute]:
    """Return FastAPI's own routes, which stand in OpenAPI with their models and problems; pages do not."""
    return [DocumentedRoute(route, respond=respond) for route in api.routes if not route.is_page]
