"""The product's own endpoints in OpenAPI: FastAPI's native routes, which say what there is and answer nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from quiesce import MaintenanceStatusAPI
from quiesce import Route as ApiRoute

from . import models, window_models

_ANSWERS: dict[str, type[BaseModel]] = {
    "status": models.Status,
    "blocked_operations": models.BlockedOperations,
    "message": models.Message,
    "health": models.Health,
    "quiescence": models.Quiescence,
    "events": window_models.Events,
    "enable": models.Changed,
    "disable": models.Changed,
    "extend": models.Changed,
    "windows": window_models.Agenda,
    "plan_window": window_models.Planned,
    "window": window_models.Planned,
    "change_window": window_models.Planned,
    "cancel_window": window_models.Planned,
}
_BODIES: dict[str, type[BaseModel]] = {
    "enable": models.Enable,
    "disable": models.Disable,
    "extend": models.Extend,
    "plan_window": window_models.Plan,
    "change_window": window_models.PlanChange,
}
_QUERIES: dict[str, tuple[tuple[str, str, dict[str, object]], ...]] = {
    "message": (
        ("operation", "An operation type; left out: the message about maintenance as a whole.", {"type": "string"}),
    ),
    "quiescence": (("expect", "The least number of confirmed workers.", {"type": "integer", "minimum": 0}),),
    "events": (
        ("after", "The id of an event; only those after it are told.", {"type": "string"}),
        ("limit", "How many at most.", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
    ),
}
_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "Of a window or schedule.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,79}$"},
}
_CREATES = frozenset({"plan_window"})
_PROBLEMS = {
    400: "Something asked for is not valid; `field` names it, and nothing changed.",
    401: "Not signed in, or a wrong token.",
    403: "Not an administrator, or a command from another origin.",
    404: "There is no window or schedule of this id.",
    409: "A conflict with the state as it is.",
    503: "The store does not answer.",
}


class DocumentedRoute(APIRoute):
    """Stands in OpenAPI and answers nothing: ``OwnEndpoints`` comes before it."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:  # noqa: ARG002 - Starlette's signature
        """Match nothing."""
        return Match.NONE, {}


def documented_routes(
    api: MaintenanceStatusAPI, *, respond: Callable[[Request], Awaitable[Response]]
) -> list[BaseRoute]:
    """Return FastAPI's own routes, which stand in OpenAPI with their models and problems; pages do not."""
    router = APIRouter(route_class=DocumentedRoute)
    for route in api.routes:
        if route.is_page:
            continue
        router.add_api_route(
            route.path,
            respond,
            methods=[route.method],
            name=f"maintenance_{route.name}",
            status_code=201 if route.name in _CREATES else 200,
            summary=route.summary,
            description=_ANSWERS[route.name].__doc__ or "",
            tags=["maintenance"],
            response_model=_ANSWERS[route.name],
            responses=_problems(route),
            openapi_extra=_openapi_extra(route),
        )
    return list(router.routes)


def _problems(route: ApiRoute) -> dict[int | str, dict[str, Any]]:
    possible = {503}
    if route.needs_admin:
        possible |= {401, 403}
    if route.method != "GET":
        possible |= {400, 409}
    if route.name in _QUERIES:
        possible.add(400)
    if _names_one(route):
        possible.add(404)
    content = {"application/problem+json": {"schema": models.Problem.model_json_schema()}}
    return {status: {"description": _PROBLEMS[status], "content": content} for status in sorted(possible)}


def _openapi_extra(route: ApiRoute) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    parameters = [_ID] if _names_one(route) else []
    for name, description, schema in _QUERIES.get(route.name, ()):
        parameters.append({"name": name, "in": "query", "description": description, "schema": schema})
    if parameters:
        extra["parameters"] = parameters
    if route.name in _BODIES:
        model = _BODIES[route.name]
        extra["requestBody"] = {
            "content": {"application/json": {"schema": model.model_json_schema()}},
            "required": any(field.is_required() for field in model.model_fields.values()),
        }
    return extra


def _names_one(route: ApiRoute) -> bool:
    return route.path.endswith("{id}")
