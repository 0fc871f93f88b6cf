"""The documents in the reference of the command line have the shape of those that the commands print."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from quiesce import EnhancedMaintenanceModeService, Principal, Settings
from quiesce.cli.program import program
from quiesce.testing import eventually

COMMANDS = {
    "enable": ["--reason", "Database upgrade", "--duration", "45m", "--block", "job_creation", "--wait", "30s"],
    "status": [],
    "wait": ["--timeout", "30s"],
    "explain": ["POST", "/api/jobs"],
    "extend": ["1h"],
    "sessions stats": [],
    "sessions list": [],
    "sessions end": ["--user", "bob"],
    "disable": [],
    "emergency": ["Security incident", "--yes"],
    "recover": ["--force"],
    "notifications list": [],
    "alerts": [],
    "plugins": [],
    "audit tail": [],
    "audit verify": [],
}
OPERATIONS = frozenset({"in_flight", "refused", "bypassed", "would_block", "job_fates"})
"""Objects whose keys are names of operations, and so are not compared."""


def shape(value: object, *, name: str = "") -> object:
    """Return the type of a value, with the names and types of what is in it."""
    match value:
        case dict() if name in OPERATIONS:
            return "counts"
        case dict():
            return {key: shape(inner, name=key) for key, inner in value.items()}
        case list():
            return "list"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
    return "null" if value is None else "text"


def documented(root: Path, heading: str) -> object:
    page = (root / "docs/reference/cli.md").read_text(encoding="utf-8")
    section = re.search(rf"^##+ {heading}\n(.*?)(?=^##|\Z)", page, re.DOTALL | re.MULTILINE)
    assert section is not None
    (block,) = re.findall(r"^```\w+\n(.*?)^```$", section[1], re.DOTALL | re.MULTILINE)
    return json.loads(block)


@pytest.fixture
def store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EnhancedMaintenanceModeService]:
    """A store with one worker, which the commands find by the environment."""
    monkeypatch.setenv("MAINTENANCE_STORE_URL", f"sqlite:///{folder}/maintenance.db")
    service = EnhancedMaintenanceModeService(Settings(store_url=f"sqlite:///{folder}/maintenance.db"))
    service.start()
    service.sessions.note_activity(Principal("bob"), "a session")
    eventually(lambda: service.sessions.stats().users)
    yield service
    service.close()


def test_commands_print_the_documented_shapes(
    store: EnhancedMaintenanceModeService, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scripts read these fields: their names, and the types of their values."""
    shapes = {}
    for command, arguments in COMMANDS.items():
        assert program.main([*command.split(), *arguments, "--json"], "quiesce", standalone_mode=False) == 0
        shapes[command] = shape(json.loads(capsys.readouterr().out))

    expected = {command: shape(documented(root, f"`{command}`")) for command in COMMANDS}
    # An example may name the operations that a window covers, or the mode's default: `null`.
    assert without_operations(shapes) == without_operations(expected)


def test_lists_hold_the_documented_objects(
    store: EnhancedMaintenanceModeService, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The examples leave some lists empty; the text says what is in them."""
    program.main(["enable", "--reason", "Database upgrade", "--json"], "quiesce", standalone_mode=False)
    window = json.loads(capsys.readouterr().out)["window"]
    eventually(lambda: bool(store.store.workers()))
    program.main(["status", "--json"], "quiesce", standalone_mode=False)
    status = json.loads(capsys.readouterr().out)
    program.main(["plugins", "--json"], "quiesce", standalone_mode=False)
    plugins = json.loads(capsys.readouterr().out)["plugins"]
    program.main(["disable", "--json"], "quiesce", standalone_mode=False)
    ended = json.loads(capsys.readouterr().out)["ended"]

    page = (root / "docs/reference/cli.md").read_text(encoding="utf-8")
    worker = page.partition("A worker in it has ")[2].partition("(`null`")[0]
    example = documented(root, "`plugins`")

    assert [set(item) for item in (*status["windows"], *ended)] == [set(window)] * 2
    assert list(status["quiescence"]["workers"][0]) == re.findall(r"`(\w+)`", worker)
    assert isinstance(example, dict)
    assert [set(plugin) for plugin in plugins] == [set(example["plugins"][0])] * len(plugins)
    assert plugins


def test_pass_commands_print_the_documented_shapes(
    store: EnhancedMaintenanceModeService,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A deployment script takes the pass from one of them; and the example is of the form that passes have."""
    monkeypatch.setenv("MAINTENANCE_SECRET_KEY", "a-secret-key-of-the-tests")
    printed = {}
    for command, *arguments in (("issue", "--name", "QA, Ann"), ("list",), ("revoke", "QA, Ann")):
        assert program.main(["pass", command, *arguments, "--json"], "quiesce", standalone_mode=False) == 0
        printed[command] = json.loads(capsys.readouterr().out)

    expected = {command: documented(root, f"`pass {command}`") for command in printed}

    assert {name: shape(each) for name, each in printed.items()} == {n: shape(each) for n, each in expected.items()}
    assert printed["list"]["passes"] == printed["revoke"]["revoked"] == [printed["issue"]["pass"]]
    example = expected["issue"]
    assert isinstance(example, dict)
    assert len(example["text"]) == len(printed["issue"]["text"])
    assert example["text"].startswith(example["pass"]["id"] + ".")


def test_operator_commands_print_the_documented_shapes(
    store: EnhancedMaintenanceModeService,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A program that enrols people makes the QR code from one of them; the examples agree with each other."""
    monkeypatch.setenv("MAINTENANCE_SECRET_KEY", "a-secret-key-of-the-tests")
    printed = {}
    for command, *arguments in (("enroll", "ann", "--yes"), ("list",), ("remove", "ann")):
        assert program.main(["operator", command, *arguments, "--json"], "quiesce", standalone_mode=False) == 0
        printed[command] = json.loads(capsys.readouterr().out)

    expected = {command: documented(root, f"`operator {command}`") for command in printed}

    assert {name: shape(each) for name, each in printed.items()} == {n: shape(each) for n, each in expected.items()}
    example = expected["enroll"]
    assert isinstance(example, dict)
    assert len(example["secret"]) == len(printed["enroll"]["secret"])
    assert example["uri"].replace(example["secret"], "X") == printed["enroll"]["uri"].replace(
        printed["enroll"]["secret"], "X"
    )


def test_config_commands_print_the_documented_shapes(
    store: EnhancedMaintenanceModeService,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A deployment script checks by them what is in force."""
    monkeypatch.setenv("MAINTENANCE_SECRET_KEY", "a-secret-key-of-the-tests")
    service = EnhancedMaintenanceModeService()
    service.config.set("MAINTENANCE_SMTP_URL", "smtps://mail.shop.example", actor="ann")
    service.close()
    printed = {}
    name = "MAINTENANCE_SMTP_URL"
    for command, *arguments in (("get", name), ("list",), ("rotate",), ("set", "MAINTENANCE_EMAIL_ALERTS", "no")):
        assert program.main(["config", command, *arguments, "--json"], "quiesce", standalone_mode=False) == 0
        printed[command] = json.loads(capsys.readouterr().out)

    assert shape(printed["get"]) == shape(documented(root, "`config set`"))
    assert shape(printed["list"]) == shape(documented(root, "`config list`"))
    assert shape(printed["rotate"]) == shape(documented(root, "`config rotate`"))
    assert [set(each) for each in printed["list"]["settings"]] == [set(printed["set"]["setting"])] * 11


def test_report_prints_the_documented_shape(
    store: EnhancedMaintenanceModeService, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is kept with the tickets, and read by programs for years."""
    store.enable(reason="Disk is failing", mode="emergency", actor="test")
    store.disable(actor="test")
    program.main(["report", "--json"], "quiesce", standalone_mode=False)
    printed = json.loads(capsys.readouterr().out)

    expected = documented(root, "`report`")

    assert shape(printed) == shape(expected)
    assert isinstance(expected, dict)
    assert [set(entry) for entry in expected["report"]["timeline"]] == [set(printed["report"]["timeline"][0])]


def test_error_is_the_documented_one(
    store: EnhancedMaintenanceModeService, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The example is a whole error, to the letter."""
    code = program.main(["disable", "--json"], "quiesce", standalone_mode=False)

    expected = documented(root, "Errors as documents")
    assert json.loads(capsys.readouterr().err) == expected
    assert isinstance(expected, dict)
    assert code == expected["exit_code"]


def without_operations(value: object) -> object:
    if isinstance(value, dict):
        return {key: without_operations(inner) for key, inner in value.items() if key != "operations"}
    return value
