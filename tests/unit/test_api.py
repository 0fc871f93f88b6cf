"""The guide's endpoints: fields, types, statuses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from quiesce.control import EnhancedMaintenanceModeService
from quiesce.model import Acknowledgement, CountKey, Outcome, Principal, WorkerInfo
from quiesce.stores.memory import MemoryStore
from quiesce.testing import FakeClock
from quiesce.testing.clock import NOON
from quiesce.web import HEALTH_PATH, LONGEST_BODY, PREFIX, ApiRequest, ApiResponse, MaintenanceStatusAPI

TOKEN = "correct-horse-battery"
Service = EnhancedMaintenanceModeService
MakeService = Callable[..., Service]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
ADMIN_ROUTES = [
    *(("GET", "jobs"), ("POST", "jobs/stop"), ("POST", "jobs/restore")),
    *(("GET", "quiescence"), ("GET", "events"), ("POST", "enable"), ("POST", "disable"), ("POST", "extend")),
    *(("GET", "windows"), ("POST", "windows"), ("GET", "windows/x"), ("PATCH", "windows/x"), ("DELETE", "windows/x")),
    *(("GET", "sessions"), ("POST", "sessions/end"), ("GET", "reports"), ("GET", "reports/x")),
    *(("GET", "audit"), ("GET", "audit/verify")),
    *(("POST", "emergency"), ("GET", "emergency"), ("POST", "recover")),
    *(("GET", "notifications"), ("POST", "notifications/retry"), ("GET", "alerts")),
]


@pytest.fixture
def service(make_service: MakeService) -> Service:
    return make_service(admin_token=TOKEN)


@pytest.fixture
def api(service: Service) -> MaintenanceStatusAPI:
    return MaintenanceStatusAPI(service)


def get(api: MaintenanceStatusAPI, path: str, *, token: str | None = None, **query: str) -> ApiResponse:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    full = path if path.startswith("/") else f"{PREFIX}/{path}"
    return api.handle(ApiRequest(method="GET", path=full, query=query, headers=headers))


def post(
    api: MaintenanceStatusAPI,
    path: str,
    content: Any = None,
    *,
    principal: Principal | None = None,
    token: str | None = TOKEN,
    **headers: str,
) -> ApiResponse:
    sent = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    if token is not None:
        sent["authorization"] = f"Bearer {token}"
    body = content if isinstance(content, bytes) else b"" if content is None else json.dumps(content).encode()
    return api.handle(ApiRequest(method="POST", path=f"{PREFIX}/{path}", headers=sent, body=body, principal=principal))


def read(response: ApiResponse, status: int = 200) -> Any:
    """The JSON content, after checking what every response must keep."""
    content = json.loads(response.body)
    assert response.status == status, content
    headers = dict(response.headers)
    assert len(headers) == len(response.headers)
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    for name, value in response.headers:
        assert name == name.lower()
        assert value.isprintable()
        assert value.isascii()
    if status == 200:
        assert headers["content-type"] == "application/json"
    else:
        assert headers["content-type"] == "application/problem+json"
        assert content["status"] == status
        assert content["type"] == "about:blank"
        assert content["title"]
        assert content["detail"]
    return content


def assert_guides_status(content: dict[str, Any]) -> None:
    """The guide's names and types; added fields may stand beside them."""
    expected: dict[str, type | tuple[type, ...]] = {
        "is_active": bool,
        "mode": str,
        "reason": str,
        "estimated_duration": (int, float),
        "started_at": str,
        "estimated_completion": str,
        "blocked_operations": list,
        "active_jobs_count": int,
        "message": str,
    }
    assert expected.keys() <= content.keys()
    assert {name: content[name] for name, kind in expected.items() if not isinstance(content[name], kind)} == {}
    assert content["mode"] in {"normal", "emergency", "test"}
    assert not isinstance(content["estimated_duration"], bool)
    for name in ("started_at", "estimated_completion", "ends_at"):
        assert content[name] == "" or TIME.fullmatch(content[name])
    assert all(isinstance(name, str) for name in content["blocked_operations"])


# -- the guide's answers


def test_status_with_nothing_open(api: MaintenanceStatusAPI) -> None:
    """The types hold then too; a client's parser must not break on a quiet day."""
    content = read(get(api, "status"))

    assert_guides_status(content)
    assert content["is_active"] is False
    assert content["blocked_operations"] == []
    assert content["estimated_duration"] == 0


@pytest.mark.parametrize("mode", ["normal", "emergency", "test"])
def test_status_during_a_window(api: MaintenanceStatusAPI, mode: str) -> None:
    """The guide's fields, in the guide's units."""
    read(post(api, "enable", {"reason": "upgrade", "mode": mode, "duration": 90, "proof": TOKEN}))

    content = read(get(api, "status"))

    assert_guides_status(content)
    assert (content["is_active"], content["mode"], content["reason"]) == (True, mode, "upgrade")
    assert content["estimated_duration"] == 90
    assert content["started_at"] == "2031-05-04T12:00:00Z"
    assert content["estimated_completion"] == "2031-05-04T12:01:30Z"
    assert ("job_creation" in content["blocked_operations"]) == (mode != "test")
    assert ("read_operations" in content["blocked_operations"]) == (mode == "emergency")


def test_public_answers_say_nothing_about_people(api: MaintenanceStatusAPI) -> None:
    """Anybody may ask."""
    anna = Principal("anna@example.org", is_admin=True)
    read(post(api, "enable", {"reason": "r"}, principal=anna, token=None, host="h", origin="http://h"))

    for path in ("status", "blocked-operations", "message", HEALTH_PATH):
        assert b"anna" not in get(api, path).body


def test_blocked_operations(service: Service, api: MaintenanceStatusAPI) -> None:
    """What is refused since when, and how often, over all workers; would-be refusals and bypasses apart."""
    window = service.enable(reason="r", actor="a")
    store = service.store
    for worker, count in (("one", 2), ("two", 3)):
        store.register(WorkerInfo(worker, "h", 1, "m", 1, "flask", NOON))
        counts = {
            CountKey(window.id, "job_creation", Outcome.REFUSED): count,
            CountKey(window.id, "job_creation", Outcome.BYPASSED): 100,
            CountKey("before", "job_creation", Outcome.REFUSED): 1000,
        }
        store.report(worker, Acknowledgement(1), counts=counts, batch=1)

    content = read(get(api, "blocked-operations"))

    assert list(content) == ["blocked_operations"]
    by_type = {entry["operation_type"]: entry for entry in content["blocked_operations"]}
    assert by_type["job_creation"]["attempt_count"] == 5
    assert by_type["batch_operations"]["attempt_count"] == 0
    assert "read_operations" not in by_type
    for entry in by_type.values():
        assert entry.keys() >= {"operation_type", "description", "blocked_since", "attempt_count"}
        assert entry["description"]
        assert entry["blocked_since"] == "2031-05-04T12:00:00Z"
        assert type(entry["attempt_count"]) is int


def test_nothing_is_blocked_without_a_window(api: MaintenanceStatusAPI) -> None:
    """And the store need not be asked."""
    assert read(get(api, "blocked-operations")) == {"blocked_operations": []}


def test_message(api: MaintenanceStatusAPI) -> None:
    """What a frontend shows, for the whole site or beside one button."""
    assert read(get(api, "message"))["message"] == ""
    read(post(api, "enable", {"reason": "upgrade"}))

    assert read(get(api, "message"))["message"]
    job = read(get(api, "message", operation="job_creation"))
    view = read(get(api, "message", operation="read_operations"))

    assert (job["is_blocked"], job["reason"]) == (True, "upgrade")
    assert "jobs" in job["message"]
    assert (view["is_blocked"], view["message"], view["reason"]) == (False, "", "")
    assert "field" in read(get(api, "message", operation="<script>" * 1000), 400)


def test_health(api: MaintenanceStatusAPI) -> None:
    """A probe stays 200 in maintenance."""
    assert read(get(api, HEALTH_PATH))["status"] == "ok"
    read(post(api, "enable", {"reason": "r", "mode": "emergency", "proof": TOKEN}))

    content = read(get(api, HEALTH_PATH))

    assert content == {"status": "ok", "is_active": True, "is_enforcing": True, "is_stale": False, "revision": 1}


def test_quiescence(make_service: MakeService) -> None:
    """The proof over HTTP, with each worker's last word."""
    store = MemoryStore()
    store._created_at -= 60  # past the time in which a new store gets no verdict
    service = make_service(store=store, admin_token=TOKEN)
    api = MaintenanceStatusAPI(service)
    window = service.enable(reason="r", actor="a")
    store.register(WorkerInfo("w1", "host-a", 42, "another", 1, "flask", NOON))
    store.report("w1", Acknowledgement(1, windows=frozenset({window.id})), counts={}, batch=1)

    content = read(get(api, "quiescence", token=TOKEN))
    short = read(get(api, "quiescence", token=TOKEN, expect="2"))

    assert (content["quiesced"], content["revision"], content["confirmed"]) == (True, 1, ["w1"])
    assert content["workers"][0]["acknowledged_revision"] == 1
    assert content["holds_until"] == "2031-05-04T14:00:00Z"
    assert not short["quiesced"]
    assert short["obstacles"] == ["1 of 2 expected workers confirmed"]


@pytest.mark.parametrize("expect", ["", "-1", "1.5", "two", "٣", "²", "9999999", " 1", "1e3"])
def test_expect_is_a_number_of_workers(api: MaintenanceStatusAPI, expect: str) -> None:
    """Nonsense must not be taken for zero."""
    assert read(get(api, "quiescence", token=TOKEN, expect=expect), 400)["field"] == "expect"


def test_events_are_documents_in_order(api: MaintenanceStatusAPI, service: Service, clock: FakeClock) -> None:
    """What happened, when, to which window, by whom; a reader goes on after the last one."""
    service.schedule.add(plan_id="db", reason="upgrade", start="2031-05-04T13:00:00Z", actor="anna")
    clock.advance(7)
    service.schedule.cancel("db", actor="bob")

    def events(**query: str) -> Any:
        return read(get(api, "events", token=TOKEN, **query))["events"]

    scheduled, cancelled = events()
    assert (scheduled["kind"], scheduled["at"], scheduled["id"]) == ("scheduled", "2031-05-04T12:00:00Z", "1-0")
    assert cancelled == {
        "id": "2-0",
        "kind": "cancelled",
        "at": "2031-05-04T12:00:07Z",
        "revision": 2,
        "window_id": "db",
        "mode": "normal",
        "reason": "upgrade",
        "actor": "bob",
        "detail": "",
        "alert": "",
    }
    assert events(after="1-0") == [cancelled]
    assert events(limit="1") == [scheduled]
    assert events(after="2-0") == []
    assert events(after="", limit="1000") == [scheduled, cancelled]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("after", value)
            for value in ("1", "-", "1-", "1-0 ", "1-0\n", "٣-٣", "1-0-0", "9" * 30 + "-0", "(1-0", "x" * 99)
        ),
        *(("limit", value) for value in ("", "0", "-1", "1001", "1e2", "ten", "²", " 5", "9" * 5000)),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_nonsense_about_events_is_a_problem(api: MaintenanceStatusAPI, name: str, value: str) -> None:
    """A reader who is told everything again, or nothing, acts on it."""
    assert read(get(api, "events", token=TOKEN, **{name: value}), 400)["field"] == name


def test_commands_answer_with_the_status_and_what_changed(api: MaintenanceStatusAPI, service: Service) -> None:
    """One request tells the client all."""
    enabled = read(post(api, "enable", {"reason": "upgrade", "duration": 60, "operations": ["JOB_CREATION"]}))
    assert_guides_status(enabled)
    (changed,) = enabled["changed"]
    assert (changed["owner"], changed["operations"], changed["estimated_duration"]) == (
        "admin-token",
        ["job_creation"],
        60,
    )

    extended = read(post(api, "extend", {"by": 60, "window_id": changed["id"]}))
    assert extended["changed"][0]["estimated_duration"] == 120

    disabled = read(post(api, "disable"))
    assert disabled["is_active"] is False
    assert disabled["changed"][0]["id"] == changed["id"]
    assert [(r.actor, r.source) for r in service.store.audit()] == [("admin-token", "http")] * 3


def test_disable_all(api: MaintenanceStatusAPI) -> None:
    """The way out of several windows at once."""
    for mode in ("normal", "emergency"):
        read(post(api, "enable", {"reason": "r", "mode": mode, "proof": TOKEN}))

    detail = read(post(api, "disable"), 409)["detail"]
    assert "several" in detail
    assert len(read(post(api, "disable", {"all": True}))["changed"]) == 2


# -- 400


@pytest.mark.parametrize(
    ("path", "content", "field"),
    [
        ("enable", None, "reason"),
        ("enable", {}, "reason"),
        ("enable", {"reason": None}, "reason"),
        ("enable", {"reason": ""}, "reason"),
        ("enable", {"reason": "x" * 1001}, "reason"),
        ("enable", {"reason": "a\nb"}, "reason"),
        ("enable", {"reason": "a\u0000b"}, "reason"),
        ("enable", {"reason": "\ud800"}, "reason"),
        ("enable", {"reason": 5}, "reason"),
        ("enable", {"reason": "r", "mode": "nightly"}, "mode"),
        ("enable", {"reason": "r", "mode": 1}, "mode"),
        ("enable", {"reason": "r", "duration": -5}, "duration"),
        ("enable", {"reason": "r", "duration": 0}, "duration"),
        ("enable", {"reason": "r", "duration": 1e300}, "duration"),
        ("enable", {"reason": "r", "duration": 10**400}, "duration"),
        ("enable", b'{"reason":"r","duration":1e999}', "duration"),
        ("enable", {"reason": "r", "duration": True}, "duration"),
        ("enable", {"reason": "r", "duration": "60"}, "duration"),
        ("enable", {"reason": "r", "duration": 100, "timeout": 50}, "timeout"),
        ("enable", {"reason": "r", "operations": ["payments"]}, "operations"),
        ("enable", {"reason": "r", "operations": [{}]}, "operations"),
        ("enable", {"reason": "r", "operations": []}, "operations"),
        ("enable", {"reason": "r", "notify_users": 1}, "notify_users"),
        ("enable", {"reason": "r", "allow": ["payments"]}, "allow"),
        ("enable", {"reason": "r", "ticket": "\u001b[2J"}, "ticket"),
        ("enable", {"reason": "r", "overlap": 1}, "overlap"),
        ("enable", {"reason": "r", "window_id": "x"}, "window_id"),
        ("enable", {"reason": "r", "actor": "root"}, "actor"),
        ("enable", {"reason": "r", "source": "cli"}, "source"),
        ("enable", b'{"reason":"r","reason":"s"}', "body"),
        ("enable", b"{", "body"),
        ("enable", b"x" * (LONGEST_BODY + 1), "body"),
        ("enable", b'{"reason":"' + b"x" * 1_000_000 + b'"}', "body"),
        ("disable", {"reason": "r"}, "reason"),
        ("disable", {"all": "yes"}, "all"),
        ("disable", {"window_id": 5}, "window_id"),
        ("extend", {}, "by"),
        ("extend", {"by": -1}, "by"),
        ("extend", {"by": False}, "by"),
        ("extend", {"by": 10**400}, "by"),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_bad_command_is_400_that_names_the_field(
    api: MaintenanceStatusAPI, service: Service, path: str, content: Any, field: str
) -> None:
    """And changes nothing."""
    assert read(post(api, path, content), 400)["field"] == field
    assert service.store.revision() == 0


def test_wrong_content_type_is_400(api: MaintenanceStatusAPI) -> None:
    """What a foreign page's form can send is no command."""
    assert read(post(api, "enable", {"reason": "r"}, content_type="text/plain"), 400)["field"] == "body"


# -- 401, 403


@pytest.mark.parametrize(("method", "path"), ADMIN_ROUTES)
def test_who_may_not(api: MaintenanceStatusAPI, service: Service, method: str, path: str) -> None:
    """Before anything is read: an unauthorised client learns nothing from a faulty body either."""

    def ask(principal: Principal | None, **headers: str) -> ApiResponse:
        request = ApiRequest(
            method=method,
            path=f"{PREFIX}/{path}",
            headers={"host": "h", "content-type": "application/json"} | headers,
            body=b"{",
            principal=principal,
        )
        return api.handle(request)

    assert "Bearer" in dict(ask(None).headers)["www-authenticate"]
    read(ask(None), 401)
    read(ask(None, authorization="Bearer wrong"), 401)
    read(ask(Principal("bob"), origin="http://h"), 403)
    if method != "GET":
        read(ask(Principal("anna", is_admin=True)), 403)
        read(ask(Principal("anna", is_admin=True), origin="http://evil"), 403)
    assert service.store.revision() == 0


def test_without_any_token_configured_only_the_applications_admin_may(make_service: MakeService) -> None:
    """No default token, no open default."""
    api = MaintenanceStatusAPI(make_service())

    read(post(api, "enable", {"reason": "r"}, token=""), 401)
    read(post(api, "enable", {"reason": "r"}, token="None"), 401)
    admin = Principal("anna", is_admin=True)
    content = read(post(api, "enable", {"reason": "r"}, principal=admin, token=None, host="h", origin="http://h"))
    assert content["changed"][0]["owner"] == "user:anna"


def test_user_id_that_forges_lines_is_refused(api: MaintenanceStatusAPI) -> None:
    """It would stand in the audit trail."""
    admin = Principal("anna\nroot", is_admin=True)

    response = post(api, "enable", {"reason": "r"}, principal=admin, token=None, host="h", origin="http://h")

    assert read(response, 400)["field"] == "actor"


def test_application_is_asked_only_when_that_matters(api: MaintenanceStatusAPI) -> None:
    """Identifying may cost a query; public answers and the token need none, another bearer token does."""

    def needs(method: str, path: str, authorization: str = "") -> bool:
        headers = {"authorization": authorization} if authorization else {}
        return api.needs_principal(ApiRequest(method=method, path=path, headers=headers))

    assert [needs(method, f"{PREFIX}/{path}") for method, path in ADMIN_ROUTES] == [True] * len(ADMIN_ROUTES)
    assert not needs("GET", f"{PREFIX}/status")
    assert not needs("GET", "/elsewhere")
    assert not needs("POST", f"{PREFIX}/enable", f"Bearer {TOKEN}")
    assert needs("POST", f"{PREFIX}/enable", "Bearer eyJ.of.the.application")


# -- 404, 409, 503


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{PREFIX}/nothing"),
        ("GET", PREFIX),
        ("GET", f"{PREFIX}/status/"),
        ("GET", f"{PREFIX}/../maintenance/status"),
        ("GET", f"{PREFIX}/windows/"),
        ("GET", f"{PREFIX}/windows/.."),
        ("GET", f"{PREFIX}/windows/x/y"),
        ("GET", f"{PREFIX}/windows/x\n"),
        ("GET", f"{PREFIX}/windows/{{id}}"),
        ("DELETE", f"{PREFIX}/windows/{'x' * 81}"),
        ("GET", f"{PREFIX}/status/x"),
        ("GET", "/" + "x" * 100_000),
        ("G\r\nX" * 1000, "/\r\nSet-Cookie: x"),
        ("GET", "/\udcff\x00"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_anything_else_is_404(api: MaintenanceStatusAPI, method: str, path: str) -> None:
    """Bounded, and without an echo in the headers."""
    response = api.handle(ApiRequest(method=method, path=path, headers={"authorization": f"Bearer {TOKEN}"}))

    assert len(read(response, 404)["detail"]) < 300


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "enable", "POST"),
        ("POST", "status", "GET, HEAD"),
        ("DELETE", "disable", "POST"),
        ("X\r\nY", "status", "GET, HEAD"),
        ("PUT", "windows", "GET, HEAD, POST"),
        ("POST", "windows/x", "GET, HEAD, PATCH, DELETE"),
    ],
)
def test_wrong_method_is_405_with_the_right_one(
    api: MaintenanceStatusAPI, method: str, path: str, allowed: str
) -> None:
    """RFC 9110 §15.5.6; a command is never carried out by a GET."""
    response = api.handle(
        ApiRequest(method=method, path=f"{PREFIX}/{path}", headers={"authorization": f"Bearer {TOKEN}"})
    )

    read(response, 405)
    assert dict(response.headers)["allow"] == allowed


def test_head_is_answered_as_get(api: MaintenanceStatusAPI) -> None:
    """Load balancers probe with it; the adapter leaves the body out."""
    read(api.handle(ApiRequest(method="HEAD", path=HEALTH_PATH)))
    read(api.handle(ApiRequest(method="HEAD", path=f"{PREFIX}/quiescence")), 401)
    assert api.needs_principal(ApiRequest(method="HEAD", path=f"{PREFIX}/quiescence"))


def test_conflicts_are_409_and_say_what_happened(api: MaintenanceStatusAPI) -> None:
    """The operator who came second can act on it."""
    read(post(api, "disable"), 409)
    read(post(api, "extend", {"by": 60}), 409)
    read(post(api, "enable", {"reason": "the <b>first</b>"}))

    detail = read(post(api, "enable", {"reason": "second"}), 409)["detail"]

    assert "opened by admin-token" in detail
    assert "the <b>first</b>" in detail
    read(post(api, "disable", {"window_id": "nope"}), 409)


def test_store_out_of_reach_is_503(api: MaintenanceStatusAPI, service: Service) -> None:
    """For every endpoint that needs it, and the public is not told where the store lies."""
    service.store.close()

    for path in ("status", "blocked-operations", "message", HEALTH_PATH):
        assert read(get(api, path), 503)["detail"] == "The maintenance store does not answer."
    assert "the store is closed" in read(post(api, "enable", {"reason": "r"}), 503)["detail"]
    read(get(api, "quiescence", token=TOKEN), 503)


def test_window_that_times_out_is_gone_from_every_answer(api: MaintenanceStatusAPI, clock: FakeClock) -> None:
    """Nobody stores whether it is on."""
    read(post(api, "enable", {"reason": "r", "timeout": 60}))
    clock.advance(60)

    assert read(get(api, "status"))["is_active"] is False
    assert read(get(api, "blocked-operations")) == {"blocked_operations": []}
    assert read(get(api, "message"))["message"] == ""


def test_only_the_paths_of_endpoints_are_served(api: MaintenanceStatusAPI) -> None:
    """Whatever else lies below the prefix belongs to the application."""
    served = ("status", "windows", "windows/x", "windows/nightly.20310504T130000Z")
    others = (
        "",
        "status/",
        "status/x",
        "windows/",
        "windows/x/y",
        "windows/..",
        "windows/{id}",
        "windowsx",
        "windows/x\n",
    )

    assert all(api.serves(f"{PREFIX}/{path}") for path in served)
    assert [path for path in others if api.serves(f"{PREFIX}/{path}")] == []


def test_routes_are_what_the_adapters_mount(api: MaintenanceStatusAPI) -> None:
    """Each once, each with a summary for OpenAPI; commands only for administrators."""
    routes = api.routes

    assert len({(route.method, route.path) for route in routes}) == len(routes)
    assert len({route.name for route in routes}) == len(routes)
    assert all(route.summary for route in routes)
    expected = {(method, f"{PREFIX}/{path}".replace("s/x", "s/{id}")) for method, path in ADMIN_ROUTES}
    assert {(route.method, route.path) for route in routes if route.needs_admin} == expected
    assert {route.name for route in routes if route.is_page} == {"pass_form", "use_pass"}
    assert all(route.needs_admin for route in routes if route.method != "GET" and not route.is_page)
