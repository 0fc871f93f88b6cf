"""Requests through the ASGI middleware: who is asked, what is in flight, where the path begins."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fastapi import BackgroundTasks, Body, FastAPI
from fastapi.responses import StreamingResponse
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request

from quiesce import Principal, current_caller
from quiesce.testing import eventually
from quiesce_fastapi import MaintenanceModeMiddleware, init_app


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """The smallest application."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


class TestEntries:
    """An entry ends when the application's await does, however that comes."""

    @pytest.mark.parametrize("mode", [None, "normal"])
    @pytest.mark.parametrize("error", [ValueError("x"), asyncio.CancelledError(), SystemExit()], ids=repr)
    def test_an_error_ends_it(self, service: Any, drive: Any, ann: Any, error: BaseException, mode: str | None) -> None:
        """Whatever is raised must come out unchanged, and leave nothing behind."""
        seen = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen.append(len(service.gate.in_flight))
            raise error

        wrapped = MaintenanceModeMiddleware(app, service=service, identify=ann)
        if mode is not None:
            service.enable(reason="upgrade", mode=mode, actor="ops")

        with pytest.raises(type(error)):
            drive.run(wrapped, drive.scope("GET", "/"))

        assert (seen, dict(service.gate.in_flight)) == ([1], {})

    @pytest.mark.parametrize("mode", [None, "normal"])
    def test_a_cancelled_request_ends_it(self, service: Any, drive: Any, ann: Any, mode: str | None) -> None:
        """Servers cancel requests at their shutdown."""
        service.start()

        async def scenario() -> int:
            entered = asyncio.Event()

            async def app(scope: Any, receive: Any, send: Any) -> None:
                entered.set()
                await asyncio.Event().wait()

            wrapped = MaintenanceModeMiddleware(app, service=service, identify=ann)
            task = asyncio.create_task(drive.send_all(wrapped, drive.scope("POST", "/", user="ann")))
            await entered.wait()
            held = len(service.gate.in_flight)
            task.cancel()
            await asyncio.wait([task])
            return held

        if mode is not None:
            service.enable(reason="upgrade", mode=mode, actor="ops")

        assert asyncio.run(scenario()) == 1
        assert not service.gate.in_flight

    def test_background_tasks_and_streams_are_inside(self, service: Any, drive: Any) -> None:
        """What runs after the response was sent still writes to the database."""
        app = FastAPI()
        counts = []

        def note() -> None:
            counts.append(len(service.gate.in_flight))

        async def pieces() -> AsyncIterator[str]:
            note()
            yield "x"

        @app.get("/task")
        def task(background: BackgroundTasks) -> None:
            background.add_task(note)

        @app.get("/stream")
        def stream() -> StreamingResponse:
            return StreamingResponse(pieces())

        init_app(app, service=service)

        assert drive(app, "GET", "/task")[0] == drive(app, "GET", "/stream")[0] == 200
        assert counts == [1, 1]
        assert not service.gate.in_flight

    def test_a_refused_request_is_not_in_flight_while_it_is_answered(self, service: Any, drive: Any) -> None:
        """A slow client must not hold up the proof by reading its refusal slowly."""
        wrapped = MaintenanceModeMiddleware(answer, service=service)
        service.enable(reason="upgrade", actor="ops")
        counts = []

        async def send(message: Any) -> None:
            counts.append(len(service.gate.in_flight))

        asyncio.run(wrapped(drive.scope("POST", "/"), None, send))  # type: ignore[arg-type] # nothing is received

        assert counts == [0, 0]


class TestIdentify:
    """The application's word on who sent a request."""

    def test_a_plain_one_runs_off_the_loop(self, service: Any, drive: Any) -> None:
        """A look-up in a database must not stop every other request."""
        threads = []

        def identify(request: Any) -> Principal:
            threads.append(threading.current_thread())
            return Principal("ann", is_admin=True)

        wrapped = MaintenanceModeMiddleware(answer, service=service, identify=identify)
        service.enable(reason="upgrade", actor="ops")

        assert drive(wrapped, "POST", "/", user="ann") == (200, b"ok")
        assert threads
        assert threading.main_thread() not in threads

    @pytest.mark.parametrize("kind", ["async function", "async method", "coroutine from a lambda"])
    def test_an_async_one_is_awaited(self, service: Any, drive: Any, kind: str) -> None:
        """Async applications have async look-ups, in whatever wrapping."""

        async def identify(request: Any) -> Principal:
            return Principal("ann", is_admin=True)

        class Users:
            async def __call__(self, request: Any) -> Principal:
                return await identify(request)

        users = Users()
        given: dict[str, Callable[[Any], Any]] = {
            "async function": identify,
            "async method": users,
            "coroutine from a lambda": lambda r: identify(request=r),
        }
        wrapped = MaintenanceModeMiddleware(answer, service=service, identify=given[kind])
        service.enable(reason="upgrade", actor="ops")

        assert drive(wrapped, "POST", "/", user="ann") == (200, b"ok")

    def test_it_cannot_eat_the_body(self, service: Any, drive: Any, caplog: pytest.LogCaptureFixture) -> None:
        """The application would wait for ever for a body that somebody else has read."""
        app = FastAPI()

        @app.post("/echo")
        def echo(text: str = Body()) -> str:
            return text

        async def identify(request: Request) -> Principal:
            if request.cookies["user"] == "greedy":
                await request.body()
            return Principal("ann", is_admin=True)

        init_app(app, service=service, identify=identify)
        service.enable(reason="upgrade", actor="ops")

        def post(user: str) -> int:
            body = [{"type": "http.request", "body": b'"hi"', "more_body": False}]
            return int(drive.run(app, drive.scope("POST", "/echo", user=user), body)[0]["status"])

        assert post("ann") == 200
        assert post("greedy") == 503
        assert "identify failed" in caplog.text

    def test_a_user_id_that_is_no_text_becomes_one(
        self, service: Any, drive: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Many applications number their users; the log of refusals wants text."""
        wrapped = MaintenanceModeMiddleware(
            answer,
            service=service,
            identify=lambda request: Principal(7),  # type: ignore[arg-type] # the mistake that the test is about
        )
        service.enable(reason="upgrade", actor="ops")

        with caplog.at_level(logging.INFO, "quiesce"):
            assert drive(wrapped, "POST", "/", user="x")[0] == 503
            eventually(lambda: 'user="7"' in caplog.text)

    @pytest.mark.parametrize("truthy", ["yes", 1])
    def test_only_true_is_an_admin(self, service: Any, drive: Any, truthy: Any) -> None:
        """``is_admin="no"`` is true to Python."""
        wrapped = MaintenanceModeMiddleware(
            answer, service=service, identify=lambda request: Principal("x", is_admin=truthy)
        )
        service.enable(reason="upgrade", actor="ops")

        assert drive(wrapped, "POST", "/", user="x")[0] == 503

    def test_a_header_of_the_application_can_be_a_credential(self, service: Any, drive: Any) -> None:
        """Programs send ``X-API-Key``; without it nobody is asked."""
        wrapped = MaintenanceModeMiddleware(
            answer,
            service=service,
            identify=lambda request: Principal(request.headers["X-API-Key"], is_admin=True),
            credential_headers=["X-API-Key"],
        )
        service.enable(reason="upgrade", actor="ops")

        assert drive(wrapped, "POST", "/", headers=[(b"x-api-key", b"k")]) == (200, b"ok")
        assert drive(wrapped, "POST", "/", headers=[(b"x-other-key", b"k")])[0] == 503

    def test_the_caller_is_known_while_the_application_runs_and_not_after(
        self, service: Any, drive: Any, ann: Any
    ) -> None:
        """The next request of the same task must not be guarded as somebody else's."""
        seen = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            caller = current_caller.get()
            assert caller is not None
            seen.append(await caller.identify_async())
            await answer(scope, receive, send)

        wrapped = MaintenanceModeMiddleware(app, service=service, identify=ann)
        service.enable(reason="upgrade", actor="ops")

        async def scenario() -> object:
            await drive.send_all(wrapped, drive.scope("GET", "/", user="bob"))
            return current_caller.get()

        assert asyncio.run(scenario()) is None
        assert seen == [Principal("bob")]


class TestPlace:
    """``init_app`` puts the gate innermost, whatever else is added, and when."""

    @pytest.mark.parametrize("place", ["first", "last"])
    def test_sessions_and_cors_are_outside(self, service: Any, drive: Any, place: str) -> None:
        """A refusal without CORS headers is a network error to the page that must show it."""
        app = FastAPI()

        @app.post("/login")
        def login(request: Request) -> None:
            request.session["user"] = "ann"

        @app.post("/items")
        def items() -> str:
            return "made"

        def identify(request: Request) -> Principal | None:
            return Principal(request.session["user"], is_admin=True) if "user" in request.session else None

        if place == "first":
            init_app(app, service=service, identify=identify)
        app.add_middleware(SessionMiddleware, secret_key="secret")
        app.add_middleware(CORSMiddleware, allow_origins=["https://shop.example"])
        if place == "last":
            init_app(app, service=service, identify=identify)

        login_answer = drive.run(app, drive.scope("POST", "/login"))
        cookie = dict(login_answer[0]["headers"])[b"set-cookie"].partition(b";")[0]
        service.enable(reason="upgrade", actor="ops")
        origin = (b"origin", b"https://shop.example")
        stranger = drive.run(app, drive.scope("POST", "/items", headers=[origin]))

        assert drive(app, "POST", "/items", headers=[(b"cookie", cookie)]) == (200, b'"made"')
        assert stranger[0]["status"] == 503
        assert dict(stranger[0]["headers"])[b"access-control-allow-origin"] == b"https://shop.example"

    def test_what_is_added_to_one_refusal_is_not_in_the_next(self, service: Any, drive: Any) -> None:
        """Refusals are rendered once and sent many times; middleware adds to the list that it is given."""
        wrapped = MaintenanceModeMiddleware(answer, service=service)
        service.enable(reason="upgrade", actor="ops")

        async def scenario() -> list[bool]:
            has_foreign_cookie = []
            for _ in range(10):
                headers = (await drive.send_all(wrapped, drive.scope("POST", "/")))[0]["headers"]
                has_foreign_cookie.append(b"set-cookie" in dict(headers))
                headers.append((b"set-cookie", b"session=of-somebody-else"))
            return has_foreign_cookie

        assert not any(asyncio.run(scenario()))

    def test_the_refusal_of_head_has_no_body(self, service: Any, drive: Any) -> None:
        """Servers take a body away themselves; middleware and test clients between need not."""
        wrapped = MaintenanceModeMiddleware(answer, service=service)
        service.enable(reason="upgrade", mode="emergency", actor="ops")

        async def scenario() -> list[Any]:
            return [await drive.send_all(wrapped, drive.scope(method, "/")) for method in ("GET", "HEAD")]

        get, head = asyncio.run(scenario())

        assert (get[0]["status"], head[0]["status"]) == (503, 503)
        assert get[1]["body"]
        assert head[1]["body"] == b""

    def test_the_whole_application_can_be_wrapped_too(self, service: Any, drive: Any) -> None:
        """Then its middleware is covered as well; the endpoints stay reachable."""
        app = FastAPI()
        init_app(app, service=service)
        wrapped = MaintenanceModeMiddleware(app, service=service)
        drive(wrapped, "GET", "/docs")
        service.enable(reason="upgrade", mode="emergency", actor="ops")

        assert drive(wrapped, "GET", "/docs")[0] == 503
        assert drive(wrapped, "GET", "/api/maintenance/status")[0] == 200


class TestPaths:
    """Rules are written for the application's own paths, wherever it is mounted."""

    @pytest.mark.parametrize(
        ("root", "path", "status"),
        [
            ("", "/api/jobs", 503),
            ("/v1", "/v1/api/jobs", 503),
            ("/v1", "/api/jobs", 503),
            ("/v1", "/v1x/api/jobs", 200),
            ("/v1", "/v1", 200),
            ("/api", "/apix/jobs", 200),
        ],
    )
    def test_the_prefix_is_taken_off(self, service: Any, drive: Any, root: str, path: str, status: int) -> None:
        """Servers before and after ASGI 3 say the prefix in two ways."""
        wrapped = MaintenanceModeMiddleware(answer, service=service)
        service.enable(reason="upgrade", actor="ops")

        assert drive(wrapped, "GET", path, root_path=root)[0] == status

    def test_a_mounted_application_is_covered_by_the_outer_one(self, service: Any, drive: Any) -> None:
        """Otherwise every mount would be a hole."""
        inner, outer = FastAPI(), FastAPI()

        @inner.post("/items")
        def items() -> str:
            return "made"

        outer.mount("/shop", inner)
        init_app(outer, service=service)

        assert drive(outer, "POST", "/shop/items")[0] == 200
        service.enable(reason="upgrade", actor="ops")
        assert drive(outer, "POST", "/shop/items")[0] == 503

    def test_a_mounted_application_can_be_covered_by_itself(self, service: Any, drive: Any) -> None:
        """Its rules then go by its own paths, and the rest is left alone."""
        inner, outer = FastAPI(), FastAPI()
        for app in (inner, outer):
            app.add_api_route("/api/jobs", lambda: "jobs", methods=["GET", "POST"])
        outer.mount("/shop", inner)
        init_app(inner, service=service)
        service.enable(reason="upgrade", actor="ops")

        assert drive(outer, "POST", "/api/jobs")[0] == 200
        assert drive(outer, "GET", "/shop/api/jobs")[0] == 503
        assert drive(outer, "GET", "/shop/api/maintenance/status")[0] == 200


def test_a_failing_identify_is_logged_with_its_traceback(
    service: Any, drive: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The operator must see why admins do not get through; the path cannot forge a line."""

    def identify(request: Any) -> Principal:
        raise LookupError("no such table")

    wrapped = MaintenanceModeMiddleware(answer, service=service, identify=identify)
    service.enable(reason="upgrade", actor="ops")

    with caplog.at_level(logging.ERROR, "quiesce"):
        assert drive(wrapped, "POST", "/a\nb", user="ann")[0] == 503

    (record,) = [record for record in caplog.records if record.name == "quiesce"]
    assert record.exc_info is not None
    assert "\n" not in record.getMessage()


class TestPasses:
    """Where a bypass pass may be in an ASGI scope."""

    @pytest.mark.parametrize(
        "carried",
        [
            [(b"x-maintenance-pass", b"PASS")],
            [(b"cookie", b"a=b"), (b"cookie", b"maintenance_pass=PASS"), (b"cookie", b"c=d")],
            [(b"x-maintenance-pass", b"\xff"), (b"cookie", b"maintenance_pass=PASS")],
        ],
        ids=["header", "cookies as HTTP/2 splits them", "both"],
    )
    def test_it_is_found_in_a_wrapped_application(self, make_service: Any, drive: Any, carried: Any) -> None:
        """HTTP/2 sends each cookie as a field of its own (RFC 9113, 8.2.3), and servers pass them on so."""
        service = make_service(secret_key="a-secret-key-of-the-tests")
        wrapped = MaintenanceModeMiddleware(answer, service=service)
        text = service.passes.issue(name="QA, Ann", actor="ops").text.encode()
        service.enable(reason="upgrade", actor="ops")
        headers = [(name, value.replace(b"PASS", text)) for name, value in carried]

        assert drive(wrapped, "POST", "/orders", headers=headers) == (200, b"ok")
        assert drive(wrapped, "POST", "/orders", headers=[*headers, (b"cookie", b"x")])[0] == 200
        assert drive(wrapped, "POST", "/orders", headers=[(name, b"PASS") for name, _ in headers])[0] == 503

    def test_a_guard_passes_on_a_thread_too(self, make_service: Any, drive: Any) -> None:
        """FastAPI runs plain views in a thread, where an ``async`` identify could not be asked at all."""
        service = make_service(secret_key="a-secret-key-of-the-tests")
        app = FastAPI()

        @app.get("/pay")
        def pay() -> str:
            with service.guard("payments"):
                return "paid"

        async def identify(request: Request) -> Principal | None:
            raise AssertionError("must not be asked")

        init_app(app, service=service, identify=identify)
        service.guard("payments")
        text = service.passes.issue(name="QA, Ann", actor="ops").text
        service.enable(reason="upgrade", operations=["payments"], actor="ops")

        headers = [(b"x-maintenance-pass", text.encode())]
        assert drive(app, "GET", "/pay", headers=headers) == (200, b'"paid"')
