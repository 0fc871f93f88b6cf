"""Several uvicorn workers on one store, commanded from another process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from quiesce.testing import eventually

pytestmark = pytest.mark.slow

SECRET_KEY = "a-secret-key-of-the-tests"


@pytest.fixture
def shop(tmp_path: Path, start_process: Any) -> Any:
    """Two workers of the shop."""
    return start_process(
        "shop:build",
        workers=2,
        MAINTENANCE_STORE_URL=f"sqlite:///{tmp_path}/m.db",
        MAINTENANCE_SECRET_KEY=SECRET_KEY,
    )


@pytest.fixture
def operator(tmp_path: Path, make_service: Any) -> Any:
    """The service of a process that serves nothing."""
    return make_service(store_url=f"sqlite:///{tmp_path}/m.db", secret_key=SECRET_KEY)


@pytest.fixture
def clients(shop: Any, operator: Any) -> Iterator[list[httpx.Client]]:
    """Connections that stay open; together they reach both workers."""
    eventually(lambda: len(operator.store.workers()) == 2, within=90)
    connected: dict[int, list[httpx.Client]] = {}
    every: list[httpx.Client] = []

    def reach_both() -> bool:
        client = httpx.Client(base_url=shop.url, timeout=20, verify=False)
        every.append(client)
        connected.setdefault(client.get("/items").json(), []).append(client)
        return len(connected) == 2

    try:
        eventually(reach_both, within=30)
        yield [found[0] for found in connected.values()]
    finally:
        for client in every:
            client.close()


def test_a_change_holds_from_the_next_request_of_every_worker_on(shop: Any, operator: Any, clients: Any) -> None:
    """One stale answer after ``enable`` returned, and the proof is a lie."""
    stale = 0
    for _ in range(30):
        operator.enable(reason="upgrade", actor="ops")
        stale += sum(client.post("/items").status_code != 503 for client in clients)
        operator.disable(actor="ops")
        stale += sum(client.post("/items").status_code != 200 for client in clients)

    assert stale == 0
    for client in clients:
        assert client.get("/items").status_code == 200


def test_both_are_listed_while_they_serve(shop: Any, operator: Any, clients: Any) -> None:
    """An operator waits for those that are listed, and for nobody else."""
    pids = {client.get("/items").json() for client in clients}

    assert {report.worker.pid for report in operator.store.workers()} == pids
    assert {report.worker.framework for report in operator.store.workers()} == {"fastapi"}

    shop.stop()

    assert not operator.store.workers()


def test_a_slow_request_is_waited_for_and_admins_pass(operator: Any, clients: Any) -> None:
    """Quiet means that what began before the window has ended."""
    answers = []
    slow = threading.Thread(target=lambda: answers.append(clients[0].post("/slow?seconds=1.5").status_code))
    operator.wait_until_quiesced(timeout=timedelta(seconds=1))
    slow.start()
    try:
        with httpx.Client(base_url=str(clients[1].base_url)) as admin:
            eventually(lambda: _in_flight(operator))
            report = operator.quiescence()
            assert not report.quiesced
            assert admin.post("/items", headers={"Cookie": "user=ann"}).status_code == 200
            assert admin.post("/items", headers={"Cookie": "user=bob"}).status_code == 503
        done = operator.wait_until_quiesced(timeout=timedelta(seconds=15), expected_workers=2)
    finally:
        slow.join()

    assert done.quiesced
    assert answers == [200]


def test_a_pass_opens_every_worker_until_it_is_revoked(operator: Any, clients: Any, shop: Any) -> None:
    """The way of a tester: the page, the cookie, both workers; and from the revocation on none."""
    issued = operator.passes.issue(name="QA, Ann", actor="ops")
    header = {"X-Maintenance-Pass": issued.text}
    operator.enable(reason="upgrade", actor="ops")
    with httpx.Client(base_url=shop.url, verify=False) as browser:
        taken = browser.post("/api/maintenance/pass", data={"pass": issued.text}, headers={"Origin": shop.url})
        by_cookie = browser.post("/items").status_code
        by_header = [client.post("/items", headers=header).status_code for client in clients]

        operator.passes.revoke(issued.granted.id, actor="ops")

        assert (taken.status_code, str(taken.url.join(taken.headers["location"]))) == (303, f"{shop.url}/")
        assert (by_cookie, by_header) == (200, [200, 200])
        assert browser.post("/items").status_code == 503
        assert [client.post("/items", headers=header).status_code for client in clients] == [503, 503]


def _in_flight(operator: Any) -> bool:
    """Open the window once the slow request can have begun; say whether some worker reports it."""
    if not operator.get_maintenance_status().is_active:
        operator.enable(reason="upgrade", actor="ops")
    return bool(operator.quiescence().in_flight)
