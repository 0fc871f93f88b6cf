"""``init_app`` on applications of every shape."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flask
import pytest
from flask.views import MethodView
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from quiesce import (
    EnhancedMaintenanceModeService,
    InvalidValueError,
    OperationRefusedError,
    OperationType,
    Principal,
    Settings,
    SettingsError,
    operation,
)
from quiesce_flask import get_service, init_app

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PAYMENTS = OperationType("payments", "Taking payments", "Payments are paused.")
MakeService = Callable[..., EnhancedMaintenanceModeService]


@pytest.fixture
def make_service() -> Iterator[MakeService]:
    with contextlib.ExitStack() as opened:

        def make(**settings: Any) -> EnhancedMaintenanceModeService:
            given = Settings(store_url="memory://", operations=(PAYMENTS,), **settings)
            service = EnhancedMaintenanceModeService(given)
            opened.callback(service.close)
            return service

        yield make


@pytest.fixture
def service(make_service: MakeService) -> EnhancedMaintenanceModeService:
    return make_service()


@pytest.fixture
def app() -> flask.Flask:
    app = flask.Flask("shop")
    app.secret_key = "a key for one test"
    app.add_url_rule("/items", view_func=items, methods=["GET", "POST"])
    app.add_url_rule("/as/<user>", view_func=become)
    return app


def items() -> str:
    return flask.request.method


def ann_is_admin(request: flask.Request) -> Principal | None:
    user = flask.session.get("user")
    return None if user is None else Principal(user_id=user, is_admin=user == "ann")


def become(user: str) -> str:
    flask.session["user"] = user
    return user


def log_in(client: flask.testing.FlaskClient, user: str) -> None:
    assert client.get(f"/as/{user}").text == user


def test_nothing_is_touched_or_started_before_the_first_request(app: flask.Flask, tmp_path: Path) -> None:
    """``flask routes``, a linter and a master that forks import the application too."""
    app.config["MAINTENANCE_STORE_URL"] = f"sqlite:///{tmp_path}/maintenance.db"
    before = set(threading.enumerate())

    service = init_app(app)

    assert (set(threading.enumerate()) - before, list(tmp_path.iterdir())) == (set(), [])
    assert app.test_client().get("/items").data == b"GET"
    assert [report.worker.framework for report in service.store.workers()] == ["flask"]
    service.close()


def test_the_applications_configuration_goes_over_the_environment(
    app: flask.Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flask's users keep settings in ``app.config``; a wrong one stops the start."""
    monkeypatch.setenv("MAINTENANCE_STORE_URL", f"sqlite:///{tmp_path}/env.db")
    monkeypatch.setenv("MAINTENANCE_DEFAULT_TIMEOUT", "60")
    app.config["MAINTENANCE_STORE_URL"] = f"sqlite:///{tmp_path}/app.db"

    service = init_app(app)

    assert service.store.url.endswith("/app.db")
    assert service.settings.default_timeout.total_seconds() == 60
    service.close()
    wrong = flask.Flask("wrong")
    wrong.config["MAINTENANCE_DEFAULT_TIMEOUT"] = "soon"
    with pytest.raises(SettingsError, match="MAINTENANCE_DEFAULT_TIMEOUT"):
        init_app(wrong)


def test_a_second_call_is_an_error(app: flask.Flask, service: EnhancedMaintenanceModeService) -> None:
    """Two gates before one application would count everything twice."""
    init_app(app, service=service)

    with pytest.raises(InvalidValueError, match="call init_app once"):
        init_app(app, service=service)


async def identify_later(request: flask.Request) -> Principal | None:
    return None


@pytest.mark.parametrize("identify", ["ann", 7, identify_later])
def test_an_identify_that_cannot_work_is_an_error_at_once(
    app: flask.Flask, service: EnhancedMaintenanceModeService, identify: Any
) -> None:
    """Otherwise every administrator would be nobody, and that would be found out during the maintenance."""
    with pytest.raises(InvalidValueError, match="identify"):
        init_app(app, service=service, identify=identify)

    assert "quiesce" not in app.extensions


def test_applications_in_one_process_have_services_of_their_own(make_service: MakeService) -> None:
    """A factory that makes two applications must not make one switch for both."""
    apps = [flask.Flask("one"), flask.Flask("two")]
    for app in apps:
        app.add_url_rule("/items", view_func=items, methods=["POST"])
        init_app(app, service=make_service())

    get_service(apps[0]).enable(reason="upgrade", actor="ops")

    assert [app.test_client().post("/items").status_code for app in apps] == [503, 200]
    with apps[1].app_context():
        assert get_service() is get_service(apps[1])
    with pytest.raises(InvalidValueError, match="init_app"):
        get_service(flask.Flask("three"))


def test_the_guides_diagnostic_command_finds_the_middleware(
    app: flask.Flask, service: EnhancedMaintenanceModeService
) -> None:
    """Operators verify the registration by this name, and by its coming first."""
    app.before_request(lambda: None)

    init_app(app, service=service)

    names = [function.__name__ for function in app.before_request_funcs[None]]
    assert names[0] == "maintenance_mode_middleware"


class TestIdentify:
    """An application's own way to know its users works as it does in a view."""

    def test_the_session_is_there_and_stays_as_it_is(
        self, app: flask.Flask, service: EnhancedMaintenanceModeService
    ) -> None:
        """Login extensions read the session; asking must change neither that nor the request."""

        def identify(request: flask.Request) -> Principal | None:
            flask.session["asked"] = request.environ["asked"] = True
            return ann_is_admin(request)

        def was_asked() -> str:
            return str("asked" in flask.session or "asked" in flask.request.environ)

        app.add_url_rule("/asked", "asked", was_asked, methods=["POST"])
        init_app(app, service=service, identify=identify, sessions=False)
        service.enable(reason="upgrade", actor="ops")
        client = app.test_client()

        assert client.post("/items").status_code == 503
        log_in(client, "bob")
        assert client.post("/items").status_code == 503
        log_in(client, "ann")
        assert client.post("/asked").text == "False"

    def test_teardown_functions_run_and_cannot_lock_an_admin_out(
        self, app: flask.Flask, service: EnhancedMaintenanceModeService, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A connection that identify opened is given back; a teardown that misses its counterpart only logs."""
        torn_down = []

        @app.teardown_request
        def teardown(error: BaseException | None) -> None:
            torn_down.append("request")
            del flask.g.connection

        @app.before_request
        def connect() -> None:
            flask.g.connection = object()

        init_app(app, service=service, identify=ann_is_admin)
        service.enable(reason="upgrade", actor="ops")
        client = app.test_client()
        log_in(client, "ann")
        torn_down.clear()

        assert client.post("/items").status_code == 200
        assert len(torn_down) == 2
        assert "a teardown function failed after identify" in caplog.text

    def test_the_body_belongs_to_the_view(
        self, app: flask.Flask, service: EnhancedMaintenanceModeService, caplog: pytest.LogCaptureFixture
    ) -> None:
        """An identify that ate the body would leave the admin's upload empty."""
        app.add_url_rule("/echo", "echo", lambda: flask.request.form["x"], methods=["POST"])
        eats = False

        def identify(request: flask.Request) -> Principal | None:
            if eats:
                request.form.get("user")
            return ann_is_admin(request)

        init_app(app, service=service, identify=identify)
        service.enable(reason="upgrade", actor="ops")
        client = app.test_client()
        log_in(client, "ann")

        assert client.post("/echo", data={"x": "whole"}).text == "whole"
        eats = True
        assert client.post("/echo", data={"x": "whole"}).status_code == 503
        assert "shallow" in caplog.text

    def test_other_credentials_are_named(self, app: flask.Flask, service: EnhancedMaintenanceModeService) -> None:
        """A program with a key in a header of its own is asked for, once the application says which header."""
        asked = []

        def identify(request: flask.Request) -> Principal | None:
            asked.append(dict(request.headers))
            key = request.headers.get("X-Api-Key")
            return None if key != "k" else Principal(user_id="robot", is_admin=True)

        init_app(app, service=service, identify=identify, credential_headers=["X-Api-Key"])
        service.enable(reason="upgrade", actor="ops")
        client = app.test_client()

        assert client.post("/items").status_code == 503
        assert asked == []
        assert client.post("/items", headers={"X-Api-Key": "k"}).status_code == 200
        assert client.post("/items", environ_overrides={"REMOTE_USER": "ann"}).status_code == 503
        assert len(asked) == 2

    def test_a_guard_in_a_view_asks_in_the_views_own_context(
        self, app: flask.Flask, service: EnhancedMaintenanceModeService
    ) -> None:
        """What ``before_request`` put there is there, and nothing is torn down under the view."""
        torn_down = []
        app.teardown_request(lambda error: torn_down.append(flask.request.path))

        @app.before_request
        def load_user() -> None:
            flask.g.user = "ann"

        @app.get("/pay")
        def pay() -> str:
            with service.guard("payments"):
                return f"{torn_down}"

        init_app(app, service=service, identify=lambda request: Principal(flask.g.get("user", "nobody"), is_admin=True))
        service.enable(reason="upgrade", actor="ops")

        client = app.test_client()
        log_in(client, "somebody")
        torn_down.clear()

        assert client.get("/pay").text == "[]"


class TestMarkedViews:
    """``@operation`` is found behind every kind of rule."""

    def test_a_class_based_view_has_a_mark_for_each_method(
        self, app: flask.Flask, service: EnhancedMaintenanceModeService
    ) -> None:
        """A view that reads by one method and pays by another is two operations."""

        class Orders(MethodView):
            def get(self, number: int) -> str:
                return str(number)

            @operation("payments")
            def post(self, number: int) -> str:
                return "paid"

        @operation("payments")
        class Bills(MethodView):
            def get(self) -> str:
                return "bills"

        app.add_url_rule("/orders/<int:number>", view_func=Orders.as_view("orders"))
        app.add_url_rule("/bills/", view_func=Bills.as_view("bills"))
        init_app(app, service=service)
        service.enable(reason="upgrade", operations=["payments"], actor="ops")
        client = app.test_client()

        assert (client.get("/orders/7").status_code, client.post("/orders/7").status_code) == (200, 503)
        assert (client.get("/bills/").status_code, client.head("/bills/").status_code) == (503, 503)
        assert client.get("/bills").status_code == 308
        assert client.post("/orders/x").status_code == 404

    def test_blueprints_and_late_routes_are_found(
        self, app: flask.Flask, service: EnhancedMaintenanceModeService
    ) -> None:
        """Factories register blueprints in any order."""
        blueprint = flask.Blueprint("shop", "shop", url_prefix="/shop")
        blueprint.add_url_rule("/<path:rest>", "pay", operation("payments")(lambda rest: rest))
        init_app(app, service=service)
        app.register_blueprint(blueprint)
        service.enable(reason="upgrade", operations=["payments"], actor="ops")

        assert app.test_client().get("/shop/a/b").status_code == 503
        assert app.test_client().post("/items").status_code == 200

    def test_subdomains_are_all_looked_at(self, service: EnhancedMaintenanceModeService) -> None:
        """A classification holds for a path on every host, so the strictest view counts."""
        app = flask.Flask("hosts", subdomain_matching=True)
        app.config["SERVER_NAME"] = "shop.example"
        app.add_url_rule("/pay", "pay", operation("payments")(lambda: "paid"), subdomain="api")
        init_app(app, service=service)
        service.enable(reason="upgrade", operations=["payments"], actor="ops")

        assert app.test_client().get("/pay", base_url="http://api.shop.example").status_code == 503

    def test_hosts_are_all_looked_at(self, service: EnhancedMaintenanceModeService) -> None:
        """The same for an application that matches whole host names."""
        app = flask.Flask("hosts", host_matching=True, static_host="shop.example")
        app.add_url_rule("/pay", "pay", operation("payments")(lambda: "paid"), host="api.example")
        init_app(app, service=service)
        service.enable(reason="upgrade", operations=["payments"], actor="ops")

        assert app.test_client().get("/pay", base_url="http://api.example").status_code == 503


class OverridesMethod:
    """The middleware of Flask's documentation that lets a header choose the method."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        environ["REQUEST_METHOD"] = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE", environ["REQUEST_METHOD"])
        return self._app(environ, start_response)


class TakesPrefixOff:
    """A middleware that moves a prefix of the path to where the application does not see it."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix("/v1")
        return self._app(environ, start_response)


class TestOtherMiddleware:
    """What stands between the server and the views hides nothing."""

    def test_what_is_mounted_beside_the_application_is_covered(
        self, app: flask.Flask, service: EnhancedMaintenanceModeService
    ) -> None:
        """A mounted WSGI application never comes by ``before_request``."""

        def legacy(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
            start_response("200 OK", [])
            return [b"legacy"]

        app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/legacy": legacy})  # type: ignore[method-assign] # as documented
        init_app(app, service=service)
        service.enable(reason="upgrade", actor="ops")
        client = app.test_client()

        assert (client.get("/legacy/x").data, client.post("/legacy/x").status_code) == (b"legacy", 503)

    def test_a_mounted_application_is_judged_by_its_own_paths(
        self, app: flask.Flask, service: EnhancedMaintenanceModeService
    ) -> None:
        """The mount's prefix is not part of the path that rules are about."""
        app.add_url_rule("/api/jobs", "jobs", lambda: "jobs")
        init_app(app, service=service)
        outer = flask.Flask("outer")
        outer.wsgi_app = DispatcherMiddleware(outer.wsgi_app, {"/shop": app})  # type: ignore[method-assign] # as documented
        service.enable(reason="upgrade", actor="ops")
        client = outer.test_client()

        assert client.get("/shop/api/jobs").status_code == 503
        assert client.get("/shop/items").status_code == 200
        assert client.get("/shop/api/maintenance/status").status_code == 200

    @pytest.mark.parametrize(
        ("middleware", "path", "headers"),
        [(OverridesMethod, "/items", {"X-HTTP-Method-Override": "POST"}), (TakesPrefixOff, "/v1/api/jobs", {})],
    )
    def test_a_request_that_is_rewritten_is_judged_again(
        self,
        app: flask.Flask,
        service: EnhancedMaintenanceModeService,
        middleware: Callable[[WSGIApplication], WSGIApplication],
        path: str,
        headers: dict[str, str],
    ) -> None:
        """A read on the outside that is a write on the inside must not slip by, nor go uncounted."""
        seen = []
        app.add_url_rule("/api/jobs", "jobs", lambda: "jobs")
        app.before_request(lambda: seen.append(len(service.gate.in_flight)))
        app.wsgi_app = middleware(app.wsgi_app)  # type: ignore[assignment, method-assign] # as documented
        init_app(app, service=service)
        client = app.test_client()

        assert client.get(path, headers=headers).status_code == 200
        service.enable(reason="upgrade", actor="ops")
        assert client.get(path, headers=headers).status_code == 503
        assert client.get("/items").status_code == 200

        assert seen == [2, 1]
        assert not service.gate.in_flight


class TestResponses:
    """What the extension answers through Flask."""

    def test_an_application_may_answer_a_refused_guard_itself(
        self, app: flask.Flask, service: EnhancedMaintenanceModeService
    ) -> None:
        """An error handler of the application's own goes before ours."""

        @app.get("/pay")
        @service.guard("payments")
        def pay() -> str:
            return "paid"

        init_app(app, service=service)
        service.enable(reason="upgrade", actor="ops")
        assert app.test_client().get("/pay").status_code == 503

        other = flask.Flask("other")
        init_app(other, service=service)
        other.add_url_rule("/pay", view_func=pay)
        other.register_error_handler(OperationRefusedError, lambda error: ("later", 418))
        assert other.test_client().get("/pay").status_code == 418

    def test_a_guard_that_refuses_under_test_settings_is_still_answered(
        self, app: flask.Flask, service: EnhancedMaintenanceModeService
    ) -> None:
        """With ``TESTING``, Flask lets errors through; a refusal is none."""
        app.testing = True
        app.add_url_rule("/pay", "pay", service.guard("payments")(lambda: "paid"))
        init_app(app, service=service)
        service.enable(reason="upgrade", actor="ops")

        assert app.test_client().get("/pay").get_json()["operation_type"] == "payments"

    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "GET"])
    def test_errors_of_the_endpoints_are_never_html(
        self, app: flask.Flask, service: EnhancedMaintenanceModeService, method: str
    ) -> None:
        """A program that commands reads every answer."""
        app.config["MAX_CONTENT_LENGTH"] = 10
        init_app(app, service=service)
        client = app.test_client()

        wrong = client.open("/api/maintenance/enable", method=method)
        large = client.post("/api/maintenance/enable", data=b"x" * 20)

        assert (wrong.status_code, wrong.mimetype, wrong.headers["Allow"]) == (405, "application/problem+json", "POST")
        assert (large.status_code, large.mimetype) == (413, "application/problem+json")

    def test_a_fault_of_ours_is_a_problem_document_too(
        self,
        app: flask.Flask,
        service: EnhancedMaintenanceModeService,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """Whatever breaks, the answer keeps its shape, and the traceback goes to the log alone."""
        init_app(app, service=service)
        monkeypatch.setattr(service, "get_maintenance_status", lambda: 1 // 0)

        answer = app.test_client().get("/api/maintenance/status")

        assert (answer.status_code, answer.mimetype) == (500, "application/problem+json")
        assert "ZeroDivisionError" in caplog.text
        assert "ZeroDivisionError" not in answer.text

    def test_head_of_an_endpoint_is_get_without_its_body(
        self, app: flask.Flask, service: EnhancedMaintenanceModeService
    ) -> None:
        """Monitors probe with HEAD."""
        init_app(app, service=service)
        client = app.test_client()

        head, get = client.head("/api/maintenance/status"), client.get("/api/maintenance/status")

        assert (head.status_code, head.data) == (200, b"")
        assert head.headers["Content-Length"] == get.headers["Content-Length"]


class TestCommands:
    """``flask maintenance``: a cycle, and an exit code for everything that can go wrong."""

    def test_a_cycle(self, app: flask.Flask, service: EnhancedMaintenanceModeService) -> None:
        """An operator who has the application at hand needs no other tool."""
        init_app(app, service=service)
        run = app.test_cli_runner().invoke

        assert "No maintenance window is open" in run(args=["maintenance", "status"]).output
        enabled = run(args=["maintenance", "enable", "--reason", "up\x1b[2Jgrade", "--duration", "1h30m"])
        assert enabled.exit_code == 2, "a control character is no reason"
        assert run(args=["maintenance", "enable", "--reason", "upgrade", "--duration", "1h30m"]).exit_code == 0
        assert "upgrade" in run(args=["maintenance", "status"]).output
        (window,) = service.get_maintenance_status().windows
        assert window.estimated_duration is not None
        assert window.estimated_duration.total_seconds() == 5400
        assert run(args=["maintenance", "extend", "45m"]).exit_code == 0
        assert run(args=["maintenance", "disable"]).exit_code == 0
        assert not service.get_maintenance_status().is_active

    @pytest.mark.parametrize(
        ("arguments", "code"),
        [
            (["enable"], 2),
            (["enable", "--reason", "x", "--duration", "soon"], 2),
            (["enable", "--reason", "x", "--mode", "total"], 2),
            (["disable"], 5),
            (["extend", "5m"], 5),
            (["wait", "--timeout", "0"], 3),
        ],
    )
    def test_exit_codes(
        self, app: flask.Flask, service: EnhancedMaintenanceModeService, arguments: list[str], code: int
    ) -> None:
        """Scripts go by them."""
        init_app(app, service=service)

        result = app.test_cli_runner().invoke(args=["maintenance", *arguments])

        assert (result.exit_code, "Traceback" in result.output) == (code, False)

    def test_a_store_out_of_reach(self, app: flask.Flask, tmp_path: Path) -> None:
        """The command says so, and does not hang."""
        folder = tmp_path / "store"
        folder.mkdir()
        service = EnhancedMaintenanceModeService(Settings(store_url=f"sqlite:///{folder}/maintenance.db"))
        init_app(app, service=service)
        folder.rmdir()

        result = app.test_cli_runner().invoke(args=["maintenance", "enable", "--reason", "x"])

        assert result.exit_code == 4
        assert result.output.startswith("Error: ")
        service.close()


def test_the_status_is_json_for_a_browser_too(app: flask.Flask, service: EnhancedMaintenanceModeService) -> None:
    """The guide's front ends parse it, whatever they accept."""
    init_app(app, service=service)

    answer = app.test_client().get("/api/maintenance/status", headers={"Accept": "text/html"})

    assert json.loads(answer.data)["is_active"] is False


def test_a_pass_is_taken_although_the_application_has_read_the_form(
    app: flask.Flask, make_service: MakeService
) -> None:
    """A function that looks at ``request.form`` before each request leaves nothing of the body to read."""
    service = make_service(secret_key="a-secret-key-of-the-tests")
    seen = []
    app.before_request(lambda: seen.append(dict(flask.request.form)))
    init_app(app, service=service)
    text = service.passes.issue(name="QA, Ann", actor="ops").text
    service.enable(reason="fire", mode="emergency", actor="ops")

    client = app.test_client()
    headers = {"Origin": "http://localhost"}
    taken = client.post("/api/maintenance/pass", data={"pass": text}, headers=headers)

    assert (taken.status_code, taken.headers["Location"]) == (303, "../../")
    assert {"pass": text} in seen
    assert client.post("/api/maintenance/pass", data={"pass": text, "x": "y"}, headers=headers).status_code == 400
    assert client.post("/api/maintenance/pass", data={"pass": "x"}, headers=headers).status_code == 403


def test_a_pass_without_identify_reaches_guards_of_streamed_bodies(app: flask.Flask, make_service: MakeService) -> None:
    """The body is made after the view has returned, and belongs to the request all the same."""
    service = make_service(secret_key="a-secret-key-of-the-tests")

    def export() -> flask.Response:
        def rows() -> Iterator[str]:
            with service.guard("payments"):
                yield "row"

        return flask.Response(rows())

    app.add_url_rule("/export", view_func=export)
    init_app(app, service=service)
    service.guard("payments")
    text = service.passes.issue(name="QA, Ann", actor="ops").text
    service.enable(reason="upgrade", operations=["payments"], actor="ops")
    client = app.test_client()

    assert client.get("/export", headers={"X-Maintenance-Pass": text}).text == "row"
    with pytest.raises(OperationRefusedError):  # what werkzeug's client makes of an answer that comes so late
        client.get("/export")
    assert not service.gate.in_flight
