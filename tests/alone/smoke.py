"""Uses one distribution as it was installed, with nothing else around it: ``smoke.py core|flask|webhook|…``."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import import_module, metadata, util
from pathlib import Path

TOKEN = "smoke-token-of-32-characters-----"
STRANGERS = {
    "core": ("dateutil", "fastapi", "flask", "pytest", "redis", "rich", "starlette"),
    "flask": ("dateutil", "fastapi", "pytest", "redis", "rich", "starlette"),
    "fastapi": ("dateutil", "flask", "pytest", "redis", "rich", "werkzeug"),
    "celery": ("fastapi", "flask", "pytest", "rich", "rq", "starlette", "werkzeug"),
    "email": ("fastapi", "flask", "icalendar", "pytest", "redis", "rich", "starlette", "werkzeug"),
    "rq": ("fastapi", "flask", "pytest", "rich", "starlette", "werkzeug"),
    "webhook": ("dateutil", "fastapi", "flask", "httpx", "pytest", "redis", "rich", "starlette", "werkzeug"),
}
NEEDS_AN_EXTRA = ("quiesce.cli.watch_view", "quiesce.stores.redis", "quiesce.testing")
PLAN = ("schedule", "add", "--reason", "smoke", "--start", "2098-01-01T00:00", "--rrule", "FREQ=DAILY")

Request = Callable[[str, str, dict[str, object] | None], int]


def check(what: str, found: object, expected: object) -> None:
    """Print what was found, and end the run if it is something else than expected."""
    print(f"{what}: {found}")
    if found != expected:
        raise SystemExit(f"{what}: expected {expected}")


def import_everything(distribution: str) -> None:
    """Import each module that the installed wheel holds."""
    for file in metadata.files(distribution) or ():
        name = ".".join(file.with_suffix("").parts).removesuffix(".__init__")
        if file.suffix == ".py" and not name.endswith("__main__") and not name.startswith(NEEDS_AN_EXTRA):
            import_module(name)


def walk_a_cycle(request: Request) -> None:
    """Open a window over HTTP, see a write refused and a read pass, and close it again."""
    check("POST before", request("POST", "/orders", None), 200)
    check("enable", request("POST", "/api/maintenance/enable", {"reason": "smoke"}), 200)
    check("POST during maintenance", request("POST", "/orders", None), 503)
    check("GET during maintenance", request("GET", "/orders", None), 200)
    check("disable", request("POST", "/api/maintenance/disable", {}), 200)
    check("POST after", request("POST", "/orders", None), 200)


def core() -> None:
    """Open and close a window with the command."""
    command = str(Path(sys.prefix) / "bin" / "quiesce")
    for arguments, is_active in ((["enable", "--reason", "smoke"], True), (["disable"], False)):
        check(arguments[0], subprocess.run([command, *arguments], check=False).returncode, 0)
        status = subprocess.run([command, "status", "--json"], stdout=subprocess.PIPE, check=True).stdout
        check("active", json.loads(status)["is_active"], is_active)
    for extra, asked in (("quiesce[watch]", ("watch", "--once")), ("quiesce[schedule]", PLAN)):
        done = subprocess.run([command, *asked], stderr=subprocess.PIPE, text=True, check=False)
        check(f"{asked[0]} without its extra", (done.returncode, extra in done.stderr), (2, True))


def flask() -> None:
    """Walk through a cycle of a Flask application."""
    app = import_module("flask").Flask("smoke")
    app.add_url_rule("/orders", "orders", lambda: "done", methods=["GET", "POST"])
    service = import_module("quiesce_flask").init_app(app)
    client = app.test_client()

    def request(method: str, path: str, body: dict[str, object] | None) -> int:
        headers = {} if body is None else {"Authorization": f"Bearer {TOKEN}"}
        return int(client.open(path, method=method, json=body, headers=headers).status_code)

    walk_a_cycle(request)
    service.close()


def fastapi() -> None:
    """Walk through a cycle of a FastAPI application, spoken to in bare ASGI."""
    app = import_module("fastapi").FastAPI()
    app.add_api_route("/orders", lambda: "done", methods=["GET", "POST"])
    service = import_module("quiesce_fastapi").init_app(app)

    async def call(method: str, path: str, body: dict[str, object] | None) -> int:
        authorization = [] if body is None else [(b"authorization", f"Bearer {TOKEN}".encode())]
        headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), *authorization]
        scope: dict[str, object] = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
        }
        scope |= {
            "headers": headers,
            "http_version": "1.1",
            "scheme": "http",
            "root_path": "",
            "asgi": {"version": "3.0"},
        }
        scope |= {"server": ("localhost", 80), "client": ("127.0.0.1", 50000)}
        incoming: list[dict[str, object]] = [
            {"type": "http.request", "body": b"" if body is None else json.dumps(body).encode()}
        ]
        statuses: list[int] = []

        async def receive() -> dict[str, object]:
            return incoming.pop() if incoming else {"type": "http.disconnect"}

        async def send(message: dict[str, object]) -> None:
            statuses.extend([int(str(message["status"]))] if "status" in message else [])

        await app(scope, receive, send)
        return statuses[0]

    walk_a_cycle(lambda method, path, body: asyncio.run(call(method, path, body)))
    service.close()


def rq() -> None:
    """Find the plugin, and see a guarded queue refuse; no Redis runs here, and none is asked."""
    quiesce, plugin = import_module("quiesce"), import_module("quiesce_rq")
    command = str(Path(sys.prefix) / "bin" / "quiesce")
    listed = subprocess.run([command, "plugins", "--json"], stdout=subprocess.PIPE, check=True).stdout
    check("plugins", [found["name"] for found in json.loads(listed)["plugins"]], ["rq"])
    service = quiesce.EnhancedMaintenanceModeService()
    service.enable(reason="smoke", actor="smoke")
    queue = plugin.GuardedQueue("smoke", service=service, connection=import_module("redis").Redis(port=1))
    try:
        queue.enqueue("time.time")
    except quiesce.OperationRefusedError as exc:
        check("enqueue", exc.decision.operation.name, "job_creation")
    else:
        raise SystemExit("enqueue was not refused")
    service.close()


def celery() -> None:
    """Find the plugin, and see a guarded application refuse; no Redis runs here, and none is asked."""
    quiesce, plugin = import_module("quiesce"), import_module("quiesce_celery")
    command = str(Path(sys.prefix) / "bin" / "quiesce")
    listed = subprocess.run([command, "plugins", "--json"], stdout=subprocess.PIPE, check=True).stdout
    check("plugins", [found["name"] for found in json.loads(listed)["plugins"]], ["celery"])
    service = quiesce.EnhancedMaintenanceModeService()
    service.enable(reason="smoke", actor="smoke")
    app = import_module("celery").Celery("smoke", broker="redis://127.0.0.1:1/0")
    plugin.init_app(app, service=service)
    try:
        app.send_task("time.time")
    except quiesce.OperationRefusedError as exc:
        check("send", exc.decision.operation.name, "job_creation")
    else:
        raise SystemExit("send was not refused")
    service.close()


def webhook() -> None:
    """Find the plugin, and post a notice to a receiver of this process."""
    quiesce, plugin = import_module("quiesce"), import_module("quiesce_webhook")
    command = str(Path(sys.prefix) / "bin" / "quiesce")
    listed = subprocess.run([command, "plugins", "--json"], stdout=subprocess.PIPE, check=True).stdout
    check("plugins", [found["name"] for found in json.loads(listed)["plugins"]], ["webhook"])
    types: list[str] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            types.append(json.loads(self.rfile.read(int(self.headers["content-length"])))["type"])
            self.send_response(204)
            self.end_headers()

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.handle_request).start()
        event = quiesce.MaintenanceEvent(kind=quiesce.EventKind.ENDED, at=datetime.now(UTC), revision=1, number=0)
        everyone = quiesce.Audience.EVERYONE
        notice = quiesce.Notice(event=event, service_name="smoke", window=None, audience=everyone)
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        plugin.Webhook(url, allow_private=True).notify(notice=notice)
    check("posted", types, ["maintenance.ended"])


def email() -> None:
    """Find the plugin, and see it write a message; no mail server runs here."""
    quiesce, plugin = import_module("quiesce"), import_module("quiesce_email")
    command = str(Path(sys.prefix) / "bin" / "quiesce")
    listed = subprocess.run([command, "plugins", "--json"], stdout=subprocess.PIPE, check=True).stdout
    check("plugins", [found["name"] for found in json.loads(listed)["plugins"]], ["email"])
    event = quiesce.MaintenanceEvent(kind=quiesce.EventKind.STARTED, at=datetime.now(UTC), revision=1, number=0)
    notice = quiesce.Notice(event=event, service_name="smoke", window=None, audience=quiesce.Audience.OPERATORS)
    os.environ |= {"MAINTENANCE_SMTP_URL": "smtp://127.0.0.1:1", "MAINTENANCE_EMAIL_FROM": "ops@shop.example"}
    os.environ |= {"MAINTENANCE_EMAIL_OPERATORS": "ann@shop.example", "MAINTENANCE_EMAIL_TIME_ZONE": "Europe/Berlin"}
    try:
        plugin.notify(notice, quiesce.Settings.load())
    except quiesce.DeliveryError as exc:
        check("notify", str(exc).split()[3], "ConnectionRefusedError:")
    else:
        raise SystemExit("mail was sent to nowhere")


def main(package: str) -> None:
    """Check that nothing else is installed, import all, and walk through a cycle."""
    check("strangers", [name for name in STRANGERS[package] if util.find_spec(name)], [])
    for distribution in {"quiesce", "quiesce" if package == "core" else f"quiesce-{package}"}:
        import_everything(distribution)
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"MAINTENANCE_STORE_URL": f"sqlite:///{folder}/smoke.db", "MAINTENANCE_ADMIN_TOKEN": TOKEN}
        tries = {"core": core, "flask": flask, "fastapi": fastapi, "rq": rq, "celery": celery}
        (tries | {"email": email, "webhook": webhook})[package]()


if __name__ == "__main__":
    main(sys.argv[1])
