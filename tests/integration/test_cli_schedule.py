"""``quiesce schedule`` as a real process on a real store: what is planned, shown, changed and taken back."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from quiesce import EnhancedMaintenanceModeService, Settings
from quiesce.testing import FakeClock

NEVER = "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(shell: Any) -> Run:
    return lambda *words: shell.run("schedule", *words)


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def days_ahead(days: int, at: str = "02:00") -> str:
    return f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}T{at}"


def test_a_window_is_planned_shown_changed_and_taken_back(run: Run) -> None:
    """The whole life of a plan that came to nothing."""
    added = answer(
        run(
            *("add", "--json", "--id", "upgrade", "--reason", "Upgrade", "--start", days_ahead(9)),
            *("--duration", "45m", "--timeout", "2h", "--announce", "24h", "--announce", "15m", "--ticket", "OPS-7"),
            *("--block", "job_creation", "--block", "read_operations", "--allow", "read_operations"),
        )
    )["window"]
    shown = answer(run("show", "upgrade", "--json"))["window"]
    changed = answer(run("change", "upgrade", "--json", "--timeout", "3h", "--no-notify"))["window"]
    listed = answer(run("list", "--json"))
    cancelled = run("cancel", "upgrade")

    assert shown == added
    assert added["state"] == "planned"
    assert added["operations"] == ["job_creation", "read_operations"]
    assert added["allowed_operations"] == ["read_operations"]
    assert (added["announce"], added["ticket"], added["notify_users"]) == ([86400, 900], "OPS-7", True)
    assert changed["ends_at"] == added["starts_at"].replace("T02", "T05")
    assert not changed["notify_users"]
    assert [window["id"] for window in listed["windows"]] == ["upgrade"]
    assert cancelled.stdout.startswith("Cancelled window upgrade")
    assert answer(run("list", "--json")) == {"windows": [], "schedules": [], "warnings": []}


def test_a_schedule_shows_its_next_windows_in_words_and_as_json(run: Run) -> None:
    """An operator must be able to check that the rule means what he meant."""
    added = answer(
        run(
            *("add", "--json", "--id", "nightly", "--reason", "Vacuum", "--start", days_ahead(2, "03:30")),
            *("--zone", "Asia/Kolkata", "--timeout", "1h", "--rrule", "FREQ=DAILY;COUNT=3"),
        )
    )["schedule"]
    listed = run("list").stdout
    shown = run("show", "nightly").stdout

    assert [start[-10:] for start in added["next"]] == ["T22:00:00Z"] * 3
    assert added["rrule"] == "FREQ=DAILY;COUNT=3"
    assert listed.count("starts at") == 3
    assert "nightly: FREQ=DAILY;COUNT=3" in listed
    assert shown.count("window nightly.") == 3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("add", "--reason", "r"), 2, "--start"),
        (("add", "--start", "2099-01-01T00:00"), 2, "--reason"),
        (("add", "--reason", "r", "--start", "2001-01-01T00:00"), 2, "past"),
        (("add", "--reason", "r", "--start", "soon"), 2, "is no time"),
        (("add", "--reason", "r", "--start", "2099-01-02T00:00", "--end", "2099-01-01T00:00"), 2, "not after"),
        (("add", "--reason", "r", "--start", "2099-01-01T00:00", "--zone", "Mars/Base"), 2, "zone"),
        (
            ("add", "--reason", "r", "--start", "2099-01-01T00:00", "--rrule", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"),
            2,
            "ten",
        ),
        (("add", "--reason", "r", "--start", "2099-01-01T00:00", "--id", "taken"), 5, "already"),
        (("add", "--reason", "r", "--start", "2098-01-01T00:30"), 5, "taken"),
        (("change", "taken"), 2, "name what is to change"),
        (("change", "ghost", "--reason", "x"), 5, "ghost"),
        (("cancel", "ghost"), 5, "ghost"),
        (("show", "ghost"), 5, "ghost"),
        ((), 2, "Commands"),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(run: Run, words: tuple[str, ...], code: int, said: str) -> None:
    """A plan fires when nobody watches; what is wrong with it must be said while somebody does."""
    before = answer(run("add", "--json", "--id", "taken", "--reason", "r", "--start", "2098-01-01T00:00"))

    done = run(*words)

    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert answer(run("list", "--json"))["windows"] == [before["window"]]


def test_a_planned_window_opens_with_nothing_running(run: Run, tmp_path: Path) -> None:
    """The command is long over, no worker lives, and the first process that looks at that hour finds it open."""
    added = answer(run("add", "--json", "--reason", "r", "--start", days_ahead(3), "--timeout", "1h"))["window"]
    clock = FakeClock(datetime.fromisoformat(added["starts_at"]) - timedelta(seconds=1))
    settings = Settings(store_url=f"sqlite:///{tmp_path}/maintenance.db")
    service = EnhancedMaintenanceModeService(settings, clock=clock)
    try:
        before = service.get_maintenance_status().windows
        clock.advance(1)
        during = service.get_maintenance_status().windows
        clock.advance(3600)
        after = service.get_maintenance_status().windows
    finally:
        service.close()

    assert [[window.id for window in found] for found in (before, during, after)] == [[], [added["id"]], []]
