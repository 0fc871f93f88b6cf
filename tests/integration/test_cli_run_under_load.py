"""``quiesce run`` in front of a real server under write load: what it promises, seen from inside the application."""

from __future__ import annotations

import http.client
import os
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from quiesce.testing import eventually

if TYPE_CHECKING:
    from tests.nursery.client import Nursery

Shell = Any  # as made in conftest.py

APPS = Path(__file__).parent / "cli_apps"
CLIENTS = 6

# The command: fails unless no write is running when it starts, and none begins while it works.
MIGRATION = """
import pathlib, sys, time
facts, marker = map(pathlib.Path, sys.argv[1:])
before = facts.read_text().split()
running = before.count("began") - before.count("ended")
if running:
    sys.exit(f"{running} writes are running")
deadline = time.monotonic() + 1.5
while time.monotonic() < deadline:
    if len(facts.read_text().split()) != len(before):
        sys.exit("a write has begun")
    time.sleep(0.01)
marker.write_text(str(len(before)))
"""


class Load:
    """Clients that write as soon as they are answered, until they are stopped; counts the statuses."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._is_over = threading.Event()
        self.statuses: Counter[int] = Counter()
        self._threads = [threading.Thread(target=self._write) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let each client end after its request."""
        self._is_over.set()
        for thread in self._threads:
            thread.join(30)

    def _write(self) -> None:
        while not self._is_over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
            connection.request("POST", "/entries")
            status = connection.getresponse().status
            self.statuses[status] += 1
            connection.close()
            if status == 503:
                self._is_over.wait(0.01)  # hundreds of tries a second are as good as thousands


@pytest.fixture
def serve(shell: Shell, nursery: Nursery) -> Iterator[Callable[[], int]]:
    """Start the ledger on gunicorn with two workers; return its port once it listens."""
    with ExitStack() as stack:

        def serve() -> int:
            log = shell.folder / "gunicorn.log"
            words = ["--bind", "127.0.0.1:0", "--workers", "2", "--threads", "4", "--chdir", str(APPS), "ledger:app"]
            environment = {**os.environ, **shell.environment, "LEDGER_FACTS": str(shell.folder / "facts")}
            with log.open("wb") as written:
                process = nursery.start(
                    [sys.executable, "-m", "gunicorn", *words], stdout=written, stderr=written, env=environment
                )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            found = eventually(lambda: re.search(r"Listening at: \S+:(\d+)", log.read_text()), within=30)
            assert found is not None
            return int(found[1])

        yield serve


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_command_starts_when_no_write_runs_and_none_begins_until_it_has_ended(
    shell: Shell, serve: Callable[[], int], kind: str, make_redis: Callable[..., Any]
) -> None:
    """The promise in one test; the application itself is the witness."""
    if kind == "redis":
        shell.environment["MAINTENANCE_STORE_URL"] = make_redis().url
    facts, marker = shell.folder / "facts", shell.folder / "marker"
    load = Load(serve())
    try:
        eventually(lambda: load.statuses[200] > CLIENTS, within=30)
        words = ["run", "--reason", "Migration", "--expect", "2", "--wait", "30s"]

        done = shell.run(*words, "--", sys.executable, "-c", MIGRATION, str(facts), str(marker))

        assert done.returncode == 0, done.stderr
        written = facts.read_text().count("began")
        refused = load.statuses[503]
        eventually(lambda: facts.read_text().count("began") > written + CLIENTS, within=30)
    finally:
        load.stop()

    assert marker.exists()
    assert refused > 0
    assert set(load.statuses) == {200, 503}
