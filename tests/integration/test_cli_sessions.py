"""``quiesce sessions`` and ``--sessions`` as real processes on a real store."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quiesce import EnhancedMaintenanceModeService, Principal, SessionDeletion, SessionVerdict, Settings, open_store
from quiesce.testing import eventually

BOB, EVE = Principal("bob"), Principal("eve")
ADMIN = Principal("root", is_admin=True)
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/maintenance.db"


@pytest.fixture
def run(shell: Any) -> Run:
    run: Run = shell.run
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


def test_sessions_are_counted_listed_and_ended(run: Run, url: str) -> None:
    """A worker notes them; the commands of another process see them, and end them for it."""
    service = EnhancedMaintenanceModeService(Settings(store_url=url))
    try:
        service.start()
        for principal, key in ((BOB, "b"), (EVE, "e"), (ADMIN, "r")):
            service.sessions.note_activity(principal, key)
        eventually(lambda: service.sessions.stats().users == 2)

        stats = answer(run("sessions", "stats", "--json"))
        listed = answer(run("sessions", "list", "--json", "--limit", "2"))["sessions"]
        one = answer(run("sessions", "end", "--json", "--user", "bob"))["ended"]
        shown = run("sessions", "list").stdout
        service.gate.renew()
        verdicts = [service.sessions.judge(who, stamp=0) for who in (BOB, EVE, ADMIN)]
        everyone = run("sessions", "end", "--all", "--yes")
        service.sessions.note_deletion(SessionDeletion(plugin="shop", generation=2, user_id="b\x1b[2J", deleted=5))
        service.gate.renew()
        later = [service.sessions.judge(who, stamp=1) for who in (BOB, EVE, ADMIN)]
        few = run("sessions", "stats").stdout
    finally:
        service.close()

    valid, over = SessionVerdict.VALID, SessionVerdict.REVOKED
    assert (stats["stats"]["users"], stats["stats"]["admins"], stats["warnings"]) == (2, 1, [])
    assert len(listed) == 2
    assert (one["user_id"], one["generation"]) == ("bob", 1)
    assert "user bob, active" in shown
    assert shown.count(", ended") == 1
    assert verdicts == [over, valid, valid]
    assert everyone.stdout.startswith("Ended the sessions of everyone but admins")
    assert later == [over, over, valid]
    assert "users     0" in few
    assert r"shop: user b\x1b[2J's below 2: 5 deleted" in few


def test_what_nobody_tracks_is_unknown(run: Run) -> None:
    """Zero would tell an operator that nobody is logged in."""
    stats = run("sessions", "stats")
    listed = run("sessions", "list")

    assert "users     unknown" in stats.stdout
    assert "no worker tracks sessions" in stats.stderr
    assert (stats.returncode, listed.returncode) == (0, 0)


def test_logins_are_prevented_and_allowed_again(run: Run) -> None:
    """Whoever stops an attack on passwords leaves the shop open; what else is open stays open."""
    before = run("sessions", "allow-logins")
    prevented = answer(run("sessions", "prevent-logins", "--json", "--reason", "Attack", "--timeout", "1h"))["window"]
    again = run("sessions", "prevent-logins", "--reason", "Attack")
    explained = answer(run("explain", "POST", "/orders", "--json"))
    other = answer(run("enable", "--json", "--reason", "Upgrade", "--overlap"))["window"]
    allowed = answer(run("sessions", "allow-logins", "--json"))["ended"]
    refused = run("sessions", "allow-logins")

    assert before.returncode == 5
    assert (prevented["operations"], prevented["sessions"]) == (["authentication"], "keep")
    assert (again.returncode, prevented["id"] in again.stderr) == (5, True)
    assert explained["is_allowed"]
    assert [window["id"] for window in allowed] == [prevented["id"]]
    assert refused.returncode == 5
    assert other["id"] in refused.stderr


@pytest.mark.parametrize(("said", "code", "revision"), [("y\n", 0, 1), ("n\n", 130, 0), ("\n", 130, 0)])
def test_everyone_is_logged_out_only_if_that_is_meant(
    shell: Any, url: str, said: str, code: int, revision: int
) -> None:
    """One word too many on a command line must not log out a whole shop."""
    leader, follower = pty.openpty()
    os.write(leader, said.encode())

    done = shell.run_cold("sessions", "end", "--all", terminal=follower)

    os.close(follower)
    asked = os.read(leader, 65536).decode()
    os.close(leader)
    assert "Log out everybody but admins?" in asked
    assert done.returncode == code
    store = open_store(url, service_name=Settings().service_name)
    try:
        assert store.revision() == revision
    finally:
        store.close()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("end",), "--user and --all"),
        (("end", "--user", "bob", "--all"), "--user and --all"),
        (("end", "--all"), "--yes"),
        (("end", "--all", "--json"), "--yes"),
        (("end", "--user", ""), "user"),
        (("end", "--user", "a\nb"), "user"),
        (("list", "--limit", "0"), "--limit"),
        (("prevent-logins",), "--reason"),
        (("prevent-logins", "--reason", " "), "reason"),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(run: Run, url: str, words: tuple[str, ...], said: str) -> None:
    """A command that ends sessions must be meant."""
    done = run("sessions", *words)

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    store = open_store(url, service_name=Settings().service_name)
    try:
        assert store.revision() == 0
    finally:
        store.close()
