"""``quiesce status`` names the next window."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from quiesce import EnhancedMaintenanceModeService, Settings
from quiesce.cli.program import program


def test_status_names_the_next_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks before starting something long must see what is coming; a test window is in nobody's way."""
    url = f"sqlite:///{tmp_path}/maintenance.db"
    monkeypatch.setenv("MAINTENANCE_STORE_URL", url)
    service = EnhancedMaintenanceModeService(Settings(store_url=url))
    start = datetime.now(UTC) + timedelta(hours=2)
    service.schedule.add(plan_id="rehearsal", mode="test", reason="r", start=start - timedelta(hours=1), actor="ann")
    run = CliRunner().invoke

    before = run(program, ["status"]).output
    service.schedule.add(plan_id="upgrade", reason="PostgreSQL 17", start=start, actor="ann")
    service.close()
    after = run(program, ["status"]).output
    document = json.loads(run(program, ["status", "--json"]).output)

    (line,) = [line for line in after.splitlines() if line.strip().startswith("next ")]
    assert f"{start:%Y-%m-%d %H:%M:%S} UTC" in line
    assert line.endswith("upgrade (normal), PostgreSQL 17")
    assert "next " not in before
    assert (document["next_window"]["id"], document["windows"]) == ("upgrade", [])
