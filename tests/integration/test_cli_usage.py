"""Bad input to the command line: a clear line, exit code 2, and nothing is touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import quiesce
from quiesce.cli.program import program


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings file is near, and a store that were made would be seen."""
    monkeypatch.chdir(tmp_path)
    for name in ("MAINTENANCE_STORE_URL", "MAINTENANCE_CONFIG_FILE", "MAINTENANCE_SERVICE_NAME"):
        monkeypatch.delenv(name, raising=False)


@dataclass(frozen=True, slots=True)
class Result:
    """What a command left behind."""

    exit_code: int
    stdout: str
    stderr: str


Run = Callable[..., Result]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process."""

    def run(*args: str) -> Result:
        code = program.main(args, prog_name="quiesce", standalone_mode=False)
        return Result(code, *capsys.readouterr())

    return run


BAD: list[tuple[list[str], str]] = [
    (["enable"], "--reason"),
    (["enable", "--reason", ""], "reason: must not be empty"),
    (["enable", "--reason", "   "], "reason: must not be empty"),
    (["enable", "--reason", "x" * 1_000_000], "reason: is 1000000 characters long"),
    (["enable", "--reason", "a\x1b[31mb"], "U+001B"),
    (["enable", "--reason", "a\nb"], "U+000A"),
    (["enable", "--reason", "a\udc80b"], "U+DC80"),
    (["enable", "--reason", "r", "--mode", "soft"], "soft"),
    (["enable", "--reason", "r", "--mode", ""], "--mode"),
    (["enable", "--reason", "r", "--duration", "soon"], "1h30m"),
    (["enable", "--reason", "r", "--duration", "-1"], "1h30m"),
    (["enable", "--reason", "r", "--duration", "9000d"], "366 days"),
    (["enable", "--reason", "r", "--duration", "2h", "--timeout", "1h"], "timeout: is shorter"),
    (["enable", "--reason", "r", "--block", "telepathy"], "telepathy"),
    (["enable", "--reason", "r", "--block", ""], "operations"),
    (["enable", "--reason", "r", "--expect", "2"], "--wait"),
    (["enable", "--reason", "r", "--wait", "5", "--expect", "-1"], "--expect"),
    (["enable", "--reason", "r", "--wait", "5", "--expect", "many"], "--expect"),
    (["enable", "--reason", "r", "--wait", "5", "--mode", "test"], "a test window refuses nothing"),
    (["enable", "--reason", "r", "extra"], "extra"),
    (["enable", "--reason", "r", "--colour"], "--colour"),
    (["disable", "--window", "x", "--all"], "--all"),
    (["emergency"], "REASON"),
    (["emergency", "x"], "--yes"),
    (["emergency", "", "--yes"], "reason: must not be empty"),
    (["emergency", "a\nb", "--yes"], "U+000A"),
    (["emergency", "x", "--yes", "--wait", "5", "--no-wait"], "--no-wait"),
    (["recover", "--check", "--force"], "--force"),
    (["extend"], "DURATION"),
    (["extend", "0"], "366 days"),
    (["extend", "later"], "1h30m"),
    (["wait", "--for", "60s"], "--for"),
    (["wait", "--for", "now"], "1h30m"),
    (["enable", "--reason", "r", "--allow", "telepathy"], "telepathy"),
    (["enable", "--reason", "r", "--ticket", "a\nb"], "U+000A"),
    (["workers", "forget"], "ID"),
    (["wait", "--timeout", "ever"], "1h30m"),
    (["explain", "GET"], "PATH"),
    (["explain", "GET", "api/jobs"], "starts with '/'"),
    (["explain", "GE T", "/x"], "METHOD"),
    (["explain", "GET", "/" + "x" * 9000], "8192"),
    (["status", "--store", "memory://"], "one process"),
    (["status", "--store", ""], "--store"),
    (["status", "--store", "nothing"], "--store"),
    (["status", "--store", "gopher://x"], "gopher"),
    (["status", "--store", "sqlite:///missing/folder/m.db"], "missing/folder"),
    (["status", "--store", "sqlite://m.db"], "three slashes"),
    (["status", "--store", "redis://localhost:99999"], "port"),
    (["status", "--service", "a b"], "--service"),
    (["status", "--config", "none.toml"], "none.toml"),
    (["status", "--config", ""], "--config"),
    (["statsu"], "statsu"),
    (["--jsno"], "--jsno"),
]


@pytest.mark.parametrize(
    ("args", "named"), BAD, ids=[" ".join(args)[:60].encode("unicode_escape").decode() for args, _ in BAD]
)
def test_bad_input_is_named_and_changes_nothing(args: list[str], named: str, run: Run) -> None:
    """An operator in a hurry mistypes; the answer is what to mend, and no window that nobody wanted."""
    result = run(*args)

    first, *more = result.stderr.splitlines()
    assert result.exit_code == 2
    assert first.startswith("Error: ")
    assert named in result.stderr
    assert len(more) <= 1
    assert "Traceback" not in result.stderr
    assert "\x1b" not in result.stderr
    assert result.stdout == ""
    assert json.loads(run("status", "--json").stdout)["revision"] == 0


@pytest.mark.parametrize(
    ("args", "kind"),
    [
        (["enable", "--reason", "r", "--duration", "soon", "--json"], "usage"),
        (["enable", "--json"], "usage"),
        (["enable", "--reason", " ", "--json"], "invalid_value"),
        (["status", "--json", "--store", "gopher://x"], "store_url"),
        (["status", "--json", "--config", "none.toml"], "invalid_settings"),
        (["disable", "--json"], "conflict"),
        (["nothing", "--json"], "usage"),
    ],
)
def test_errors_for_programs_are_one_document(args: list[str], kind: str, run: Run) -> None:
    """A script reads why it failed, also when the arguments themselves were wrong."""
    result = run(*args)

    error = json.loads(result.stderr)
    assert (error["kind"], error["exit_code"]) == (kind, result.exit_code)
    assert error["error"]
    assert result.stdout == ""


def test_every_wrong_setting_is_listed(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    """Mending one fault only to meet the next wastes the time of an outage."""
    monkeypatch.setenv("MAINTENANCE_DEFAULT_TIMEOUT", "soon")
    monkeypatch.setenv("MAINTENANCE_ON_STALE", "panic")

    result = run("status")
    error = json.loads(run("status", "--json").stderr)

    assert result.exit_code == 2
    assert "2 settings are not valid" in result.stderr
    assert "MAINTENANCE_DEFAULT_TIMEOUT" in result.stderr
    assert "MAINTENANCE_ON_STALE" in result.stderr
    assert len(error["faults"]) == 2


def test_version_and_help_succeed(run: Run) -> None:
    """The first two things that anybody tries."""
    version, overview, detail = run("--version"), run("--help"), run("enable", "-h")

    assert version.stdout == f"quiesce {quiesce.__version__}\n"
    assert "Exit codes" in overview.stdout
    assert "--expect" in detail.stdout
    assert (version.exit_code, overview.exit_code, detail.exit_code) == (0, 0, 0)


def test_no_command_is_a_usage_error_that_shows_the_commands(run: Run) -> None:
    """A script whose command was an empty variable must not pass for done."""
    result = run()

    assert result.exit_code == 2
    assert "enable" in result.stderr
