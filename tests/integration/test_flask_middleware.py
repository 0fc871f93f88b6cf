"""``MaintenanceModeMiddleware`` around bodies and errors of every kind that WSGI allows."""

from __future__ import annotations

import contextlib
import gc
import io
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.wrappers import Request

from quiesce import (
    EnhancedMaintenanceModeService,
    InvalidValueError,
    OperationRefusedError,
    Principal,
    Settings,
    current_caller,
)
from quiesce.plugins import PluginManager
from quiesce.testing import eventually
from quiesce_flask import MaintenanceModeMiddleware

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


@pytest.fixture
def service() -> Iterator[EnhancedMaintenanceModeService]:
    made = EnhancedMaintenanceModeService(Settings(store_url="memory://"), plugins=PluginManager())
    with contextlib.closing(made) as service:
        yield service


class Server:
    """A server that keeps to PEP 3333: headers leave with the first piece, and only until then may they change."""

    def __init__(self, app: WSGIApplication, **environ: Any) -> None:
        self.environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/items",
            "QUERY_STRING": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(b"the body"),
        } | environ
        self.status = ""
        self.sent = b""
        self._app = app

    def call(self) -> Iterable[bytes]:
        return self._app(self.environ, self._start_response)

    def serve(self) -> None:
        result = self.call()
        try:
            for piece in result:
                self.sent += piece
        finally:
            if hasattr(result, "close"):
                result.close()

    def _start_response(
        self, status: str, headers: list[tuple[str, str]], error: Any = None
    ) -> Callable[[bytes], None]:
        if error is not None and self.sent:
            raise error[1].with_traceback(error[2])
        assert error is not None or not self.status
        self.status = status
        return self._write

    def _write(self, data: bytes) -> None:
        self.sent += data


def answering(result: Any) -> WSGIApplication:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        body: Iterable[bytes] = result(environ) if callable(result) else result
        return body

    return app


def by_cookie(request: Request) -> Principal | None:
    user = request.cookies.get("user")
    return None if user is None else Principal(user_id=user, is_admin=user == "ann")


class FileWrapper:
    """A server's own wrapper, as gunicorn has it."""

    def __init__(self, filelike: io.BytesIO) -> None:
        self.filelike = filelike
        self.close = filelike.close

    def __iter__(self) -> Iterator[bytes]:
        return iter([self.filelike.read()])


def pieces(environ: WSGIEnvironment) -> Iterator[bytes]:
    yield b"a"
    yield b"b"


RESULTS = (
    pytest.param([b"ab"], id="list"),
    pytest.param((b"a", b"b"), id="tuple"),
    pytest.param([], id="nothing"),
    pytest.param(pieces, id="generator"),
    pytest.param(lambda environ: io.BytesIO(b"ab"), id="file"),
    pytest.param(lambda environ: environ["wsgi.file_wrapper"](io.BytesIO(b"ab")), id="file wrapper"),
)


@pytest.fixture(params=[False, True], ids=["nothing open", "in maintenance"])
def guarded(request: pytest.FixtureRequest, service: EnhancedMaintenanceModeService) -> EnhancedMaintenanceModeService:
    """The service, with a window that lets reads pass, and without."""
    Server(MaintenanceModeMiddleware(answering([]), service=service)).serve()
    if request.param:
        service.enable(reason="upgrade", actor="ops")
    return service


class TestBodies:
    """Every kind of body comes out as it is, and its entry ends with it."""

    @pytest.mark.parametrize("result", RESULTS)
    def test_a_body_is_in_flight_until_it_is_closed(self, guarded: EnhancedMaintenanceModeService, result: Any) -> None:
        """Neither the return of the application nor the last piece is the end: what runs on closing is part of it."""
        server = Server(MaintenanceModeMiddleware(answering(result), service=guarded, identify=by_cookie))
        server.environ |= {"wsgi.file_wrapper": FileWrapper, "HTTP_COOKIE": "user=ann"}

        body: Any = server.call()
        got = b"".join(body)
        assert len(guarded.gate.in_flight) == 1
        body.close()

        assert got == (b"" if result == [] else b"ab")
        assert not guarded.gate.in_flight

    @pytest.mark.parametrize("result", RESULTS)
    def test_a_body_that_is_never_read_ends_too(self, guarded: EnhancedMaintenanceModeService, result: Any) -> None:
        """For HEAD, and for a client that is gone, servers close without reading."""
        server = Server(MaintenanceModeMiddleware(answering(result), service=guarded), REQUEST_METHOD="HEAD")
        server.environ["wsgi.file_wrapper"] = FileWrapper

        body: Any = server.call()
        body.close()
        body.close()

        assert not guarded.gate.in_flight

    @pytest.mark.parametrize("result", RESULTS)
    def test_a_server_that_never_closes_leaves_nothing_behind(
        self, guarded: EnhancedMaintenanceModeService, result: Any
    ) -> None:
        """The last resort: when nobody holds the body any more, its request is over."""
        server = Server(MaintenanceModeMiddleware(answering(result), service=guarded))
        server.environ["wsgi.file_wrapper"] = FileWrapper

        body = server.call()
        assert len(guarded.gate.in_flight) == 1
        del body
        gc.collect()

        assert not guarded.gate.in_flight

    def test_a_list_is_still_a_list_of_that_length(self, guarded: EnhancedMaintenanceModeService) -> None:
        """Servers that find one piece send ``Content-Length`` by themselves."""
        body: Any = Server(MaintenanceModeMiddleware(answering([b"ab"]), service=guarded)).call()

        assert (len(body), bool(body)) == (1, True)

    def test_a_file_wrapper_reaches_the_server_as_it_is(self, guarded: EnhancedMaintenanceModeService) -> None:
        """Wrapped once more, it would no longer go by ``sendfile``."""
        file = io.BytesIO(b"ab")
        wrapped = FileWrapper(file)
        server = Server(MaintenanceModeMiddleware(answering(wrapped), service=guarded))
        server.environ["wsgi.file_wrapper"] = FileWrapper

        body: Any = server.call()
        body.close()

        assert body is wrapped
        assert file.closed

    def test_closing_closes_the_original_once_and_first(self, guarded: EnhancedMaintenanceModeService) -> None:
        """What an application does when its response is closed is in flight, and happens once."""
        seen = []

        class Body:
            def __iter__(self) -> Iterator[bytes]:
                return iter([b"ab"])

            def close(self) -> None:
                seen.append(len(guarded.gate.in_flight))
                raise RuntimeError("while closing")

        server = Server(MaintenanceModeMiddleware(answering(Body()), service=guarded, identify=by_cookie))
        server.environ["HTTP_COOKIE"] = "user=ann"

        with pytest.raises(RuntimeError, match="while closing"):
            server.serve()

        assert seen == [1]
        assert not guarded.gate.in_flight

    def test_a_body_left_in_the_middle_is_closed_by_the_server_alone(
        self, guarded: EnhancedMaintenanceModeService
    ) -> None:
        """An iterator that is dropped half read must not be closed a second time: its callbacks would run twice."""
        closed = []

        class Body:
            def __iter__(self) -> Iterator[bytes]:
                return self

            def __next__(self) -> bytes:
                return b"ab"

            def close(self) -> None:
                closed.append(len(guarded.gate.in_flight))

        body: Any = Server(MaintenanceModeMiddleware(answering(Body()), service=guarded)).call()
        for piece in body:
            assert piece == b"ab"
            break
        gc.collect()
        body.close()

        assert closed == [1]

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, GeneratorExit])
    def test_an_error_ends_the_entry_and_goes_on(
        self, guarded: EnhancedMaintenanceModeService, error: type[BaseException]
    ) -> None:
        """The server and its log see the application's own errors."""

        def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            raise error

        with pytest.raises(error):
            Server(MaintenanceModeMiddleware(app, service=guarded)).serve()

        assert not guarded.gate.in_flight


class TestGuards:
    """A guard that refuses is a 503 as long as that can still be sent."""

    def refusing(self, service: EnhancedMaintenanceModeService, *first: bytes) -> WSGIApplication:
        def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
            start_response("200 OK", [])
            yield from first
            with service.guard("custom_operation"):
                yield b"done"

        return app

    def test_before_the_first_byte_it_replaces_the_response(self, service: EnhancedMaintenanceModeService) -> None:
        """Even when the application had started another one."""
        service.enable(reason="upgrade", actor="ops")
        server = Server(MaintenanceModeMiddleware(self.refusing(service), service=service))

        server.serve()

        assert server.status == "503 Service Unavailable"
        assert b"custom_operation" in server.sent
        assert not service.gate.in_flight

    def test_after_the_first_byte_it_is_an_error(self, service: EnhancedMaintenanceModeService) -> None:
        """Two responses in one would be worse; the server cuts the connection."""
        service.enable(reason="upgrade", actor="ops")
        server = Server(MaintenanceModeMiddleware(self.refusing(service, b"first"), service=service))

        with pytest.raises(OperationRefusedError):
            server.serve()

        assert (server.status, server.sent) == ("200 OK", b"first")
        assert not service.gate.in_flight

    def test_an_admin_passes_it_in_a_stream_too(self, service: EnhancedMaintenanceModeService) -> None:
        """The stream is made after the application returned, and still knows who asked."""
        service.enable(reason="upgrade", actor="ops")
        app = MaintenanceModeMiddleware(self.refusing(service, b"first "), service=service, identify=by_cookie)
        server = Server(app, HTTP_COOKIE="user=ann")

        server.serve()

        assert server.sent == b"first done"

    def test_a_caller_is_known_only_while_the_request_is_served(self, service: EnhancedMaintenanceModeService) -> None:
        """A server's thread that still carried the last admin would let the next stranger pass."""
        service.enable(reason="upgrade", actor="ops")
        app = MaintenanceModeMiddleware(answering(pieces), service=service, identify=by_cookie)

        for piece in Server(app, HTTP_COOKIE="user=ann").call():
            assert (piece, current_caller.get()) == (piece, None)

        with pytest.raises(OperationRefusedError), service.guard("custom_operation"):
            pass


class TestRequests:
    """What the middleware makes of an environ."""

    def test_a_websocket_is_a_write(self, service: EnhancedMaintenanceModeService) -> None:
        """Behind the handshake anything can follow."""
        service.enable(reason="upgrade", actor="ops")
        app = MaintenanceModeMiddleware(answering([b"ab"]), service=service)
        socket, http2 = Server(app, HTTP_UPGRADE="WebSocket"), Server(app, HTTP_UPGRADE="h2c")

        socket.serve()
        http2.serve()

        assert (socket.status[:3], http2.status[:3]) == ("503", "200")

    @pytest.mark.parametrize("path", ["", None])
    def test_a_missing_path_is_the_root(self, service: EnhancedMaintenanceModeService, path: str | None) -> None:
        """PEP 3333 lets a server leave it empty, or out."""
        seen: list[tuple[float, str, str, bool]] = []

        def look(environ: WSGIEnvironment) -> list[bytes]:
            seen.extend(service.gate.in_flight.values())
            return []

        server = Server(MaintenanceModeMiddleware(answering(look), service=service), PATH_INFO=path)
        if path is None:
            del server.environ["PATH_INFO"]

        server.serve()

        assert [entry[1:3] for entry in seen] == [("GET", "/")]

    def test_a_path_is_decoded_as_the_application_does(self, service: EnhancedMaintenanceModeService) -> None:
        """An environ carries bytes as Latin-1; rules are written in Unicode."""
        service.classifier.add_custom_classification("/größe", "custom_operation")
        service.enable(reason="upgrade", actor="ops")
        server = Server(
            MaintenanceModeMiddleware(answering([]), service=service), PATH_INFO="/größe".encode().decode("latin-1")
        )

        server.serve()

        assert server.status[:3] == "503"

    def test_identify_gets_a_request_whose_body_it_cannot_eat(
        self, service: EnhancedMaintenanceModeService, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The body belongs to the application, all of it."""
        service.enable(reason="upgrade", actor="ops")

        def eats(request: Request) -> Principal | None:
            request.get_data()
            return by_cookie(request)

        app = answering(lambda environ: [environ["wsgi.input"].read()])
        polite = Server(MaintenanceModeMiddleware(app, service=service, identify=by_cookie))
        greedy = Server(MaintenanceModeMiddleware(app, service=service, identify=eats))
        for server in (polite, greedy):
            server.environ |= {"REQUEST_METHOD": "POST", "HTTP_COOKIE": "user=ann", "CONTENT_LENGTH": "8"}
            server.serve()

        assert (polite.status, polite.sent) == ("200 OK", b"the body")
        assert greedy.status[:3] == "503"
        assert "shallow" in caplog.text

    def test_the_log_says_who_was_refused(
        self, service: EnhancedMaintenanceModeService, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Support is asked "why can I not save?" by people with names."""
        caplog.set_level(logging.INFO, logger="quiesce")
        app = MaintenanceModeMiddleware(answering([]), service=service, identify=by_cookie)
        service.enable(reason="upgrade", actor="ops")

        Server(app, REQUEST_METHOD="POST", HTTP_COOKIE="user=bob").serve()
        Server(app, REQUEST_METHOD="POST").serve()

        eventually(lambda: 'endpoint="/items" user="bob"' in caplog.text)
        eventually(lambda: 'endpoint="/items" user="anonymous"' in caplog.text)

    def test_paths_may_be_exempt(self, service: EnhancedMaintenanceModeService) -> None:
        """Probes of an application that settings know nothing of."""
        app = MaintenanceModeMiddleware(answering([]), service=service, exempt_paths=["/alive"])
        service.enable(reason="upgrade", mode="emergency", actor="ops")
        exempt, other = Server(app, PATH_INFO="/alive"), Server(app, PATH_INFO="/alive2")

        exempt.serve()
        other.serve()

        assert (exempt.status[:3], other.status[:3]) == ("200", "503")

    def test_one_middleware_within_another_of_the_same_service(self, service: EnhancedMaintenanceModeService) -> None:
        """Wrapping twice by mistake costs an entry more, and breaks nothing."""
        inner = MaintenanceModeMiddleware(answering(pieces), service=service, identify=by_cookie)
        outer = MaintenanceModeMiddleware(inner, service=service, identify=by_cookie)
        service.enable(reason="upgrade", actor="ops")
        server = Server(outer, REQUEST_METHOD="POST", HTTP_COOKIE="user=ann")

        server.serve()

        assert server.sent == b"ab"
        assert not service.gate.in_flight

    def test_a_coroutine_function_cannot_identify(self, service: EnhancedMaintenanceModeService) -> None:
        """Nobody would wait for it; that is said at once."""

        async def later(request: Request) -> Principal | None:
            return None

        with pytest.raises(InvalidValueError, match="coroutine"):
            MaintenanceModeMiddleware(answering([]), service=service, identify=later)  # type: ignore[arg-type] # the mistake
