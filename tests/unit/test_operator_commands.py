"""The commands on operators: a secret is shown once, confirmed by a code, and shown by nothing else."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pyotp
import pytest

from quiesce.cli.program import program
from quiesce.control import EnhancedMaintenanceModeService

Service = EnhancedMaintenanceModeService


@pytest.fixture
def service(make_service: Callable[..., Service], sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service whose store the commands find by the environment."""
    monkeypatch.setenv("MAINTENANCE_STORE_URL", sqlite_url)
    return make_service(sqlite_url)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = program.main([*arguments], "quiesce", standalone_mode=False)
    told = capsys.readouterr()
    return code, told.out, told.err


def operate(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code, out, error = run(capsys, "operator", *arguments, "--json")
    return code, json.loads(out or error)


def test_operators_are_enrolled_by_the_command_line(
    service: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The secret is shown once, to who asked for it, and by no later command."""
    monkeypatch.setenv("MAINTENANCE_SECRET_KEY", "a-secret-key-of-the-tests")
    assert operate(capsys, "enroll", "ann")[0] == 2

    code, told = operate(capsys, "enroll", "ann", "--yes")

    assert (code, told["operator"]["name"]) == (0, "ann")
    assert told["secret"] in told["uri"]
    code, listed = operate(capsys, "list")
    assert listed["operators"] == [told["operator"]]
    assert told["secret"] not in json.dumps(listed)
    assert operate(capsys, "enroll", "ann", "--yes")[1]["kind"] == "conflict"
    assert operate(capsys, "remove", "ann")[1]["removed"] == told["operator"]
    assert operate(capsys, "remove", "ann")[0] == 5


def test_enrolling_says_which_setting_or_package_is_missing(
    service: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a secret is shown that could not be kept."""
    assert "MAINTENANCE_SECRET_KEY" in operate(capsys, "enroll", "ann", "--yes")[1]["error"]
    monkeypatch.setenv("MAINTENANCE_SECRET_KEY", "a-secret-key-of-the-tests")
    monkeypatch.setitem(sys.modules, "pyotp", None)

    code, told = operate(capsys, "enroll", "ann", "--yes")

    assert (code, told["kind"], "quiesce[totp]" in told["error"]) == (2, "missing_extra", True)


class Telephone:
    """Answers when a code is asked for: wrongly some times, then as the authenticator would."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *, wrong: int) -> None:
        self._capsys = capsys
        self._wrong = wrong
        self._secret = ""
        self.asked = 0

    def __call__(self, *_: Any, **__: Any) -> str:
        self.asked += 1
        if not self._secret:
            self._secret = self._capsys.readouterr().out.partition("secret    ")[2].partition("\n")[0]
        return "1" if self.asked <= self._wrong else pyotp.TOTP(self._secret).now()


@pytest.mark.parametrize(("wrong", "code", "enrolled"), [(0, 0, ["ann"]), (2, 0, ["ann"]), (3, 2, [])])
def test_enrolling_asks_for_a_code_until_it_is_right(
    service: Service,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    wrong: int,
    code: int,
    enrolled: list[str],
) -> None:
    """A mistyped secret is found at once, not in the emergency; three wrong codes enrol nobody."""
    monkeypatch.setenv("MAINTENANCE_SECRET_KEY", "a-secret-key-of-the-tests")
    telephone = Telephone(capsys, wrong=wrong)
    monkeypatch.setattr("quiesce.cli.operators.click.prompt", telephone)

    assert run(capsys, "operator", "enroll", "ann")[0] == code

    assert telephone.asked == min(wrong + 1, 3)
    assert [operator.name for operator in service.operators.list()] == enrolled
