"""Who may command: the admin token, or the application's own admin from the same origin. Nobody by default."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from .exchange import ApiRequest, ApiResponse, problem

TOKEN_ACTOR = "admin-token"  # noqa: S105 - a name, no secret
"""How the audit trail calls whoever commands by the admin token; every other name there begins with ``user:``."""


def carries_token(request: ApiRequest, *, admin_token: str | None) -> bool:
    """Whether the request carries the admin token (RFC 6750); another bearer token is the application's business."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and _is_token(given.strip(), admin_token)


def authorise(request: ApiRequest, *, admin_token: str | None) -> str | ApiResponse:
    """Return the name of the admin who sends this, for the audit trail, or the response that turns them away."""
    principal = request.principal
    if carries_token(request, admin_token=admin_token):
        return TOKEN_ACTOR
    if principal is None:
        return problem(
            401,
            "Not signed in",
            "Send 'Authorization: Bearer' with the token of MAINTENANCE_ADMIN_TOKEN, or sign in as an administrator.",
        )
    if not principal.is_admin:
        return problem(403, "Not allowed", "Only administrators may do this.")
    if request.method not in {"GET", "HEAD"} and not is_same_origin(request):
        return problem(
            403, "Not allowed", "A command by a signed-in administrator must come from the same origin (Origin header)."
        )
    return f"user:{principal.user_id}"


def _is_token(given: str, expected: str | None) -> bool:
    return expected is not None and hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode("utf-8"))


def is_same_origin(request: ApiRequest) -> bool:
    """Whether a browser says that our own page sent this; a request that says nothing does not pass."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:  # no page can forge it, and it holds behind a proxy that rewrites Host
        return site == "same-origin"
    origin = _origin(request)
    if origin is None:
        return False
    try:
        netloc = urlsplit(origin).netloc.rpartition("@")[2]
    except ValueError:
        return False
    host = request.headers.get("host", "")
    return bool(netloc) and netloc.lower() == host.lower()


def is_secure_origin(request: ApiRequest) -> bool:
    """Whether the browser that sent this from our own page sees ``https``, whatever proxies have made of it on the way.

    One that names no origin sent ``Sec-Fetch-Site``, which goes to trustworthy addresses only.
    """
    origin = _origin(request)
    return origin is None or not origin.lower().startswith("http:")


def _origin(request: ApiRequest) -> str | None:
    return request.headers.get("origin") or request.headers.get("referer")
