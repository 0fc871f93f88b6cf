"""A request to the product's own endpoints, and its response, free of any framework."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..model import Principal

LONGEST_BODY = 64 * 1024
"""In bytes; adapters read no more than one byte beyond it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """What an adapter hands over.

    Attributes:
        method: in capitals.
        path: without the mount prefix, as in ``MaintenanceStatusAPI.routes``.
        query: the last value of each parameter.
        headers: names in lower case.
        body: at most ``LONGEST_BODY`` + 1 bytes.
        principal: who the application says it is, when ``needs_principal`` asked for that.
        peer: the address of whoever connected; ``None``: not known.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    principal: Principal | None = None
    peer: str | None = None


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """What the adapter sends; header names in lower case.

    Attributes:
        raw_headers: ``headers`` as bytes, as ASGI wants them.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    raw_headers: tuple[tuple[bytes, bytes], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        raw = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers)
        object.__setattr__(self, "raw_headers", raw)


def json_response(content: object, *, status: int = 200, media_type: str = "application/json") -> ApiResponse:
    """Return a JSON response that no cache keeps."""
    body = json.dumps(content, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    headers = (("content-type", media_type), ("cache-control", "no-store"), ("x-content-type-options", "nosniff"))
    return ApiResponse(status, headers, body)


def problem(status: int, title: str, detail: str, **members: object) -> ApiResponse:
    """Return an ``application/problem+json`` response (RFC 9457)."""
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail, **members}
    response = json_response(content, status=status, media_type="application/problem+json")
    if status == 401:
        return ApiResponse(
            status, (*response.headers, ("www-authenticate", 'Bearer realm="maintenance"')), response.body
        )
    return response
