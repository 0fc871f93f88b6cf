"""``quiesce sessions`` and ``--sessions`` as real processes on a real store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quiesce import Settings, open_store

COMMAND = [sys.executable, "-W", "error", "-m", "quiesce.cli"]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/maintenance.db"


@pytest.fixture
def run(tmp_path: Path, url: str) -> Run:
    environment = {name: value for name, value in os.environ.items() if "MAINTENANCE" not in name}
    environment["MAINTENANCE_STORE_URL"] = url

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *words],
            cwd=tmp_path,
            env=environment | more,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_becomes_of_sessions_can_be_said_and_is_shown(run: Run) -> None:
    """An operator who logs everybody out must mean it, and who does not must see that nobody is."""
    opened = answer(run("enable", "--json", "--reason", "r", "--sessions", "suspend"))["window"]
    shown = run("status").stdout
    planned = run("schedule", "add", "--reason", "r", "--start", "2098-01-01T00:00", "--sessions", "keep").stdout
    held = answer(
        run("run", "--json", "--reason", "r", "--overlap", "--expect", "0", "--sessions", "revoke", "--", "true")
    )

    assert opened["sessions"] == "suspend"
    assert "sessions  count again afterwards" in shown
    assert "sessions  stay" in planned
    assert held["window"]["sessions"] == "revoke"


def test_an_emergency_keeps_sessions_if_the_settings_say_so(run: Run, url: str) -> None:
    """The command reads the setting where it runs, and the state shows what it decided."""
    opened = answer(
        run("enable", "--json", "--reason", "r", "--mode", "emergency", EMERGENCY_MODE_SESSION_CLEANUP="false")
    )

    store = open_store(url, service_name=Settings().service_name)
    try:
        assert opened["window"]["sessions"] == "keep"
        assert store.load().sessions.generation == 0
    finally:
        store.close()
