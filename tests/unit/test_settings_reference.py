"""The reference of settings says what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from quiesce import SettingsError
from quiesce.settings import SETTINGS, Setting, Settings

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"


def row(setting: Setting) -> str:
    default = f"`{setting.default}`" if setting.default else "not set"
    return f"| `{setting.name}` | {default} | {setting.meaning} | {setting.expected} |"


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_setting_stands_in_the_reference(setting: Setting) -> None:
    """An operator believes the table; a wrong default in it is an incident."""
    assert row(setting) in REFERENCE.read_text(encoding="utf-8").splitlines()


def test_reference_knows_no_other_settings() -> None:
    """A setting that is gone from the code does nothing."""
    lines = REFERENCE.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| `")]

    assert [line.split("`")[1] for line in rows] == [setting.name for setting in SETTINGS]


def test_example_file_is_valid(tmp_path: Path) -> None:
    """It is what operators start from."""
    (example,) = re.findall(r"^```toml\n(.*?)^```$", REFERENCE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    path = tmp_path / "quiesce.toml"
    path.write_text(example, encoding="utf-8")

    settings = Settings.load({}, path=path)

    assert settings.service_name == "shop"
    assert [rule.operation for rule in settings.rules] == ["payments", "batch_operations"]
    assert [operation.name for operation in settings.operations] == ["payments"]


def test_example_of_alerts_is_valid(tmp_path: Path) -> None:
    """An operator copies it, and is woken by it or not."""
    page = (REFERENCE.parents[1] / "how-to/get-alerted.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    path = tmp_path / "quiesce.toml"
    path.write_text(example, encoding="utf-8")

    settings = Settings.load({}, path=path)

    assert (settings.alert_blocked_per_minute, settings.alert_after.total_seconds()) == (300, 60)


@pytest.mark.parametrize("wrong", ["-1", "1.5", "many", "1000001", "\uff11", "1e3"])
def test_bound_of_refusals_is_a_whole_number(wrong: str) -> None:
    """A bound that is read as another one wakes everybody, or nobody."""
    with pytest.raises(SettingsError, match=r"MAINTENANCE_ALERT_BLOCKED_PER_MINUTE: .* is not a whole number"):
        Settings.load({"MAINTENANCE_ALERT_BLOCKED_PER_MINUTE": wrong})
