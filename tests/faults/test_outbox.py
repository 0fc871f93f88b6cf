"""Deliverers that are killed at any moment lose nothing, mix nothing up, and never send at the same time."""

from __future__ import annotations

import random
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from quiesce import EventKind, MaintenanceEvent, Store, open_store
from quiesce.control.outbox_notes import read_dead, read_places, write_place
from quiesce.control.outbox_rules import Place
from quiesce.testing import eventually
from quiesce.testing.clock import NOON

DELIVERER = Path(__file__).with_name("deliverer.py")
KILLS = 5
CLAIM_SECONDS = 0.6
EVENTS_EACH = 40


class Receiver:
    """Takes lines over TCP, and keeps them in the order in which they came; drops what its sender does not wait for.

    Attributes:
        lines: as they were sent.
        taken: the ids of the events that were not dropped.
        most_at_once: how many it was taking at the same moment, at most.
    """

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, int]] = []
        self.taken: list[str] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._take, args=(connection,), daemon=True).start()

    def _take(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rw") as stream:
            try:
                for line in stream:
                    event_id, notice_id, attempt = line.split()
                    with self._lock:
                        self._at_once += 1
                        self.most_at_once = max(self.most_at_once, self._at_once)
                        self.lines.append((event_id, notice_id, int(attempt)))
                    threading.Event().wait(random.random() * 0.004)
                    is_waited_for = not select.select([connection], [], [], 0)[0]
                    with self._lock:
                        self._at_once -= 1
                        self.taken += [event_id] if is_waited_for else []
                    stream.write("taken\n")
                    stream.flush()
            except (OSError, ValueError):
                return


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store that processes share."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/maintenance.db"
    found: str = request.getfixturevalue("redis_server").url
    return found


@contextmanager
def deliverer(url: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, str(DELIVERER), url, str(port), str(CLAIM_SECONDS)]
    with subprocess.Popen(command) as process:
        try:
            yield process
        finally:
            process.kill()


def commit(store: Store, count: int) -> list[str]:
    ids = []
    for _ in range(count):
        state = store.load()
        event = MaintenanceEvent(kind=EventKind.CHANGED, at=NOON, revision=state.revision + 1, number=0)
        successor = replace(state, revision=state.revision + 1)
        store.commit(successor, expected_revision=state.revision, audit=(), events=(event,))
        ids.append(event.id)
    return ids


def test_killed_deliverers_lose_nothing_and_keep_the_order(
    url: str, receiver: Receiver, pytestconfig: pytest.Config
) -> None:
    """What was sent when the process died is sent again under the same id; nothing else is, and nothing overtakes."""
    kills = pytestconfig.getoption("--kills", None) or KILLS
    chance = random.Random()
    store = open_store(url)
    write_place(store.items, "receiver", Place(cursor=""), expected=None)
    ids: list[str] = []

    for _ in range(kills):
        ids += commit(store, EVENTS_EACH)
        seen = len(receiver.lines)
        with deliverer(url, receiver.port), deliverer(url, receiver.port) as second:
            eventually(lambda seen=seen: len(receiver.lines) > seen, within=30)  # type: ignore[misc]  # bound now
            threading.Event().wait(chance.random() * 0.15)
            second.kill()  # who sends, or who waits for its turn
            threading.Event().wait(chance.random() * 0.05)
    with deliverer(url, receiver.port):
        eventually(lambda: receiver.lines[-1][0] == ids[-1], within=60)
        eventually(lambda: read_places(store.items)["receiver"][0].cursor == ids[-1], within=30)

    assert list(dict.fromkeys(receiver.taken)) == ids
    repeats = [
        (a, b) for a, b in zip(receiver.lines, receiver.lines[1:], strict=False) if int(a[0][:-2]) >= int(b[0][:-2])
    ]
    assert all(a[:2] == b[:2] and b[2] > a[2] for a, b in repeats), repeats
    assert len(repeats) <= kills * 2
    assert receiver.most_at_once == 1
    assert read_dead(store.items) == ()
    store.close()


def test_deliverers_share_the_work_without_repeating_it(url: str, receiver: Receiver) -> None:
    """Several processes that all take themselves for the leader send each notice once."""
    store = open_store(url)
    write_place(store.items, "receiver", Place(cursor=""), expected=None)

    ids: list[str] = []
    with deliverer(url, receiver.port), deliverer(url, receiver.port):
        for _ in range(8):
            ids += (batch := commit(store, 10))
            eventually(lambda last=batch[-1]: receiver.lines and receiver.lines[-1][0] == last, within=30)  # type: ignore[misc]  # bound now

    assert [(event_id, attempt) for event_id, _, attempt in receiver.lines] == [(id_, 1) for id_ in ids]
    assert receiver.most_at_once == 1
    store.close()
