"""How soon an emergency refuses on every worker of real servers, and how soon its steps are done, from the call on."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from quiesce import EnhancedMaintenanceModeService

from .harness import Effort, Spread
from .report import Row
from .stores import make_service

WORKERS = 4
BUDGET_MS = 50.0

_START_SECONDS = 60.0
_STEPS_SECONDS = 60.0
_PAUSE_SECONDS = 0.3
_SERVERS = {
    "gunicorn": (
        "gunicorn",
        "benchmarks.emergency_apps:make_flask()",
        "-w",
        str(WORKERS),
        "--threads",
        "4",
        "--keep-alive",
        "60",
    ),
    "uvicorn": ("uvicorn", "benchmarks.emergency_apps:make_fastapi", "--factory", "--workers", str(WORKERS)),
}


def measure(folder: Path, *, redis_url: str, effort: Effort) -> tuple[list[Row], dict[str, list[float]]]:
    """Begin an emergency over and over while a client asks each worker without rest."""
    rows: list[Row] = []
    raw: dict[str, list[float]] = {}
    for server in _SERVERS:
        for store, url in (("SQLite", f"sqlite:///{folder}/emergency-{server}.db"), ("Redis", redis_url)):
            with ExitStack() as stack:
                port = stack.enter_context(_serving(server, url, service_name=server))
                operator = make_service(url, service_name=server)
                stack.callback(operator.close)
                connections = stack.enter_context(_connections(port))
                refusals, settlings = _emergencies(operator, connections, count=max(3, effort.flips // 10))
            what = f"emergency, {server} with {WORKERS} workers ({store})"
            rows.append(_row(f"{what}: last worker's first refusal", refusals, budget=BUDGET_MS))
            rows.append(_row(f"{what}: all steps done", settlings))
            raw |= {f"{what}: refusal (ms)": refusals, f"{what}: steps (ms)": settlings}
    return rows, raw


def _row(what: str, samples: list[float], *, budget: float | None = None) -> Row:
    note = f"slowest of {len(samples)}: {max(samples):.0f} ms"
    return Row(what=what, contender="Quiesce", unit="ms", spread=Spread.of(samples), budget=budget, note=note)


def _emergencies(
    operator: EnhancedMaintenanceModeService, connections: list[http.client.HTTPConnection], *, count: int
) -> tuple[list[float], list[float]]:
    refusals, settlings = [], []
    for _ in range(count):
        first_refusals: list[float] = []
        threads = [threading.Thread(target=_ask_until_refused, args=(each, first_refusals)) for each in connections]
        for thread in threads:
            thread.start()
        time.sleep(_PAUSE_SECONDS)
        began = time.perf_counter()
        window = operator.emergency.activate(reason="benchmark", actor="benchmark")
        for thread in threads:
            thread.join(_START_SECONDS)
        if len(first_refusals) != len(connections):
            raise SystemExit("a worker did not refuse in an emergency")
        refusals.append((max(first_refusals) - began) * 1000)
        progress = operator.emergency.wait(window.id, timeout=_STEPS_SECONDS)
        if not progress.is_settled:
            raise SystemExit(f"the steps of an emergency were not done: {progress}")
        ends = [step.ended_at for step in progress.steps if step.ended_at is not None]
        settlings.append((max(ends) - window.starts_at).total_seconds() * 1000)
        operator.disable(actor="benchmark")
        time.sleep(_PAUSE_SECONDS)
    return refusals, settlings


def _ask_until_refused(connection: http.client.HTTPConnection, first_refusals: list[float]) -> None:
    while True:
        if _ask(connection)[0] == 503:
            first_refusals.append(time.perf_counter())
            return
        time.sleep(0.001)


def _ask(connection: http.client.HTTPConnection) -> tuple[int, bytes]:
    connection.request("GET", "/pid")
    response = connection.getresponse()
    return response.status, response.read()


@contextmanager
def _connections(port: int) -> Iterator[list[http.client.HTTPConnection]]:
    """Yield a connection to each worker."""
    found: dict[bytes, http.client.HTTPConnection] = {}
    deadline = time.monotonic() + _START_SECONDS
    with ExitStack() as stack:
        while len(found) < WORKERS:
            if time.monotonic() > deadline:
                raise SystemExit("not every worker could be reached")
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            stack.callback(connection.close)
            found.setdefault(_ask(connection)[1], connection)
        yield list(found.values())


@contextmanager
def _serving(server: str, url: str, *, service_name: str) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    where = ("-b", f"127.0.0.1:{port}") if server == "gunicorn" else ("--port", str(port))
    environ = os.environ | {"MAINTENANCE_STORE_URL": url, "MAINTENANCE_SERVICE_NAME": service_name}
    process = subprocess.Popen(
        [sys.executable, "-m", *_SERVERS[server], *where],
        cwd=Path(__file__).resolve().parents[1],
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, process)
        yield port
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with suppress(OSError, http.client.HTTPException):
            if _ask(connection)[0] == 200:
                connection.close()
                return
        time.sleep(0.05)
    raise SystemExit("a server did not start")
