"""Finds the ``@operation`` of the endpoint behind a method and a path, through mounts and included routers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Match
from starlette.types import Scope

from quiesce import WEBSOCKET, OperationType, operation_of

from .documenting import DocumentedRoute


class RouteResolver:
    """Asks the application's own routes; what is added to them later counts as well."""

    def __init__(self, app: Starlette) -> None:
        self._app = app

    def __call__(self, method: str, path: str) -> str | OperationType | None:
        """Return what the endpoint is marked as; ``None`` when it is not, or when no endpoint would answer."""
        kind = "websocket" if method == WEBSOCKET else "http"
        scope = {"type": kind, "method": method, "path": path, "root_path": "", "headers": [], "path_params": {}}
        return _find(self._app.routes, scope)[1]


def mounted_applications(app: Starlette) -> Iterator[Starlette]:
    """Yield every Starlette application that is mounted below this one, each once."""
    seen = {id(app)}
    waiting = [app.routes]
    while waiting:
        for route in _flattened(waiting.pop()):
            inner = getattr(route, "app", None)
            if isinstance(inner, Starlette) and id(inner) not in seen:
                seen.add(id(inner))
                yield inner
                waiting.append(inner.routes)
            elif inner is not None and not isinstance(inner, Starlette):
                waiting.append(getattr(route, "routes", None) or [])


def _find(routes: Iterable[Any], scope: Scope) -> tuple[bool, str | OperationType | None]:
    """Return whether the first route that answers was found, and its mark."""
    for route in _flattened(routes):
        inner = getattr(route, "routes", None)
        if hasattr(route, "host_regex"):
            # The host is not known here: a mark for any host counts, and none for one says nothing about the next.
            found = _find(inner or [], scope)[1]
            if found is not None:
                return True, found
            continue
        match, child = route.matches(scope)
        if match is not Match.FULL:
            continue
        endpoint = child.get("endpoint")
        mark = None if inner is None else _find(inner, {**scope, **child})[1]
        return True, mark or operation_of(endpoint, method=scope["method"])
    return False, None


def _flattened(routes: Iterable[Any]) -> Iterator[Any]:
    """Yield the routes that match: since 0.137, FastAPI keeps an included router as one route that holds others."""
    for route in routes:
        if isinstance(route, DocumentedRoute):
            continue  # it matches nothing, and would become a whole route by being looked at
        included = getattr(route, "effective_route_contexts", None)
        if included is None:
            yield route
        else:
            for context in included():
                yield getattr(context, "starlette_route", None) or context
