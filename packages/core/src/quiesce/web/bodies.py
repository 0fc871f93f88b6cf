"""Reading a command's JSON body: whatever is not exactly what is asked for is an error that names it."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from typing import Any, TypeAlias

from ..model import InvalidValueError
from .exchange import LONGEST_BODY, ApiRequest

NUMBER: tuple[type, ...] = (int, float)

FieldTypes: TypeAlias = Mapping[str, type | tuple[type, ...]]
"""The fields that a body may hold, and what JSON makes of their values."""


def read_body(request: ApiRequest, *, fields: FieldTypes, nullable: Container[str] = ()) -> dict[str, Any]:
    """Return the fields that the body holds; an empty body counts as ``{}``.

    Args:
        request: whose body is read.
        fields: those that it may hold.
        nullable: fields of which ``null`` is returned as ``None``; elsewhere it counts as left out.

    Raises:
        InvalidValueError: too long, no JSON object, an unknown or doubled field, or a wrong type.
    """
    if len(request.body) > LONGEST_BODY:
        raise InvalidValueError("body", f"is longer than {LONGEST_BODY} bytes")
    if not request.body.strip():
        return {}
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise InvalidValueError("body", "must be sent as application/json")
    try:
        content = json.loads(request.body, object_pairs_hook=_refuse_doubles, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        if isinstance(exc, InvalidValueError):
            raise
        raise InvalidValueError("body", "is not valid JSON") from exc
    if not isinstance(content, dict):
        raise InvalidValueError("body", "must be a JSON object")
    for name, value in content.items():
        if name not in fields:
            raise InvalidValueError(f"{name!s:.80}", f"is no known field; known are {', '.join(fields) or 'none'}")
        expected = fields[name]
        is_bool = isinstance(value, bool)
        if value is not None and (not isinstance(value, expected) or (is_bool and expected is not bool)):
            raise InvalidValueError(name, f"has the wrong type: {type(value).__name__}")
    return {name: value for name, value in content.items() if value is not None or name in nullable}


def _refuse_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidValueError("body", "holds a field twice")
    return found


def _refuse_constant(name: str) -> float:
    raise InvalidValueError("body", f"{name} is no JSON number")
