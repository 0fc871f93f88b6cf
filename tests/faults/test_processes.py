"""Workers that die, stop, and come back, while an operator wants proof."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from quiesce import EnhancedMaintenanceModeService
from quiesce.testing import eventually

Operate = Callable[[str], EnhancedMaintenanceModeService]
AllWorkers = Callable[[str, EnhancedMaintenanceModeService, int], set[int]]

LONG = timedelta(seconds=30)


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'maintenance.db'}"


@pytest.mark.parametrize("kind", ["flask", "fastapi"])
def test_a_stopped_worker_is_unconfirmed_until_it_goes_on(
    kind: str, store_url: str, serve: Callable[..., str], operate: Operate, all_workers: AllWorkers
) -> None:
    """What does not answer may still be writing: unknown is never counted as quiet."""
    url, service = serve(kind, store_url), operate(store_url)
    stopped, *_ = all_workers(url, service, 2)
    os.kill(stopped, signal.SIGSTOP)
    try:
        service.enable(reason="work", actor="ann")
        report = service.wait_until_quiesced(timeout=timedelta(seconds=5))
        ids = {each.worker.pid: each.worker.id for each in report.workers}

        assert not report.quiesced
        assert ids[stopped] in report.unconfirmed
        assert any(f"pid {stopped} " in obstacle for obstacle in report.obstacles)
    finally:
        os.kill(stopped, signal.SIGCONT)

    assert service.wait_until_quiesced(timeout=LONG, expected_workers=2).quiesced


def test_a_killed_worker_is_taken_off_the_list_and_its_successor_refuses_from_the_start(
    store_url: str, serve: Callable[..., str], operate: Operate, all_workers: AllWorkers
) -> None:
    """A crash must neither block the proof for ever nor let a fresh process open the gate."""
    url, service = serve("flask", store_url), operate(store_url)
    killed, *_ = all_workers(url, service, 2)
    service.enable(reason="work", actor="ann")

    os.kill(killed, signal.SIGKILL)

    eventually(lambda: killed not in {each.worker.pid for each in service.quiescence().workers})
    statuses = {httpx.post(f"{url}/items").status_code for _ in range(40)}
    assert statuses == {503}
    assert killed not in all_workers(url, service, 2)
    assert service.wait_until_quiesced(timeout=LONG, expected_workers=2).quiesced
