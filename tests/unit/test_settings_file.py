"""The TOML file: where it is found, what may stand in it, and what wins over it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from quiesce.model import Mode, SettingsError
from quiesce.settings import Settings

COMPLETE = """
[tool.quiesce]
MAINTENANCE_SERVICE_NAME = "shop"
MAINTENANCE_DEFAULT_TIMEOUT = 3600
MAINTENANCE_MODE_ENABLED = true
MAINTENANCE_EXEMPT_PATHS = []
MAINTENANCE_DISABLE_PLUGINS = ["rpc"]

[[tool.quiesce.rules]]
pattern = "/pay/*"
operation = "payments"
kind = "glob"
methods = ["post"]

[[tool.quiesce.rules]]
pattern = "/report/.*"
operation = "read_operations"

[tool.quiesce.operations.payments]
description = "Taking money"
message = "Payments are paused."
blocked_in = ["emergency"]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def faults_of(path: Path | str, text: str | None = None) -> tuple[str, ...]:
    if text is not None:
        write(Path(path), text)
    with pytest.raises(SettingsError) as caught:
        Settings.load({}, path=path)
    return caught.value.faults


def test_every_kind_of_entry_is_read(folder: Path) -> None:
    """The file is the only place where an operator can write rules and types."""
    settings = Settings.load({}, path=write(folder / "any.toml", COMPLETE))

    assert settings.service_name == "shop"
    assert settings.default_timeout == timedelta(hours=1)
    assert settings.exempt_paths == ()
    assert settings.disabled_plugins == ("rpc",)
    assert [(rule.pattern, rule.operation, rule.kind, rule.methods) for rule in settings.rules] == [
        ("/pay/*", "payments", "glob", frozenset({"POST"})),
        ("/report/.*", "read_operations", "regex", None),
    ]
    (payments,) = settings.operations
    assert (payments.name, payments.message) == ("payments", "Payments are paused.")
    assert payments.blocked_in == {Mode.EMERGENCY}


def test_environment_wins_over_file(folder: Path) -> None:
    """What was set for this process is meant for this process."""
    settings = Settings.load({"MAINTENANCE_SERVICE_NAME": "other"}, path=write(folder / "any.toml", COMPLETE))

    assert settings.service_name == "other"
    assert settings.default_timeout == timedelta(hours=1)


@pytest.mark.parametrize("name", ["quiesce.toml", "pyproject.toml"])
def test_file_in_the_working_folder_is_found(folder: Path, name: str) -> None:
    """The common case needs no variable."""
    write(folder / name, COMPLETE)

    assert Settings.load({}).service_name == "shop"


def test_own_file_goes_before_the_project_file(folder: Path) -> None:
    """With both present there is one answer, and the documentation says which."""
    write(folder / "pyproject.toml", COMPLETE)
    write(folder / "quiesce.toml", '\ufeff[tool.quiesce]\nMAINTENANCE_SERVICE_NAME = "own"\n')

    assert Settings.load({}).service_name == "own"


def test_variable_names_the_file(folder: Path) -> None:
    """A deployment keeps it where it keeps its configuration."""
    path = write(folder / "deploy.toml", COMPLETE)

    assert Settings.load({"MAINTENANCE_CONFIG_FILE": str(path)}).service_name == "shop"


@pytest.mark.parametrize("text", ["", "[tool.other]\nx = 1\n", "no toml at all ["])
def test_project_file_about_other_things_is_ignored(folder: Path, text: str) -> None:
    """It belongs to other tools as well, and they report what is wrong with it."""
    write(folder / "pyproject.toml", text)

    assert Settings.load({}) == Settings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no table [tool.quiesce]"),
        ("[tool.quiesce", "is no valid TOML"),
        ("tool.quiesce = 3", "is no table"),
        ("[tool.quiesce]\nMAINTENANCE_STORE_URI = 'x'", "did you mean MAINTENANCE_STORE_URL"),
        ("[tool.quiesce]\nmaintenance_store_url = 'x'", "did you mean MAINTENANCE_STORE_URL"),
        ("[tool.quiesce]\nrule = []", "did you mean rules"),
        ("[tool.quiesce]\nMAINTENANCE_DEFAULT_TIMEOUT = nan", "is not seconds"),
        ("[tool.quiesce]\nMAINTENANCE_DEFAULT_TIMEOUT = true", "is not seconds"),
        (f"[tool.quiesce]\nMAINTENANCE_DEFAULT_TIMEOUT = {'9' * 400}", "is not seconds"),
        ("[tool.quiesce]\nMAINTENANCE_ADMIN_TOKEN = 12345678901234567890", "the value (not shown)"),
        ("[tool.quiesce]\nrules = 3", "expected tables [[tool.quiesce.rules]]"),
        ("[tool.quiesce]\nrules = [3]", "number 1: expected a table"),
        ("[[tool.quiesce.rules]]\noperation = 'x'", "number 1: pattern: is missing"),
        ("[[tool.quiesce.rules]]\npattern = '/x'", "number 1: operation: is missing"),
        ("[[tool.quiesce.rules]]\npattern = '/('\noperation = 'x'", "is no regular expression"),
        ("[[tool.quiesce.rules]]\npattern = '/x'\noperation = 'x'\nmethod = ['GET']", "did you mean methods"),
        ("[[tool.quiesce.rules]]\npattern = '/x'\noperation = 'x'\nmethods = 'GET'", "is not a set of HTTP methods"),
        ("[tool.quiesce]\noperations = 3", "expected tables [tool.quiesce.operations.NAME]"),
        ("[tool.quiesce]\noperations.x = 3", "operations.x: expected a table"),
        ("[tool.quiesce.operations.X]", "is not a lower-case identifier"),
        ("[tool.quiesce.operations.x]\nmessage = 3", "message: 3 is no text"),
        ("[tool.quiesce.operations.x]\nblocked_in = ['test']", "no list of normal and emergency"),
        ("[tool.quiesce.operations.x]\nblocked_in = [[]]", "no list of normal and emergency"),
        ("[tool.quiesce.operations.read_operations]", "is a built-in type"),
    ],
)
def test_faulty_file_is_refused(folder: Path, text: str, said: str) -> None:
    """Nothing in it may be silently left out."""
    faults = faults_of(folder / "any.toml", text)

    assert any(said in fault for fault in faults), faults


def test_missing_file_that_was_named_is_a_fault(folder: Path) -> None:
    """Falling back to defaults would drop every rule that stands in it."""
    (fault,) = faults_of(folder / "missing.toml")

    assert "missing.toml: cannot be read" in fault


def test_broken_project_file_about_us_is_a_fault(folder: Path) -> None:
    """It would drop every rule that stands in it."""
    write(folder / "pyproject.toml", "[tool.quiesce]\nx = = 1\n")

    with pytest.raises(SettingsError, match="is no valid TOML"):
        Settings.load({})


def test_folder_in_place_of_the_file_is_a_fault(folder: Path) -> None:
    """A volume that was mounted on the wrong path looks like this."""
    (folder / "quiesce.toml").mkdir()

    with pytest.raises(SettingsError, match="cannot be read"):
        Settings.load({})


def test_faults_of_file_and_environment_come_together(folder: Path) -> None:
    """An operator fixes them in one go."""
    path = write(folder / "any.toml", "[tool.quiesce]\nX = 1\nMAINTENANCE_ON_STALE = 1")

    with pytest.raises(SettingsError) as caught:
        Settings.load({"MAINTENANCE_HOOK_TIMEOUT": "x"}, path=path)

    assert len(caught.value.faults) == 3
