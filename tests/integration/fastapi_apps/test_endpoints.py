"""The product's own endpoints inside an application, and their place in OpenAPI."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.routing import Mount, NoMatchFound

from quiesce import ConflictError, InvalidValueError, MaintenanceStatusAPI
from quiesce.model import (
    Alert,
    AlertRule,
    CallerKind,
    CheckKind,
    EmergencyProgress,
    EmergencyRecovery,
    EmergencyStep,
    IncidentReport,
    JobFate,
    JobRecord,
    Outcome,
    RecoveryCheck,
    ReportCount,
    ReportEntry,
    ReportHeading,
    SessionPolicy,
    StepStatus,
    WorkerInfo,
)
from quiesce.web.report_documents import report_document
from quiesce_fastapi import alert_models, emergency_models, init_app, models, report_models, window_models

ANSWERS: dict[str, type[BaseModel]] = {
    "/api/maintenance/status": models.Status,
    "/api/maintenance/blocked-operations": models.BlockedOperations,
    "/api/maintenance/message": models.Message,
    "/api/maintenance/message?operation=payments": models.Message,
    "/api/health/maintenance": models.Health,
    "/api/maintenance/quiescence": models.Quiescence,
    "/api/maintenance/events": window_models.Events,
    "/api/maintenance/alerts": alert_models.Alerts,
    "/api/maintenance/emergency": emergency_models.Emergency,
    "/api/maintenance/windows": window_models.Agenda,
    "/api/maintenance/windows/nightly": window_models.Planned,
    "/api/maintenance/windows/once": window_models.Planned,
    "/api/maintenance/reports": report_models.Reports,
    "/api/maintenance/reports/once": report_models.Report,
}
TOKEN = "a-token-for-these-tests"
BEARER = (b"authorization", f"Bearer {TOKEN}".encode())


def assert_same(model: type[BaseModel], document: dict[str, Any]) -> None:
    """The document has the model's fields and types, no more and no fewer."""
    model.model_validate(document, strict=True)
    optional = {name for name, field in model.model_fields.items() if not field.is_required()}
    assert set(model.model_fields) - optional <= set(document) <= set(model.model_fields)


class TestModels:
    """OpenAPI must not promise what the API does not send."""

    @pytest.mark.parametrize("target", ANSWERS)
    @pytest.mark.parametrize("mode", [None, "normal", "emergency", "test"])
    def test_an_answer_is_what_its_model_says(
        self, make_service: Any, drive: Any, target: str, mode: str | None
    ) -> None:
        """With and without a window, with a request in flight, a plan, a schedule and an open alert."""
        service = make_service(admin_token=TOKEN)
        soon = datetime.now(UTC) + timedelta(hours=1)
        service.schedule.add(plan_id="once", reason="x", start=soon, timeout=60, operations=["payments"], actor="ops")
        service.schedule.add(
            plan_id="nightly", reason="x", start=soon + timedelta(hours=1), rrule="FREQ=DAILY", timeout=60, actor="ops"
        )
        state = service.store.load()
        alert = Alert(rule=AlertRule.OUTBOX_STUCK, subject="mail", since=soon, opened_at=soon)
        known = replace(state, revision=state.revision + 1, alerts=(alert,))
        service.store.commit(known, expected_revision=state.revision, audit=())
        app = FastAPI()
        init_app(app, service=service)
        service.start()
        token = abs(service.gate.enter("POST", "/items"))
        if mode is not None:
            service.enable(reason="upgrade", mode=mode, duration=60, operations=None, actor="ops")

        path, _, query = target.partition("?")
        status, body = drive(app, "GET", path, headers=[BEARER], query_string=query.encode())
        service.gate.leave(token)

        assert status == 200
        assert_same(ANSWERS[target], json.loads(body))

    def test_a_command_is_what_its_model_says(self, make_service: Any, drive: Any) -> None:
        """The answers to commands, and a problem."""
        app = FastAPI()
        init_app(app, service=make_service(admin_token=TOKEN))

        def command(name: str, body: str) -> tuple[int, dict[str, Any]]:
            incoming = [{"type": "http.request", "body": body.encode(), "more_body": False}]
            headers = [BEARER, (b"content-type", b"application/json")]
            scope = drive.scope("POST", f"/api/maintenance/{name}", headers=headers)
            sent = drive.run(app, scope, incoming)
            return sent[0]["status"], json.loads(sent[1]["body"])

        for name, body in (
            ("enable", '{"reason": "x", "duration": 60, "operations": ["payments"]}'),
            ("extend", '{"by": 60}'),
            ("disable", "{}"),
        ):
            status, document = command(name, body)
            assert status == 200
            assert_same(models.Changed, document)
            assert_same(window_models.Window, document["changed"][0])
        for name, body, model, expected in (
            ("emergency", json.dumps({"reason": "x", "proof": TOKEN}), emergency_models.BegunEmergency, 202),
            ("recover", '{"check_only": true}', emergency_models.Recovered, 200),
            ("recover", '{"force": true}', emergency_models.Recovered, 200),
        ):
            status, document = command(name, body)
            assert status == expected
            assert_same(model, document)
        status, document = command("enable", '{"reason": "", "oops": 1}')
        assert status == 400
        assert_same(models.Problem, document)

    def test_a_missing_proof_is_what_its_model_says(self, make_service: Any, drive: Any) -> None:
        """A client asks its user for the proof that the problem names."""
        app = FastAPI()
        init_app(app, service=make_service(admin_token=TOKEN))
        body = b'{"reason": "x", "mode": "emergency", "proof": "wrong"}'
        incoming = [{"type": "http.request", "body": body, "more_body": False}]
        headers = [BEARER, (b"content-type", b"application/json")]

        sent = drive.run(app, drive.scope("POST", "/api/maintenance/enable", headers=headers), incoming)

        document = json.loads(sent[1]["body"])
        assert (sent[0]["status"], document["proof"], document["tries_left"]) == (403, "token", 4)
        assert_same(models.Problem, document)
        assert "429" in app.openapi()["paths"]["/api/maintenance/enable"]["post"]["responses"]

    def test_a_full_report_is_what_its_model_says(self) -> None:
        """Every list in it has something in it, and every number that may be unknown is known once."""
        now = datetime.now(UTC)
        check = RecoveryCheck(name="store_healthy", kind=CheckKind.CHECKED, is_ok=True)
        steps = (
            EmergencyStep(name="sessions", status=StepStatus.DONE, count=3, started_at=now),
            EmergencyStep(name="jobs"),
        )
        callers = [(Outcome.REFUSED, ""), (Outcome.REFUSED, "user"), (Outcome.BYPASSED, ""), (Outcome.BYPASSED, "pass")]
        would_block = ReportCount(
            operation="x", outcome=Outcome.WOULD_BLOCK, caller=CallerKind.UNMARKED, count=1, path="/x"
        )
        report = IncidentReport(
            heading=ReportHeading(
                window_id="w", mode=None, reason="r", owner="o", opened_at=now, ended_at=None, is_open=True
            ),
            made_at=now,
            duration=timedelta(seconds=1),
            people=("ann",),
            timeline=(ReportEntry(at=now, action="a", actor="b", source="c"),),
            counts=(
                *(ReportCount(operation="x", outcome=o, caller=CallerKind(c), count=1) for o, c in callers),
                would_block,
            ),
            paths=(would_block,),
            session_policy=SessionPolicy.SUSPEND,
            sessions_ended=3,
            progress=EmergencyProgress(window_id="w", steps=steps),
            recoveries=(EmergencyRecovery(window_id="w", at=now, actor="a", checks=(check,), was_ended=True),),
            jobs=tuple(JobRecord(source="s", id="1", queue="q", name="n", fate=fate) for fate in JobFate),
            job_fates={"lost": 1},
            notifications=("mail",),
            failures=("f",),
            workers=(WorkerInfo("w", "h", 1, "m", 1, "flask", now),),
            gaps=("g",),
        )

        document = report_document(report)

        assert_same(report_models.Report, document)
        assert [name for name, value in document.items() if value == []] == []

    @pytest.mark.parametrize(
        "command", ["enable", "disable", "extend", "plan_window", "change_window", "begin_emergency", "recover"]
    )
    def test_a_command_takes_what_openapi_says(self, make_service: Any, drive: Any, command: str) -> None:
        """A client generated from the schema must be able to say all that can be said, and nothing else."""
        app = FastAPI()
        service = make_service(admin_token=TOKEN)
        init_app(app, service=service)
        (route,) = [route for route in MaintenanceStatusAPI(service).routes if route.name == command]
        path = route.path.replace("{id}", "x")
        described = app.openapi()["paths"][route.path][route.method.lower()]["requestBody"]["content"]
        incoming = [{"type": "http.request", "body": b'{"nonsense": 1}', "more_body": False}]

        scope = drive.scope(route.method, path, headers=[BEARER, (b"content-type", b"application/json")])
        detail = json.loads(drive.run(app, scope, incoming)[1]["body"])["detail"]

        known = detail.partition("known are ")[2].split(", ")
        assert set(described["application/json"]["schema"]["properties"]) == set(known)

    def test_every_endpoint_stands_in_openapi_with_its_problems(self, service: Any) -> None:
        """A client generated from the schema knows the errors too."""
        app = FastAPI()
        assert app.openapi()["paths"] == {}
        init_app(app, service=service)

        paths = app.openapi()["paths"]

        routes = [route for route in MaintenanceStatusAPI(service).routes if not route.is_page]
        assert {(route.path, route.method.lower()) for route in routes} == {
            (path, method) for path, item in paths.items() for method in item
        }
        for route in routes:
            described = paths[route.path][route.method.lower()]
            expected = {{"plan_window": "201", "begin_emergency": "202"}.get(route.name, "200"), "503"}
            expected |= {"401", "403"} if route.needs_admin else set()
            expected |= {"404"} if route.path.endswith("{id}") else set()
            expected |= {"400", "409"} if route.method != "GET" else set()
            assert expected <= set(described["responses"])
            assert "application/problem+json" in described["responses"]["503"]["content"]
            assert described["summary"] == route.summary
            assert ("requestBody" in described) == (route.method in {"POST", "PATCH"})
            in_path = [each["name"] for each in described.get("parameters", []) if each["in"] == "path"]
            assert in_path == (["id"] if "{id}" in route.path else [])
        assert len({item["operationId"] for path in paths.values() for item in path.values()}) == len(routes)

    def test_the_application_may_change_its_routes(self, service: Any) -> None:
        """FastAPI's documentation tells applications to set operation ids, and to hide routes, in a loop like this."""
        app = FastAPI()
        init_app(app, service=service)
        for route in app.routes:
            if isinstance(route, APIRoute):
                route.include_in_schema = "/windows" not in route.path
                route.operation_id = route.name

        paths = app.openapi()["paths"]

        assert paths["/api/maintenance/enable"]["post"]["operationId"] == "maintenance_enable"
        assert not [path for path in paths if "/windows" in path]

    def test_a_change_comes_before_the_route_is_looked_at(self, service: Any) -> None:
        """A route that is made when it is first looked at must not forget what it was told until then."""
        app = FastAPI()
        init_app(app, service=service)
        for route in app.routes:
            if isinstance(route, APIRoute):
                route.include_in_schema = False

        assert app.openapi()["paths"] == {}

    def test_threads_that_ask_at_once_get_one_answer(self, service: Any) -> None:
        """Two threads may look at a route that is being made."""
        app = FastAPI()
        init_app(app, service=service)
        barrier = threading.Barrier(4)

        def ask() -> list[str]:
            barrier.wait(timeout=10)
            return [str(route.response_model) for route in app.routes if isinstance(route, APIRoute)]

        with ThreadPoolExecutor(4) as pool:
            answers = [future.result(timeout=30) for future in [pool.submit(ask) for _ in range(4)]]

        assert answers[0]
        assert answers.count(answers[0]) == 4


class TestReach:
    """Nothing in the application gets between an operator and the endpoints."""

    @pytest.mark.parametrize("build", [FastAPI, Starlette])
    def test_their_paths_have_names(self, service: Any, build: Any) -> None:
        """A page of the application links to them."""
        app = build()
        init_app(app, service=service)

        assert app.url_path_for("maintenance_status") == "/api/maintenance/status"
        assert app.url_path_for("maintenance_change_window", id="a.b") == "/api/maintenance/windows/a.b"
        for wrong in ({"id": "x"}, {"name": "x"}):
            with pytest.raises(NoMatchFound):
                app.url_path_for("maintenance_windows", **wrong)
        with pytest.raises(NoMatchFound):
            app.url_path_for("maintenance_window")

    @pytest.mark.parametrize("build", [FastAPI, Starlette])
    def test_a_mounted_application_plans_windows(self, make_service: Any, drive: Any, build: Any) -> None:
        """Below a prefix of somebody else's, the id is still found and the location still leads there."""
        service = make_service(admin_token=TOKEN)
        app = build()
        init_app(app, service=service)
        outer = Starlette(routes=[Mount("/shop", app)])
        start = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        body = json.dumps({"id": "db", "reason": "x", "start": start}).encode()
        incoming = [{"type": "http.request", "body": body, "more_body": False}]
        headers = [BEARER, (b"content-type", b"application/json")]
        service.enable(reason="fire", mode="emergency", actor="ops")

        made = drive.run(outer, drive.scope("POST", "/shop/api/maintenance/windows", headers=headers), incoming)
        location = dict(made[0]["headers"])[b"location"].decode()
        found = drive(outer, "GET", urljoin("/shop/api/maintenance/windows", location), headers=[BEARER])

        assert made[0]["status"] == 201
        assert (found[0], json.loads(found[1])["window"]["id"]) == (200, "db")
        assert drive(outer, "GET", "/shop/api/maintenance/windows/x/y")[0] == 503

    def test_a_route_for_every_path_does_not_hide_them(self, service: Any, drive: Any) -> None:
        """Single-page applications answer every path with the same page."""
        app = FastAPI()
        app.add_api_route("/{path:path}", lambda path: "page", methods=["GET", "POST"])
        init_app(app, service=service)

        assert drive(app, "GET", "/anything") == (200, b'"page"')
        assert json.loads(drive(app, "GET", "/api/maintenance/status")[1])["is_active"] is False

    def test_dependencies_of_the_application_do_not_lock_them(self, service: Any, drive: Any) -> None:
        """They judge for themselves who may command; the status is for all."""

        def locked() -> None:
            raise HTTPException(401)

        app = FastAPI(dependencies=[Depends(locked)])
        init_app(app, service=service)

        assert drive(app, "GET", "/api/maintenance/status")[0] == 200
        assert drive(app, "POST", "/api/maintenance/disable")[0] == 401

    @pytest.mark.parametrize("build", [FastAPI, Starlette])
    def test_head_is_answered_as_get(self, service: Any, drive: Any, build: Any) -> None:
        """Monitors probe with HEAD."""
        app = build()
        init_app(app, service=service)

        assert drive(app, "HEAD", "/api/health/maintenance") == (200, b"")

    def test_a_body_without_an_end_is_not_read_to_it(self, service: Any, drive: Any) -> None:
        """It must not fill the memory."""
        app = FastAPI()
        init_app(app, service=service)
        sent: list[Any] = []
        received = []

        async def receive() -> dict[str, Any]:
            received.append(1)
            return {"type": "http.request", "body": b"x" * 40_000, "more_body": True}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(app(drive.scope("POST", "/api/maintenance/enable"), receive, send))

        assert sent[0]["status"] == 401
        assert len(received) == 2


class TestInitApp:
    """One call, before the application starts, that touches nothing."""

    def test_it_starts_nothing(self, make_service: Any, tmp_path: Path) -> None:
        """A module that is imported by a tool must not make a database."""
        before = set(threading.enumerate())
        service = make_service(store_url=f"sqlite:///{tmp_path}/m.db")

        init_app(FastAPI(), service=service)

        assert set(threading.enumerate()) <= before  # those of other tests may end meanwhile
        assert list(tmp_path.iterdir()) == []

    def test_the_service_is_found_on_the_application(self, service: Any) -> None:
        """Views reach it through ``request.app.state``."""
        app = FastAPI()

        assert init_app(app, service=service) is service
        assert app.state.quiesce is service

    def test_a_second_time_is_an_error(self, service: Any) -> None:
        """Two gates with two services would block by two states."""
        app = FastAPI()
        init_app(app, service=service)

        with pytest.raises(ConflictError, match="before"):
            init_app(app, service=service)

    def test_too_late_is_an_error(self, service: Any, drive: Any) -> None:
        """Starlette builds its middleware once; a gate that is never asked is worse than none."""
        app = FastAPI()
        drive(app, "GET", "/")

        with pytest.raises(ConflictError, match="started"):
            init_app(app, service=service)

    @pytest.mark.parametrize("wrong", [{"app": object()}, {"identify": "ann"}])
    def test_a_wrong_argument_is_an_error_and_changes_nothing(self, service: Any, wrong: dict[str, Any]) -> None:
        """Found when the application is built, not when the first admin is locked out."""
        app = FastAPI()
        routes = list(app.routes)

        with pytest.raises(InvalidValueError):
            init_app(wrong.get("app", app), service=service, identify=wrong.get("identify"))

        assert app.routes == routes
        assert not hasattr(app.state, "quiesce")
