"""Sessions over several processes on real stores: who is active, and who deletes what is stored of ended ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from quiesce import EnhancedMaintenanceModeService, MaintenanceSessionManager, Principal, Settings
from quiesce.control.session_index import SessionIndex
from quiesce.testing import eventually

if TYPE_CHECKING:
    from tests.nursery.client import Nursery

BOB, EVE = Principal("bob"), Principal("eve")
ADMIN = Principal("root", is_admin=True)
WORKER = """
import os, sys, time
from pathlib import Path
from quiesce import EnhancedMaintenanceModeService, Settings, hookimpl
from quiesce.plugins import PluginManager

URL, LOG, MODE = sys.argv[1:]


class Deleting:
    @hookimpl
    def on_session_invalidate(self, invalidation):
        with open(LOG, "a") as log:
            log.write(f"{os.getpid()} began {invalidation.generation}\\n")
        while MODE == "hangs":
            time.sleep(1)
        with open(LOG, "a") as log:
            log.write(f"{os.getpid()} ended {invalidation.generation}\\n")


plugins = PluginManager()
plugins.register(Deleting(), "deleting")
service = EnhancedMaintenanceModeService(Settings(store_url=URL), plugins=plugins)
service.start()
print("started", flush=True)
sys.stdin.read()
"""

Open = Callable[[], EnhancedMaintenanceModeService]


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/maintenance.db"
    server: Any = request.getfixturevalue("redis_server")
    return str(server.url)


@pytest.fixture
def open_service(url: str) -> Iterator[Open]:
    """Services on the store, each with an agent of its own."""
    with ExitStack() as stack:

        def open_() -> EnhancedMaintenanceModeService:
            service = EnhancedMaintenanceModeService(Settings(store_url=url))
            stack.callback(service.close)
            service.start()
            return service

        yield open_


def test_workers_fill_one_index(url: str, open_service: Open) -> None:
    """An operator asks one place, whatever the number of workers; a session that moves between them counts once."""
    one, other = open_service(), open_service()
    for service, principal, key in (
        *((one, BOB, "b"), (other, BOB, "b"), (other, EVE, "e")),
        *((one, ADMIN, "r"), (other, Principal("mia", is_admin=True), "m")),
    ):
        service.sessions.note_activity(principal, key)
    manager = MaintenanceSessionManager(Settings(store_url=url))
    try:
        eventually(lambda: (manager.stats().users, manager.stats().admins) == (2, 2))
        other.sessions.note_activity(Principal("mia"), "m")
        eventually(lambda: (manager.stats().users, manager.stats().admins) == (3, 1))
        listed = manager.list()
        epoch = manager.end_user("bob", actor="ann")
        few = manager.stats()
        gone = SessionIndex(one.store.items).clean(epoch)
        left = {session.user_id for session in manager.list()}
        health = manager.health_check()
    finally:
        manager.close()

    assert len({session.id for session in listed}) == 4
    assert (few.users, few.admins, few.is_estimate) == (2, 1, False)
    assert (gone, left) == (1, {"eve", "mia", "root"})
    assert (health.indexed, health.is_tracked, health.generation) == (3, True, 1)


def test_what_was_noted_is_written_when_a_worker_stops(url: str, open_service: Open) -> None:
    """A restart of all workers must not empty the numbers."""
    service = open_service()
    service.sessions.note_activity(EVE, "first")
    eventually(lambda: service.sessions.stats().users == 1)
    service.sessions.note_activity(BOB, "last")
    service.stop()

    assert service.sessions.stats().users == 2


@pytest.fixture
def start(url: str, tmp_path: Path, nursery: Nursery) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start a worker process with a plugin that ``deletes``, or ``hangs`` in it."""
    environment = {name: value for name, value in os.environ.items() if "MAINTENANCE" not in name}
    with ExitStack() as stack:

        def start(mode: str) -> subprocess.Popen[str]:
            command = [sys.executable, "-c", WORKER, url, str(tmp_path / "log"), mode]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            process = stack.enter_context(nursery.start(command, env=environment, text=True, **pipes))
            stack.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == "started\n"
            return process

        yield start


def calls_audited(manager: MaintenanceSessionManager) -> list[str]:
    """What became of the plugin's calls, as the audit trail has it."""
    records = manager._runtime.store.audit()
    return [record.detail for record in records if record.action == "hook.on_session_invalidate"]


def test_the_next_leader_deletes_what_a_killed_one_left(
    url: str, tmp_path: Path, start: Callable[[str], subprocess.Popen[str]]
) -> None:
    """Deleting a million stored sessions may take longer than a worker lives; and then it is done once."""
    log = tmp_path / "log"
    log.touch()
    leader = start("hangs")
    manager = MaintenanceSessionManager(Settings(store_url=url))
    try:
        manager.invalidate(actor="ann")
        eventually(lambda: log.read_text() == f"{leader.pid} began 1\n", within=20)
        followers = [start("deletes") for _ in range(2)]

        leader.send_signal(signal.SIGKILL)
        eventually(lambda: "ended 1" in log.read_text(), within=30)
        manager.end_user("bob", actor="ann")
        eventually(lambda: "ended 2" in log.read_text(), within=20)
        eventually(lambda: len(calls_audited(manager)) == 2)
    finally:
        manager.close()

    lines = [line.split() for line in log.read_text().splitlines()]
    assert [(verb, number) for _, verb, number in lines] == [
        *(("began", "1"), ("began", "1"), ("ended", "1")),
        *(("began", "2"), ("ended", "2")),
    ]
    assert len({int(pid) for pid, *_ in lines[1:]}) == 1
    assert int(lines[1][0]) in {follower.pid for follower in followers}
