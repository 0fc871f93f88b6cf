"""The second proof over several processes on real stores: a code opens once, five tries are five in all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyotp
import pytest

from quiesce import EnhancedMaintenanceModeService, Settings

if TYPE_CHECKING:
    from tests.nursery.client import Nursery

KEY, TOKEN = "a-secret-key-of-the-tests", "a-token-of-the-tests"
WORKER = """
import json, sys
from quiesce import ApiRequest, EnhancedMaintenanceModeService, MaintenanceStatusAPI, Principal, Settings

URL, KEY, TOKEN, USER = sys.argv[1:]
service = EnhancedMaintenanceModeService(Settings(store_url=URL, secret_key=KEY, admin_token=TOKEN))
api = MaintenanceStatusAPI(service)
service.get_maintenance_status()
print("ready", flush=True)
for line in sys.stdin:
    body = {"reason": "fire", "mode": "emergency", "overlap": True, "proof": line.strip()}
    answer = api.handle(ApiRequest(
        method="POST",
        path="/api/maintenance/enable",
        headers={"content-type": "application/json", "host": "h", "origin": "http://h"},
        body=json.dumps(body).encode(),
        principal=Principal(USER, is_admin=True),
    ))
    print(json.dumps({"status": answer.status, **dict(answer.headers)}), flush=True)
service.close()
"""

Workers = Callable[..., list["subprocess.Popen[str]"]]


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/maintenance.db"
    server: Any = request.getfixturevalue("redis_server")
    return str(server.url)


@pytest.fixture
def operator(url: str) -> Iterator[EnhancedMaintenanceModeService]:
    service = EnhancedMaintenanceModeService(Settings(store_url=url, secret_key=KEY))
    yield service
    service.close()


@pytest.fixture
def start(nursery: Nursery) -> Iterator[Workers]:
    """Start processes that send each line of their input as a proof, and print what is answered."""
    with ExitStack() as stack:

        def make(url: str, *, count: int = 3, user: str = "ann") -> list[subprocess.Popen[str]]:
            workers = []
            for _ in range(count):
                process: subprocess.Popen[str] = nursery.start(
                    [sys.executable, "-c", WORKER, url, KEY, TOKEN, user],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                stack.enter_context(process)  # closes the pipes, and waits
                stack.callback(process.kill)
                workers.append(process)
            for process in workers:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
            return workers

        yield make


def send(workers: list[subprocess.Popen[str]], *proofs: str) -> list[dict[str, Any]]:
    """Send the proofs from every process at once, and return all answers."""
    for process in workers:
        assert process.stdin is not None
        process.stdin.write("".join(f"{proof}\n" for proof in proofs))
        process.stdin.flush()
    return [json.loads(process.stdout.readline()) for process in workers for _ in proofs if process.stdout is not None]


def test_a_code_opens_one_emergency_in_the_whole_cluster(
    url: str, operator: EnhancedMaintenanceModeService, start: Workers
) -> None:
    """Whoever sees the code go by, at the same moment, at another server, is too late."""
    enrolment = operator.operators.prepare("ann")
    operator.operators.enroll(enrolment, code=None, actor="ops")
    workers = start(url)

    answers = send(workers, pyotp.TOTP(enrolment.secret).now())

    assert Counter(answer["status"] for answer in answers) == {200: 1, 403: 2}
    assert len(operator.get_maintenance_status().windows) == 1


def test_five_tries_are_five_over_all_processes(
    url: str, operator: EnhancedMaintenanceModeService, start: Workers
) -> None:
    """More servers are not more tries; another operator is not silenced with them."""
    workers, (other,) = start(url), start(url, count=1, user="bob")

    answers = send(workers, *["wrong"] * 4)

    assert Counter(answer["status"] for answer in answers) == {403: 5, 429: 7}
    assert all(0 < int(answer["retry-after"]) <= 900 for answer in answers if answer["status"] == 429)
    assert {answer["status"] for answer in send(workers, TOKEN)} == {429}
    assert not operator.get_maintenance_status().is_active
    assert [answer["status"] for answer in send([other], TOKEN)] == [200]
    actions = Counter(record.action for record in operator.store.audit())
    assert (actions["proof.wrong"], actions["proof.silenced"]) == (5, 1)


def test_a_store_that_is_gone_opens_nothing(redis_server: Any, start: Workers) -> None:
    """Not for the right proof either: nobody could count the wrong ones."""
    workers = start(redis_server.url, count=1)
    redis_server.kill()

    assert [answer["status"] for answer in send(workers, TOKEN, "wrong")] == [503, 503]

    redis_server.start()
    assert [answer["status"] for answer in send(workers, TOKEN)] == [200]
