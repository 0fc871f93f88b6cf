"""PyPI's httpbin with maintenance mode put onto it, and not a line of it changed."""

from __future__ import annotations

from flask import Request
from httpbin import app

from quiesce import Principal
from quiesce_flask import init_app


def identify(request: Request) -> Principal | None:
    """Return the admin for whoever knows the password."""
    given = request.authorization
    return Principal("ann", is_admin=True) if given is not None and given.password == "open sesame" else None


init_app(app, identify=identify)
