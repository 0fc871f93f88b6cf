"""A before-request function for what did not come through the middleware, or was changed behind it.

Somebody may replace ``app.wsgi_app`` after ``init_app``; a WSGI middleware between the two may rewrite the method or
the path (method overriding, prefixes). Such a request gets an entry and a decision of its own, by what the view sees.
"""

from __future__ import annotations

from contextvars import Token
from typing import TYPE_CHECKING, NamedTuple

from flask import Flask, Response, after_this_request, request

from quiesce import Caller, current_caller

from .admission import Admission
from .bodies import EntryEnd
from .environs import method_of, path_of
from .responses import to_response

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class _Entry(NamedTuple):
    token: int
    reset: Token[Caller | None]


def install_second_look(app: Flask, admission: Admission) -> None:
    """Put it first among the functions that run before each request."""
    key = f"{admission.key}.second"

    def maintenance_mode_middleware() -> Response | None:
        environ = request.environ
        if _is_entered(admission, environ):
            return None
        token = admission.enter(method_of(environ), path_of(environ))
        try:
            if token < 0:
                token = -token
                decision = admission.judge(token, environ)
                if not decision.is_allowed:
                    return to_response(admission.render(decision, environ))
        except BaseException:
            admission.leave(token)
            raise
        environ[key] = _Entry(token, current_caller.set(admission.caller(environ)))
        after_this_request(end_with_response)
        return None

    def end_with_response(response: Response) -> Response:
        entry: _Entry = request.environ[key]
        if not response.direct_passthrough:  # then nobody closes the response
            response.call_on_close(EntryEnd(admission.leave, entry.token))
            request.environ[key] = entry._replace(token=0)
        return response

    def end_without_response(_error: BaseException | None) -> None:
        entry: _Entry | None = request.environ.pop(key, None)
        if entry is not None:
            current_caller.reset(entry.reset)
            admission.leave(entry.token)

    app.before_request_funcs.setdefault(None, []).insert(0, maintenance_mode_middleware)
    app.teardown_request(end_without_response)


def _is_entered(admission: Admission, environ: WSGIEnvironment) -> bool:
    token = environ.get(admission.key)
    if token is None:
        return False
    entry = admission.gate.in_flight.get(token)
    return entry is not None and entry[1] == method_of(environ) and entry[2] == path_of(environ)
