"""The smallest WSGI application, bare and with Quiesce on each store, driven as a server drives it."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from quiesce import EnhancedMaintenanceModeService
from quiesce_flask import MaintenanceModeMiddleware

from .field import Field, Request, Situation
from .harness import Run

_HEADERS = [("Content-Type", "text/plain"), ("Content-Length", "2")]


def null_app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer ``ok``."""
    start_response("200 OK", _HEADERS)
    return [b"ok"]


def field(services: Mapping[str, EnhancedMaintenanceModeService], *, open_window: Callable[[], None]) -> Field:
    """Return the contenders."""
    guarded: Mapping[str, Any] = {
        f"Quiesce, {name}": MaintenanceModeMiddleware(null_app, service=service) for name, service in services.items()
    }
    return Field(
        title="null WSGI",
        apps={"bare": null_app, **guarded},
        drive=drive,
        status=status_of,
        open_window=open_window,
        budgets={Situation.NOTHING_OPEN: 0.9, Situation.ALLOWED: 1.3, Situation.REFUSED: 3.0},
    )


def environ_of(request: Request) -> dict[str, Any]:
    """Return the environ that gunicorn makes of such a request."""
    return {
        "wsgi.errors": sys.stderr,
        "wsgi.version": (1, 0),
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.input_terminated": True,
        "SERVER_SOFTWARE": "benchmark/1.0",
        "REQUEST_METHOD": request.method,
        "QUERY_STRING": "",
        "RAW_URI": request.path,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "HTTP_ACCEPT": "*/*",
        "HTTP_USER_AGENT": "benchmark/1.0",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "50000",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "PATH_INFO": request.path,
        "SCRIPT_NAME": "",
    }


def drive(app: Any, request: Request) -> Run:
    """Return a run; each request has an environ of its own, as from a server."""
    environ = environ_of(request)

    def run(count: int) -> None:
        for _ in range(count):
            body = app(environ.copy(), _start_response)
            for _ in body:
                pass
            close = getattr(body, "close", None)
            if close is not None:
                close()

    return run


def status_of(app: Any, request: Request) -> int:
    """Send one request, return the status."""
    statuses: list[int] = []

    def start_response(status: str, headers: object, exc_info: object = None) -> None:
        statuses.append(int(status[:3]))

    body = app(environ_of(request), start_response)
    b"".join(body)
    close = getattr(body, "close", None)
    if close is not None:
        close()
    return statuses[0]


def _start_response(status: str, headers: object, exc_info: object = None) -> None:
    pass
