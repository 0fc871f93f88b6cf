"""Starts the two applications as they would run in production, and ends them."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

HERE = Path(__file__).parent
START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Shop:
    """One running application."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Demo:
    """Both applications, the environment that they and ``quiesce`` run in, and the admin token."""

    shops: tuple[Shop, ...]
    environment: dict[str, str]
    token: str


@contextmanager
def running(folder: Path) -> Iterator[Demo]:
    """Run gunicorn and uvicorn with two workers each on one SQLite store in ``folder``."""
    token = secrets.token_urlsafe(24)
    environment = os.environ | {
        "MAINTENANCE_STORE_URL": f"sqlite:///{folder / 'maintenance.db'}",
        "MAINTENANCE_ADMIN_TOKEN": token,
        "DEMO_SECRET_KEY": secrets.token_urlsafe(24),
        "PYTHONPATH": str(HERE),
    }
    flask_port, fastapi_port = _free_ports(2)
    commands = {
        Shop("Flask on gunicorn", f"http://127.0.0.1:{flask_port}"): [
            *("gunicorn", "flask_app:app", "--workers", "2", "--threads", "4"),
            *("--bind", f"127.0.0.1:{flask_port}", "--log-level", "warning"),
        ],
        Shop("FastAPI on uvicorn", f"http://127.0.0.1:{fastapi_port}"): [
            *("uvicorn", "fastapi_app:app", "--workers", "2"),
            *("--host", "127.0.0.1", "--port", str(fastapi_port), "--log-level", "warning"),
        ],
    }
    with ExitStack() as stack:
        for command in commands.values():
            stack.enter_context(_process([sys.executable, "-m", *command], environment))
        for shop in commands:
            _wait_for(shop)
        yield Demo(tuple(commands), environment, token)


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


def _wait_for(shop: Shop) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            httpx.get(f"{shop.url}/items").raise_for_status()
        except httpx.HTTPError as exc:
            if time.monotonic() > deadline:
                raise SystemExit(f"{shop.name} does not start: {exc}") from exc
            time.sleep(0.05)
        else:
            return


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
