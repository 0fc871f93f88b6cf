"""The core's answers as responses of Flask."""

from __future__ import annotations

from flask import Response, current_app

from quiesce import ApiResponse


def to_response(answer: ApiResponse) -> Response:
    """Return the answer as the application's own kind of response."""
    return current_app.response_class(answer.body, status=answer.status, headers=list(answer.headers))
