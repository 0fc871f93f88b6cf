"""Four workers of two frameworks under traffic, while an operator opens and closes windows from the command line."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from quiesce import EnhancedMaintenanceModeService

CYCLES = 4
CLIENTS_PER_SERVER = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """One request: when it was sent, when it was answered (monotonic), and how."""

    sent: float
    received: float
    status: int


def test_no_decision_is_older_than_the_command_that_returned_before_it(
    tmp_path: Path,
    serve: Callable[..., str],
    operate: Callable[[str], EnhancedMaintenanceModeService],
    all_workers: Callable[[str, EnhancedMaintenanceModeService, int], set[int]],
) -> None:
    """A change is visible to the next request of every process on the machine."""
    store_url = f"sqlite:///{tmp_path / 'maintenance.db'}"
    urls = [serve("flask", store_url), serve("fastapi", store_url)]
    service = operate(store_url)
    all_workers(urls[0], service, 4)  # uvicorn's are listed from the start, gunicorn's from their first request
    answers: list[Answer] = []
    stop = threading.Event()

    def hammer(url: str) -> None:
        with httpx.Client(timeout=30) as client:
            while not stop.is_set():
                sent = time.monotonic()
                status = client.post(f"{url}/items").status_code
                answers.append(Answer(sent, time.monotonic(), status))

    clients = [threading.Thread(target=hammer, args=(url,)) for url in urls for _ in range(CLIENTS_PER_SERVER)]
    for client in clients:
        client.start()
    periods = []
    try:
        for _ in range(CYCLES):
            closed_from = run(store_url, "enable", "--reason", "work")
            time_passes(answers)
            closed_until = time.monotonic()
            open_from = run(store_url, "disable")
            time_passes(answers)
            periods += [(closed_from, closed_until, 503), (open_from, time.monotonic(), 201)]
    finally:
        stop.set()
        for client in clients:
            client.join()

    judged = 0
    for since, until, expected in periods:
        inside = [answer for answer in answers if since <= answer.sent and answer.received <= until]
        judged += len(inside)
        assert [answer for answer in inside if answer.status != expected] == []
    assert judged >= CYCLES * 2 * 30


def run(store_url: str, *arguments: str) -> float:
    """Run the command, and return the time when it had returned."""
    environment = os.environ | {"MAINTENANCE_STORE_URL": store_url}
    subprocess.run([sys.executable, "-m", "quiesce.cli", *arguments], env=environment, check=True, capture_output=True)
    return time.monotonic()


def time_passes(answers: list[Answer]) -> None:
    """Let sixty requests more be answered."""
    goal = len(answers) + 60
    deadline = time.monotonic() + 60
    while len(answers) < goal:
        assert time.monotonic() < deadline, "the servers do not answer"
        time.sleep(0.005)
