"""Jobs over HTTP and on the command line: what runs, ending it, putting it back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from quiesce import ApiRequest, EnhancedMaintenanceModeService, MaintenanceStatusAPI, hookimpl
from quiesce.cli.program import program
from quiesce.model import JobCounts, JobFate, JobRecord
from quiesce.plugins import PluginManager

TOKEN = "a-token-of-the-tests"
RECORD = JobRecord(source="q", id="1", queue="d", name="f", fate=JobFate.TERMINATED, is_restorable=True)


class Queue:
    def __init__(self) -> None:
        self.running: int | None = 0
        self.put_back: list[str] = []

    @hookimpl
    def job_counts(self) -> JobCounts:
        return JobCounts(source="q", running=self.running, reserved=0, queued=3)

    @hookimpl
    def hold_jobs(self) -> None:
        pass

    @hookimpl
    def stop_jobs(self) -> Sequence[JobRecord]:
        return [RECORD]

    @hookimpl
    def restore_jobs(self, ledger: Sequence[JobRecord]) -> Sequence[JobRecord]:
        self.put_back += [record.id for record in ledger]
        return [replace(record, put_back_as=f"{record.id}-again") for record in ledger]


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def plugins(queue: Queue) -> PluginManager:
    plugins = PluginManager()
    plugins.register(queue, "q")
    return plugins


@pytest.fixture
def service(make_service: Any, plugins: PluginManager, sqlite_url: str) -> EnhancedMaintenanceModeService:
    service: EnhancedMaintenanceModeService = make_service(sqlite_url, plugins=plugins, admin_token=TOKEN)
    return service


def ask(
    service: EnhancedMaintenanceModeService, method: str, path: str, body: object = None, **query: str
) -> tuple[int, Any]:
    asked = ApiRequest(
        method=method,
        path=f"/api/maintenance/{path}",
        query=query,
        headers={"authorization": f"Bearer {TOKEN}", "content-type": "application/json"},
        body=b"" if body is None else json.dumps(body).encode(),
    )
    answer = MaintenanceStatusAPI(service).handle(asked)
    return answer.status, json.loads(answer.body)


def test_jobs_are_listed_stopped_and_put_back_over_http(service: EnhancedMaintenanceModeService, queue: Queue) -> None:
    """The whole way of an emergency, for who has no shell."""
    window = service.enable(reason="r", mode="emergency", actor="a")

    status, stopped = ask(service, "POST", "jobs/stop", {"grace": 0})
    assert (status, stopped["is_quiet"], stopped["window_id"]) == (200, True, window.id)
    assert ask(service, "POST", "jobs/restore", {"window_id": window.id})[0] == 409
    service.disable(actor="a")
    status, restored = ask(service, "POST", "jobs/restore", {"window_id": window.id})
    assert (status, [record["put_back_as"] for record in restored["restored"]]) == (200, ["1-again"])

    status, listed = ask(service, "GET", "jobs", window=window.id)
    assert status == 200
    assert listed["queues"][0]["counts"][0]["queued"] == 3
    assert [(entry["window_id"], entry["put_back_as"]) for entry in listed["ledger"]] == [(window.id, "1-again")]
    assert queue.put_back == ["1"]


def test_stopping_without_a_window_is_a_conflict(service: EnhancedMaintenanceModeService) -> None:
    """And a wrong field is named."""
    assert ask(service, "POST", "jobs/stop", {})[0] == 409
    assert ask(service, "POST", "jobs/stop", {"grace": "x"})[1]["field"] == "grace"
    assert ask(service, "POST", "jobs/restore", {})[1]["field"] == "window_id"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = program.main([*arguments, "--json"], "quiesce", standalone_mode=False)
    told = capsys.readouterr()
    return code, json.loads(told.out or told.err)


def test_commands_do_the_same(
    service: EnhancedMaintenanceModeService,
    queue: Queue,
    plugins: PluginManager,
    sqlite_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 3 when something may still run: a script goes on only after 0."""
    monkeypatch.setenv("MAINTENANCE_STORE_URL", sqlite_url)
    monkeypatch.setattr(PluginManager, "load", lambda **_: plugins)
    assert run(capsys, "jobs", "stop", "--yes")[0] == 5
    window_id = run(capsys, "enable", "--reason", "r")[1]["window"]["id"]

    queue.running = 1
    busy = run(capsys, "jobs", "stop", "--yes", "--grace", "0s")
    queue.running = 0
    quiet = run(capsys, "jobs", "stop", "--yes", "--grace", "0s")
    early = run(capsys, "jobs", "restore", window_id, "--yes")
    run(capsys, "disable")
    late = run(capsys, "jobs", "restore", window_id, "--yes")
    listed = run(capsys, "jobs", "list")

    assert (busy[0], quiet[0], early[0], late[0], listed[0]) == (3, 0, 5, 0, 0)
    assert [record["id"] for record in late[1]["restored"]] == ["1"]
    assert listed[1]["ledger"][0]["put_back_as"] == "1-again"
    program.main(["jobs", "list"], "quiesce", standalone_mode=False)
    shown = capsys.readouterr().out
    assert "q: 3 queued" in shown
    assert "put back as 1-again" in shown
