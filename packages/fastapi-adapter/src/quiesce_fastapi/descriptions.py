"""What OpenAPI says of each of the product's own endpoints; imported when somebody asks for it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from quiesce import Route

from . import (
    alert_models,
    audit_models,
    emergency_models,
    job_models,
    models,
    notification_models,
    report_models,
    window_models,
)

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
    "sessions": models.Sessions,
    "end_sessions": models.EndedSessions,
    "windows": window_models.Agenda,
    "plan_window": window_models.Planned,
    "window": window_models.Planned,
    "change_window": window_models.Planned,
    "cancel_window": window_models.Planned,
    "jobs": job_models.Jobs,
    "stop_jobs": job_models.Stopped,
    "restore_jobs": job_models.Restored,
    "notifications": notification_models.Notifications,
    "retry_notifications": notification_models.Notifier,
    "alerts": alert_models.Alerts,
    "reports": report_models.Reports,
    "report": report_models.Report,
    "audit": audit_models.Audit,
    "verify_audit": audit_models.AuditReport,
    "begin_emergency": emergency_models.BegunEmergency,
    "emergency": emergency_models.Emergency,
    "recover": emergency_models.Recovered,
}
_BODIES: dict[str, type[BaseModel]] = {
    "enable": models.Enable,
    "disable": models.Disable,
    "extend": models.Extend,
    "end_sessions": models.EndSessions,
    "plan_window": window_models.Plan,
    "change_window": window_models.PlanChange,
    "stop_jobs": job_models.StopJobs,
    "restore_jobs": job_models.RestoreJobs,
    "retry_notifications": notification_models.RetryNotifications,
    "begin_emergency": emergency_models.BeginEmergency,
    "recover": emergency_models.Recover,
}
_QUERIES: dict[str, tuple[tuple[str, str, dict[str, object]], ...]] = {
    "message": (
        ("operation", "An operation type; left out: the message about maintenance as a whole.", {"type": "string"}),
    ),
    "quiescence": (("expect", "The least number of confirmed workers.", {"type": "integer", "minimum": 0}),),
    "sessions": (
        ("within", "Seconds to look back for the numbers.", {"type": "integer", "minimum": 1, "default": 900}),
        ("limit", "How many at most.", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
        ("skip", "How many to leave out.", {"type": "integer", "minimum": 0, "maximum": 9000, "default": 0}),
    ),
    "jobs": (("window", "Only jobs that were ended for this window.", {"type": "string"}),),
    "reports": (("limit", "How many at most.", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),),
    "audit": (
        ("after", "The number of a record; those behind it. Left out: the newest.", {"type": "integer", "minimum": 0}),
        ("limit", "How many at most.", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
    ),
    "verify_audit": (("head", "The hash of a record that must be there.", {"type": "string"}),),
    "emergency": (("window", "The emergency's id; left out: the one that began first.", {"type": "string"}),),
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
_STATUS_CODES = {"plan_window": 201, "begin_emergency": 202}
_NEEDS_PROOF = frozenset({"begin_emergency", "enable", "plan_window", "change_window"})
"""Where an emergency is opened or planned."""
_MEDIA_TYPES = {"report": "text/markdown"}
"""What an endpoint answers besides JSON."""
_PROBLEMS = {
    400: "Something asked for is not valid; `field` names it, and nothing changed.",
    401: "Not signed in, a wrong token, or a second proof is needed; `proof` says which.",
    403: "Not an administrator, a command from another origin, or a wrong second proof.",
    404: "There is no window or schedule of this id.",
    409: "A conflict with the state as it is.",
    429: "Too many wrong second proofs; `Retry-After` says until when none is looked at.",
    503: "The store does not answer.",
}


def describe(route: Route) -> dict[str, Any]:
    """Return what FastAPI's ``APIRoute`` is to be told of an endpoint, besides its path and what answers it."""
    return {
        "methods": [route.method],
        "name": f"maintenance_{route.name}",
        "status_code": _STATUS_CODES.get(route.name, 200),
        "summary": route.summary,
        "description": _ANSWERS[route.name].__doc__ or "",
        "tags": ["maintenance"],
        "response_model": _ANSWERS[route.name],
        "responses": _problems(route),
        "openapi_extra": _openapi_extra(route),
    }


def _problems(route: Route) -> dict[int | str, dict[str, Any]]:
    possible = {503}
    if route.needs_admin:
        possible |= {401, 403}
    if route.method != "GET":
        possible |= {400, 409}
    if route.name in _QUERIES:
        possible.add(400)
    if _names_one(route) or route.name == "emergency":
        possible.add(404)
    if route.name in _NEEDS_PROOF:
        possible.add(429)
    content = {"application/problem+json": {"schema": models.Problem.model_json_schema()}}
    responses: dict[int | str, dict[str, Any]] = {
        status: {"description": _PROBLEMS[status], "content": content} for status in sorted(possible)
    }
    if route.name in _MEDIA_TYPES:
        responses[200] = {"content": {_MEDIA_TYPES[route.name]: {"schema": {"type": "string"}}}}
    return responses


def _openapi_extra(route: Route) -> dict[str, Any]:
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


def _names_one(route: Route) -> bool:
    return route.path.endswith("{id}")
