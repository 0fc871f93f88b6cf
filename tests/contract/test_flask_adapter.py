"""The adapter for Flask and WSGI keeps the contract of ``quiesce.testing``."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes
from wsgiref.validate import validator

import flask

from quiesce import EnhancedMaintenanceModeService, Principal, operation
from quiesce.testing.adapter import AdapterContract
from quiesce.testing.adapter_client import NO_HEADERS, Answer
from quiesce.testing.adapter_decisions import DecisionContract
from quiesce.testing.adapter_entries import EntryContract
from quiesce.testing.adapter_hostile import HostileContract
from quiesce.testing.adapter_passes import PassContract
from quiesce.testing.adapter_refusals import RefusalContract
from quiesce_flask import MaintenanceModeMiddleware, init_app

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

STANDARD = {"GET", "HEAD", "POST", "OPTIONS", "PATCH", "PUT", "DELETE", "TRACE"}
Identify = Callable[[Any], Principal | None]


class WSGIClient:
    """Calls an application as a server does (PEP 3333), with the standard library's validator between the two."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self._validated = validator(app)

    def request(self, method: str, path: str, *, headers: Mapping[str, str] = NO_HEADERS, body: bytes = b"") -> Answer:
        return self._converse(method, path, headers, body, most_pieces=sys.maxsize)

    def abandon(self, method: str, path: str) -> bytes:
        return self._converse(method, path, NO_HEADERS, b"", most_pieces=1).body

    def _converse(self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, most_pieces: int) -> Answer:
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, sent: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
            assert exc_info or not started
            started[:] = [(status, sent)]
            return lambda data: None

        app = self._validated if method in STANDARD else self._app
        pieces: list[bytes] = []
        try:
            result = app(_environ(method, path, headers, body), start_response)
            try:
                for piece in result:
                    pieces.append(piece)
                    if len(pieces) == most_pieces:
                        break
            finally:
                if hasattr(result, "close"):
                    result.close()
        except Exception:  # noqa: BLE001 - as a server would
            return Answer(500, {}, b"")
        status, sent = started[0]
        return Answer(int(status[:3]), {name.lower(): value for name, value in sent}, b"".join(pieces))


def _environ(method: str, path: str, headers: Mapping[str, str], body: bytes) -> WSGIEnvironment:
    path, _, query = path.partition("?")
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": method,
        "REMOTE_ADDR": "192.0.2.7",
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"] = value
    return environ


def make_app(service: EnhancedMaintenanceModeService) -> flask.Flask:
    """Build the application of the contract."""
    app = flask.Flask("contract", static_folder=None)

    def stream() -> flask.Response:
        def pieces() -> Iterator[str]:
            for _ in range(3):
                yield str(len(service.gate.in_flight))

        return flask.Response(pieces())

    def boom() -> str:
        raise RuntimeError("boom")

    def guarded() -> str:
        with service.guard("payments"):
            return "guarded"

    @operation("payments")
    def payments() -> str:
        return "paid"

    app.add_url_rule("/items", "items", lambda: "items")
    app.add_url_rule("/items", "make", lambda: ("made", 201), methods=["POST"])
    app.add_url_rule("/api/jobs", "jobs", lambda: "jobs", methods=["GET", "POST"])
    app.add_url_rule("/admin/panel", "panel", lambda: "panel", methods=["GET", "POST"])
    app.add_url_rule("/login", "login", lambda: "in", methods=["POST"])
    app.add_url_rule("/health", "health", lambda: "ok")
    app.add_url_rule("/stream", view_func=stream, methods=["GET", "POST"])
    app.add_url_rule("/boom", view_func=boom, methods=["GET", "POST"])
    app.add_url_rule("/guarded", view_func=guarded)
    app.add_url_rule("/payments", view_func=payments)
    return app


class TestFlask(AdapterContract):
    """``init_app`` on a Flask application."""

    framework = "flask"

    def client(self, *, service: EnhancedMaintenanceModeService, identify: Identify | None = None) -> WSGIClient:
        app = make_app(service)
        init_app(app, service=service, identify=identify)
        return WSGIClient(app)


class TestBehindAnotherWSGIServer(TestFlask):
    """A Flask application whose ``wsgi_app`` somebody replaced after ``init_app``: the second look alone holds."""

    def client(self, *, service: EnhancedMaintenanceModeService, identify: Identify | None = None) -> WSGIClient:
        app = make_app(service)
        original = app.wsgi_app
        init_app(app, service=service, identify=identify)
        app.wsgi_app = original  # type: ignore[method-assign] # what this is about
        return WSGIClient(app)


def make_wsgi_app(service: EnhancedMaintenanceModeService) -> WSGIApplication:
    """Build the application of the contract without any framework."""
    answers = {
        ("GET", "/items"): ("200 OK", b"items"),
        ("HEAD", "/items"): ("200 OK", b""),
        ("POST", "/items"): ("201 Created", b"made"),
        ("GET", "/api/jobs"): ("200 OK", b"jobs"),
        ("POST", "/api/jobs"): ("200 OK", b"jobs"),
        ("GET", "/admin/panel"): ("200 OK", b"panel"),
        ("POST", "/admin/panel"): ("200 OK", b"panel"),
        ("POST", "/login"): ("200 OK", b"in"),
        ("GET", "/health"): ("200 OK", b"ok"),
        ("GET", "/payments"): ("200 OK", b"paid"),
    }

    def stream() -> Iterator[bytes]:
        for _ in range(3):
            yield str(len(service.gate.in_flight)).encode()

    def guarded(start_response: StartResponse) -> Iterator[bytes]:
        with service.guard("payments"):
            start_response("200 OK", [("Content-Type", "text/plain")])
            yield b"guarded"

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        asked = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if asked[1] == "/boom":
            raise RuntimeError("boom")
        if asked == ("GET", "/guarded"):
            return guarded(start_response)
        is_stream = asked in {("GET", "/stream"), ("POST", "/stream")}
        status, body = ("200 OK", b"") if is_stream else answers.get(asked, ("404 Not Found", b""))
        start_response(status, [("Content-Type", "text/plain")])
        return stream() if is_stream else [body]

    return app


class TestAnyWSGIApplication(DecisionContract, RefusalContract, EntryContract, HostileContract, PassContract):
    """The middleware alone, around an application of no framework; it has no endpoints, and a rule marks the view."""

    framework = "wsgi"

    def client(self, *, service: EnhancedMaintenanceModeService, identify: Identify | None = None) -> WSGIClient:
        service.classifier.add_custom_classification(r"/payments\Z", "payments")
        return WSGIClient(MaintenanceModeMiddleware(make_wsgi_app(service), service=service, identify=identify))
