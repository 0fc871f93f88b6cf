"""The commands on settings in the store: nothing that they print, log, answer or keep shows a secret."""

from __future__ import annotations

import io
import json
import logging
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import pytest

import quiesce_email
import quiesce_webhook
from quiesce import (
    ApiRequest,
    DeliveryError,
    EnhancedMaintenanceModeService,
    MaintenanceStatusAPI,
    SettingsError,
)
from quiesce.cli.program import program
from quiesce.control.outbox_rules import make_test_notice
from quiesce.plugins import PluginManager
from quiesce.testing.clock import NOON

Service = EnhancedMaintenanceModeService

KEY = "a-secret-key-of-the-tests"
SMTP, WEBHOOK, SIGNING = "MAINTENANCE_SMTP_URL", "MAINTENANCE_WEBHOOK_URL", "MAINTENANCE_WEBHOOK_SECRETS"
NEEDLES = ("correct-horse", "battery-staple", "d2hvLXdvdWxkLWtlZXAtc3VjaC1hLXNlY3JldC1oZXJl")
SECRETS = {
    SMTP: f"smtp://mailer:{NEEDLES[0]}@127.0.0.1:1",
    WEBHOOK: f"http://127.0.0.1:1/{NEEDLES[1]}",
    SIGNING: f"whsec_{NEEDLES[2]}",
}
TOKEN = "a-token-of-the-tests"


@pytest.fixture
def store(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a store that the commands find by the environment, with the key."""
    monkeypatch.setenv("MAINTENANCE_STORE_URL", sqlite_url)
    monkeypatch.setenv("MAINTENANCE_SECRET_KEY", KEY)
    return sqlite_url


class Console:
    """Runs commands in this process, and keeps everything that they say."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        self.said = ""

    def run(self, *arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = program.main([*arguments], "quiesce", standalone_mode=False)
        told = self._capsys.readouterr()
        self.said += told.out + told.err
        return code, told.out, told.err

    def config(self, *arguments: str, stdin: bytes = b"") -> tuple[int, Any]:
        code, out, error = self.run("config", *arguments, "--json", stdin=stdin)
        return code, json.loads(out or error)


@pytest.fixture
def console(store: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Console:
    return Console(capsys, monkeypatch)


def test_plain_setting_is_set_shown_and_taken_back(console: Console) -> None:
    """Four commands, one document each, and the source beside every value."""
    code, told = console.config("set", "MAINTENANCE_EMAIL_FROM", "Shop <ops@shop.example>")
    assert (code, told["setting"]["value"], told["setting"]["source"]) == (0, "Shop <ops@shop.example>", "store")
    assert console.config("get", "MAINTENANCE_EMAIL_FROM")[1]["setting"] == told["setting"]

    code, listed = console.config("list")
    assert told["setting"] in listed["settings"]
    assert {each["source"] for each in listed["settings"]} == {"store", "default"}
    _, out, _ = console.run("config", "list")
    assert "source    store" in out

    assert console.config("unset", "MAINTENANCE_EMAIL_FROM")[1]["setting"]["is_set"] is False
    code, told = console.config("unset", "MAINTENANCE_EMAIL_FROM")
    assert (code, told["kind"]) == (5, "conflict")


def test_environment_of_the_shell_wins_and_the_command_says_so(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an operator sets it again and again, and nothing changes."""
    monkeypatch.setenv("MAINTENANCE_WEBHOOK_SHAPE", "teams")

    code, told = console.config("set", "MAINTENANCE_WEBHOOK_SHAPE", "slack")

    assert (code, told["setting"]["value"], told["setting"]["source"]) == (0, "teams", "environment")
    assert "wins over the store" in told["warnings"][0]


@pytest.mark.parametrize(
    ("arguments", "stdin", "kind", "said"),
    [
        ((SMTP, SECRETS[SMTP]), b"", "usage", "can see arguments"),
        ((SMTP, SECRETS[SMTP], "--stdin"), b"", "usage", "contradict"),
        ((SMTP,), b"", "usage", "give --stdin"),
        ((SMTP, "--stdin"), b"", "invalid_value", "is empty"),
        ((SMTP, "--stdin"), b"smtp://" + NEEDLES[0].encode() + b"\xff", "invalid_value", "not UTF-8"),
        ((SMTP, "--stdin"), b"http://" + NEEDLES[0].encode(), "invalid_value", "(not shown)"),
        ((SMTP, "--stdin"), NEEDLES[0].encode() * 2**18, "invalid_value", "is longer than"),
        ((SMTP, "--stdin"), b"smtps://a\r\nBcc: " + NEEDLES[0].encode(), "invalid_value", "line ends"),
        (("MAINTENANCE_STORE_URL", "memory://"), b"", "invalid_value", "needed to find the store"),
        (("MAINTENANCE_EMAIL_FROM", "\x1b[2J@shop.example"), b"", "invalid_value", "do not print"),
    ],
)
def test_what_is_wrong_ends_with_two_and_shows_no_secret(
    console: Console, arguments: tuple[str, ...], stdin: bytes, kind: str, said: str
) -> None:
    """A secret as an argument is refused before it is kept: it was seen, and must not stay in use."""
    code, told = console.config("set", *arguments, stdin=stdin)

    assert (code, told["kind"]) == (2, kind)
    assert said in told["error"]
    assert NEEDLES[0] not in console.said
    assert all(each["source"] == "default" for each in console.config("list")[1]["settings"])


def test_secret_is_asked_for_without_being_shown(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal nothing need be piped, and nobody reads over a shoulder."""
    asked: list[bool] = []

    def prompt(*_: Any, hide_input: bool, **__: Any) -> str:
        asked.append(hide_input)
        return SECRETS[SMTP] if hide_input else "false"

    monkeypatch.setattr(click, "prompt", prompt)
    monkeypatch.setattr("quiesce.cli.terminal.Terminal.can_ask", True)

    assert console.run("config", "set", SMTP)[0] == 0
    assert console.run("config", "set", "MAINTENANCE_EMAIL_ALERTS")[0] == 0
    assert asked == [True, False]
    assert NEEDLES[0] not in console.said


def test_no_secret_is_printed_logged_answered_or_kept_in_the_open(
    console: Console,
    store: str,
    make_service: Callable[..., Service],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Every command, endpoint, log line, failed delivery and byte of the store, searched for each of them."""
    caplog.set_level(logging.DEBUG)
    for name, value in SECRETS.items():
        assert console.run("config", "set", name, "--stdin", stdin=value.encode() + b"\n")[0] == 0
    console.config("set", "MAINTENANCE_EMAIL_FROM", "ops@shop.example")
    console.config("set", "MAINTENANCE_EMAIL_OPERATORS", "ann@shop.example")
    for words in (["config", "list"], ["status"], ["notifications", "list"], *(["config", "get", n] for n in SECRETS)):
        console.run(*words)
        console.run(*words, "--json")
    plugins = PluginManager()
    plugins.register(quiesce_email, "email")
    plugins.register(quiesce_webhook, "webhook")
    service = make_service(store, plugins=plugins, secret_key=KEY, admin_token=TOKEN, webhook_allow_private=True)
    service.enable(reason="Upgrade", actor="ann")
    problems = [service.notifications.test(name, actor="ann").problem for name in ("email", "webhook")]
    monkeypatch.setenv("MAINTENANCE_SECRET_KEY", f"the-newest-key-of-the-tests,{KEY}")
    assert console.run("config", "rotate")[0] == 0
    monkeypatch.setenv("MAINTENANCE_SECRET_KEY", "some-wrong-key-of-the-tests")
    for words in (["config", "list"], ["status"], ["config", "rotate"], ["config", "get", SMTP]):
        console.run(*words)
        console.run(*words, "--json")
    service.config.list()  # its key is gone too
    api = MaintenanceStatusAPI(service)
    answers = [
        api.handle(ApiRequest(method="GET", path=route.path, headers={"authorization": f"Bearer {TOKEN}"})).body
        for route in api.routes
        if route.method == "GET" and "{" not in route.path and not route.path.endswith("events")
    ]
    service.close()
    path = Path(store.removeprefix("sqlite:///"))
    kept = b"".join(file.read_bytes() for file in path.parent.iterdir() if file.is_file())
    with closing(sqlite3.connect(path)) as database:
        kept += "\n".join(database.iterdump()).encode()

    assert len(answers) > 5
    assert all(problems)  # both tried, so they had the settings
    assert "not in force here" in caplog.text + console.said
    for needle in NEEDLES:
        assert needle not in console.said
        assert needle not in caplog.text
        assert needle not in repr(problems)
        assert needle.encode() not in b"".join(answers)
        assert needle.encode() not in kept


def test_notifiers_fail_rather_than_send_without_what_they_cannot_read(
    make_service: Callable[..., Service], sqlite_url: str
) -> None:
    """An unsigned webhook looks forged; a notice that is skipped is never told. What fails is tried again."""
    service = make_service(sqlite_url, secret_key=KEY)
    for name, value in SECRETS.items():
        service.config.set(name, value, actor="ann")
    current = make_service(sqlite_url, secret_key="some-wrong-key-of-the-tests").config.current()
    notice = make_test_notice(service_name="shop", revision=1, actor="ann", now=NOON)

    with pytest.raises(SettingsError, match=f"{WEBHOOK}.*{SIGNING}|{SIGNING}.*{WEBHOOK}"):
        quiesce_webhook.notify(notice, current)
    with pytest.raises(SettingsError, match=SMTP):
        quiesce_email.notify(notice, current)
    with pytest.raises(DeliveryError) as caught:
        quiesce_email.notify(notice, make_service(secret_key=KEY).config.current())
    assert caught.value.is_unconfigured  # nobody has set it: that is not the same


def test_status_says_what_is_not_in_force(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first place where an operator looks."""
    console.run("config", "set", SMTP, "--stdin", stdin=SECRETS[SMTP].encode())
    monkeypatch.delenv("MAINTENANCE_SECRET_KEY")

    code, _, warned = console.run("status")

    assert code == 0
    assert f"the store keeps {SMTP}, but it is not in force here: MAINTENANCE_SECRET_KEY" in warned


def test_rotation_says_what_it_did(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """And whether the former key may go: exit code 2 as long as it may not."""
    console.run("config", "set", SMTP, "--stdin", stdin=SECRETS[SMTP].encode())
    monkeypatch.setenv("MAINTENANCE_SECRET_KEY", "some-wrong-key-of-the-tests")
    code, told = console.config("rotate")
    assert (code, told["rotation"]["unreadable"]) == (2, [SMTP])
    assert "keep the former keys" in told["warnings"][-1]

    monkeypatch.setenv("MAINTENANCE_SECRET_KEY", f"the-newest-key-of-the-tests,{KEY}")
    code, out, _ = console.run("config", "rotate")
    assert (code, f"{SMTP}: encrypted anew" in out, "The former keys may go" in out) == (0, True, True)
    code, told = console.config("rotate")
    assert (code, told["rotation"]) == (0, {"encrypted_anew": [], "up_to_date": [SMTP], "unreadable": []})

    monkeypatch.delenv("MAINTENANCE_SECRET_KEY")
    code, told = console.config("rotate")
    assert (code, told["kind"]) == (2, "invalid_settings")


def test_without_the_extra_the_command_says_what_to_install(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is kept; and settings that are not secret need none."""
    monkeypatch.setitem(sys.modules, "cryptography", None)

    code, told = console.config("set", SMTP, "--stdin", stdin=SECRETS[SMTP].encode())

    assert (code, told["kind"]) == (2, "missing_extra")
    assert console.config("set", "MAINTENANCE_EMAIL_ALERTS", "false")[0] == 0
