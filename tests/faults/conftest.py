"""Real servers with two workers each, and an operator beside them."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from quiesce import EnhancedMaintenanceModeService, Settings, open_store
from quiesce.testing import eventually

APPS = Path(__file__).parent / "apps"

Serve = Callable[..., str]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults", "trials by chance")
    group.addoption("--seeds", type=int, help="run so many trials on each store, with seeds drawn from the run's own")
    group.addoption("--seed", type=int, help="run the trials with this seed only")
    group.addoption("--kills", type=int, help="kill the deliverer of notices so often, on each store")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", seeds(metafunc.config), ids="seed-{}".format)


def seeds(config: pytest.Config) -> list[int]:
    """Return the seeds of this run; they are drawn from the one of pytest-randomly, which all its processes share."""
    if (only := config.getoption("--seed", None)) is not None:
        return [only]
    chance = random.Random(int(config.getoption("randomly_seed", 0)))
    return [chance.randrange(1_000_000) for _ in range(config.getoption("--seeds", None) or 1)]


def free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago, that no outgoing connection is given, and that no board knows."""
    chance = random.SystemRandom()  # pytest-randomly seeds the other one alike in all workers
    found: list[int] = []
    with ExitStack() as stack:
        while len(found) < count:
            probe = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", chance.randrange(22_000, 32_000)))
                port = probe.getsockname()[1]
                if not has_board(port):
                    found.append(port)
    return found


def has_board(port: int) -> bool:
    """Whether the machine knows what was last committed to a Redis of this port."""
    with contextlib.closing(open_store(f"redis://127.0.0.1:{port}/0")) as store:
        return store.board_path is not None and store.board_path.exists()


@pytest.fixture
def some_ports() -> list[int]:
    """Three free ports."""
    return free_ports(3)


def is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/items").status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server of a kind (``flask`` or ``fastapi``) on a store, and return its address once it answers."""
    with ExitStack() as stack:

        def start(kind: str, store_url: str, **environment: str) -> str:
            (port,) = free_ports(1)
            commands = {
                "flask": [*("gunicorn", "flask_shop:app", "-w", "2", "--threads", "4", "-b", f"127.0.0.1:{port}")],
                "fastapi": [*("uvicorn", "fastapi_shop:app", "--workers", "2", "--port", str(port))],
            }
            log = stack.enter_context((Path(os.devnull)).open("wb"))
            process = subprocess.Popen(
                [sys.executable, "-m", *commands[kind]],
                cwd=APPS,
                env=os.environ | {"MAINTENANCE_STORE_URL": store_url, "PYTHONPATH": str(APPS)} | environment,
                stdout=log,
                stderr=log,
            )
            stack.callback(_end, process)
            url = f"http://127.0.0.1:{port}"
            eventually(lambda: process.poll() is not None or is_up(url), within=60)
            assert process.poll() is None, f"{kind} has ended with exit code {process.returncode}"
            return url

        yield start


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture
def operate() -> Iterator[Callable[[str], EnhancedMaintenanceModeService]]:
    """Return a service on a store, as an operator's process has it: no worker."""
    with ExitStack() as stack:

        def connect(store_url: str) -> EnhancedMaintenanceModeService:
            service = EnhancedMaintenanceModeService(Settings(store_url=store_url))
            stack.callback(service.close)
            return service

        yield connect


@pytest.fixture
def all_workers() -> Callable[[str, EnhancedMaintenanceModeService, int], set[int]]:
    """Send requests until so many workers have answered and are listed; return their pids."""

    def meet(url: str, service: EnhancedMaintenanceModeService, count: int) -> set[int]:
        def pids() -> set[int]:
            httpx.get(f"{url}/items")  # a new connection each time, so that each worker gets its turn
            listed = {report.worker.pid for report in service.store.workers()}
            return listed if len(listed) >= count else set()

        return eventually(pids, within=60)

    return meet
