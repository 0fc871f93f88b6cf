"""Fixtures: gunicorn around an application of this folder, on a store that the test shares."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from quiesce import EnhancedMaintenanceModeService, NoOpenWindowError, Settings
from quiesce.testing import eventually

if TYPE_CHECKING:
    from tests.nursery.client import Nursery

SECRET_KEY = "a-secret-key-of-the-tests"


class Answer(NamedTuple):
    """A response; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Server:
    """A gunicorn that listens.

    Attributes:
        port: where, on 127.0.0.1.
        process: the master.
        log: all it wrote.
    """

    def __init__(
        self, nursery: Nursery, application: str, *options: str, folder: Path, environ: Mapping[str, str]
    ) -> None:
        self.log = folder / f"{application}.log"
        command = [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0", "--graceful-timeout", "5", "--chdir"]
        with self.log.open("ab") as log:
            self.process = nursery.start(
                [*command, str(Path(__file__).parent), *options, application],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environ},
            )
        self.port = eventually(self._find_port, within=30)

    def _find_port(self) -> int:
        assert self.process.poll() is None, self.log.read_text()
        found = re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", self.log.read_text())
        return int(found[1]) if found else 0

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection of one's own."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """Send one request on a new connection and return the whole answer."""
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            response = connection.getresponse()
            read = response.read()
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, read)

    def stop(self) -> None:
        """End it as an init system would; after a while, without asking."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Site:
    """A folder with one store, the servers that share it, and an operator who serves nothing.

    Attributes:
        folder: for what servers and tests tell each other.
        environ: what servers that are started from now on get.
        operator: of the same store.
    """

    def __init__(self, folder: Path, nursery: Nursery) -> None:
        self.folder = folder
        self._nursery = nursery
        store_url = f"sqlite:///{folder}/maintenance.db"
        # Werkzeug sends Allow in the order of a set, which would differ from one cold start to the next.
        self.environ = {"MAINTENANCE_STORE_URL": store_url, "SHOP_FOLDER": str(folder), "PYTHONHASHSEED": "0"}
        self.environ["MAINTENANCE_SECRET_KEY"] = SECRET_KEY
        self.operator = EnhancedMaintenanceModeService(Settings(store_url=store_url, secret_key=SECRET_KEY))
        self._servers: list[Server] = []

    def start(self, application: str, *options: str) -> Server:
        """Start gunicorn around ``module:application`` and return when it listens."""
        server = Server(self._nursery, application, *options, folder=self.folder, environ=self.environ)
        self._servers.append(server)
        return server

    def serve(self, application: str, *options: str) -> Server:
        """Start it and return when its two workers are registered."""
        server = self.start(application, *options)
        eventually(lambda: self._reach(server, 2), within=90)
        return server

    def _reach(self, server: Server, count: int) -> bool:
        with contextlib.suppress(TimeoutError):  # on a busy machine its workers may take long to start
            server.request("GET", "/")
        return len(self.operator.store.workers()) >= count

    def wait_quiet(self) -> None:
        """Return when both workers have confirmed that nothing refused runs."""
        report = self.operator.wait_until_quiesced(timeout=timedelta(seconds=20), expected_workers=2)
        assert report.quiesced, report.obstacles

    def close(self) -> None:
        """End every server, then the operator's service."""
        for server in self._servers:
            server.stop()
        self.operator.close()


@pytest.fixture(scope="session")
def open_site(nursery: Nursery) -> Callable[[Path], contextlib.AbstractContextManager[Site]]:
    """For fixtures that outlive a test."""
    return lambda folder: contextlib.closing(Site(folder, nursery))


@pytest.fixture
def site(tmp_path: Path, nursery: Nursery) -> Iterator[Site]:
    """A site of one's own."""
    with contextlib.closing(Site(tmp_path, nursery)) as site:
        yield site


@pytest.fixture(scope="module", params=["sync", "gthread"])
def shared_site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, nursery: Nursery
) -> Iterator[tuple[Site, Server]]:
    """A site with the shop on it, once for each kind of worker."""
    with contextlib.closing(Site(tmp_path_factory.mktemp(request.param), nursery)) as site:
        yield site, site.serve("shop:app", "--workers", "2", "--worker-class", request.param, "--threads", "4")


@pytest.fixture
def shop(shared_site: tuple[Site, Server]) -> Iterator[Server]:
    """The server of the shared site, with no window open before and after."""
    site, server = shared_site
    yield server
    with contextlib.suppress(NoOpenWindowError):
        site.operator.disable(end_all=True, actor="tests")


@pytest.fixture
def shop_site(shared_site: tuple[Site, Server]) -> Site:
    """The shared site."""
    return shared_site[0]


class HttpbinSite(NamedTuple):
    """PyPI's httpbin twice: as it is, and with maintenance mode."""

    site: Site
    bare: Server
    guarded: Server


@pytest.fixture(scope="module")
def shared_httpbin(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> Iterator[HttpbinSite]:
    """Both servers, for all tests of a module."""
    with contextlib.closing(Site(tmp_path_factory.mktemp("httpbin"), nursery)) as site:
        bare = site.start("httpbin:app", "--workers", "2")
        yield HttpbinSite(site, bare, site.serve("guarded_httpbin:app", "--workers", "2"))


@pytest.fixture
def httpbin(shared_httpbin: HttpbinSite) -> Iterator[HttpbinSite]:
    """Both servers, with no window open before and after."""
    yield shared_httpbin
    with contextlib.suppress(NoOpenWindowError):
        shared_httpbin.site.operator.disable(end_all=True, actor="tests")
