"""The product's own endpoints as a Flask blueprint; every answer is JSON, errors too."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlencode

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from quiesce import LONGEST_BODY, ApiRequest, ApiResponse, MaintenanceStatusAPI

from .identifying import Identifier
from .responses import to_response

# Every method leads to the core, so that a wrong one is answered by a problem document too.
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

logger = logging.getLogger("quiesce")


def make_blueprint(api: MaintenanceStatusAPI, *, identifier: Identifier | None) -> Blueprint:
    """Return a blueprint with every endpoint, at the paths of the guide; a path has the name of its first method."""
    blueprint = Blueprint("quiesce", __name__)
    names: dict[str, str] = {}
    for route in api.routes:
        names.setdefault(route.path, route.name)
    for path, name in names.items():
        rule = path.replace("{id}", "<id>")
        blueprint.add_url_rule(rule, name, _view(api, path, identifier), methods=_METHODS)
    blueprint.register_error_handler(Exception, _answer_error)
    return blueprint


def _view(api: MaintenanceStatusAPI, path: str, identifier: Identifier | None) -> Callable[..., Response]:
    def answer(**arguments: str) -> Response:
        asked = ApiRequest(
            method=request.method,
            path=path.replace("{id}", arguments.get("id", "")),
            query={name: values[-1] for name, values in request.args.lists()},
            headers={name.lower(): value for name, value in request.headers},
            body=_read_body(),
            peer=request.remote_addr,
        )
        if identifier is not None and api.needs_principal(asked):
            asked = replace(asked, principal=identifier.identify(request.environ))
        return to_response(api.handle(asked))

    return answer


def _read_body() -> bytes:
    body = b""
    while len(body) <= LONGEST_BODY and (piece := request.stream.read(LONGEST_BODY + 1 - len(body))):
        body += piece
    if not body and request.form:  # something of the application's has parsed it before
        body = urlencode([*request.form.items(multi=True)]).encode("ascii")
    return body


def _answer_error(error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.code is not None:
        status, title, detail = error.code, error.name, error.description or ""
    else:
        logger.error("an endpoint of maintenance failed", exc_info=error)
        status, title, detail = 500, "Internal error", "This is a fault of the server; its log says more."
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    headers = (("content-type", "application/problem+json"), ("cache-control", "no-store"))
    return to_response(ApiResponse(status, headers, json.dumps(document).encode("ascii")))
