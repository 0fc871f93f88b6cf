"""``quiesce pass`` as a real process, on a real store."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from quiesce import EnhancedMaintenanceModeService, Outcome, Settings

Shell = Any  # as made in conftest.py
KEY = "a-secret-key-of-the-tests"


@pytest.fixture
def keyed(shell: Shell) -> Shell:
    """A shell with the application's key."""
    shell.environment["MAINTENANCE_SECRET_KEY"] = KEY
    return shell


def test_a_pass_is_issued_used_listed_and_revoked(keyed: Shell) -> None:
    """One evening of an operator: what the command prints is what a worker lets through."""
    url = keyed.environment["MAINTENANCE_STORE_URL"]
    worker = EnhancedMaintenanceModeService(Settings(store_url=url, secret_key=KEY))
    worker.start()
    window = keyed.document("enable", "--reason", "upgrade")["window"]["id"]

    printed = keyed.run("pass", "issue", "--name", "QA, Ann", "--for", "2h", "--window", window).stdout
    text = re.findall(r"^  pass +(\S+)$", printed, re.MULTILINE)[0]
    listed = keyed.document("pass", "list")["passes"]
    explained = keyed.document("explain", "POST", "/orders")
    during = _ask(worker, text)
    revoked = keyed.document("pass", "revoke", "QA, Ann")["revoked"]
    after = _ask(worker, text)

    assert f"/api/maintenance/pass#{text}" in printed
    assert f"quiesce pass revoke {listed[0]['id']}" in printed
    assert [(each["name"], each["window_id"]) for each in listed] == [("QA, Ann", window)]
    assert listed == explained["passes"] == revoked
    assert (during, after) == (Outcome.BYPASSED, Outcome.REFUSED)
    assert keyed.document("pass", "list")["passes"] == []
    worker.close()


def _ask(service: EnhancedMaintenanceModeService, text: str) -> Outcome:
    gate = service.gate
    token = -gate.enter("POST", "/orders")
    decision = gate.judge(token)
    assert decision is not None
    passed = gate.passes.admit(token, decision, header=text)
    gate.leave(token)
    return decision.outcome if passed is None else passed.outcome


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("issue",), 2, "--name"),
        (("issue", "--name", ""), 2, "name: must not be empty"),
        (("issue", "--name", "x", "--for", "25h"), 2, "lifetime: 90000 seconds is more than 24 hours"),
        (("issue", "--name", "x", "--for", "soon"), 2, "no duration"),
        (("issue", "--name", "x", "--window", "nothing"), 5, "no window or schedule 'nothing'"),
        (("revoke", "nobody"), 5, "no live pass 'nobody'"),
        (("revoke",), 2, "NAME_OR_ID"),
        ((), 2, "issue"),
        (("issue", "--name", "x", "--store", "redis://127.0.0.1:1/0"), 4, "redis://127.0.0.1:1/0"),
    ],
    ids=str,
)
def test_what_cannot_be_is_said_and_changes_nothing(
    keyed: Shell, arguments: tuple[str, ...], code: int, said: str
) -> None:
    """Nothing that looks like a pass is printed unless it is one."""
    done = keyed.run("pass", *arguments)

    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert keyed.document("pass", "list")["passes"] == []


def test_without_the_key_none_is_issued_but_one_can_be_revoked(keyed: Shell) -> None:
    """The operator who must lock somebody out may sit at another machine."""
    keyed.document("pass", "issue", "--name", "x")
    del keyed.environment["MAINTENANCE_SECRET_KEY"]

    refused = keyed.run("pass", "issue", "--name", "x", "--json")

    assert refused.returncode == 2
    assert "MAINTENANCE_SECRET_KEY: is not set" in json.loads(refused.stderr)["error"]
    assert len(keyed.document("pass", "list")["passes"]) == 1
    assert len(keyed.document("pass", "revoke", "x")["revoked"]) == 1


def test_a_pass_that_no_worker_hears_of_is_warned_of(keyed: Shell) -> None:
    """A pass in the wrong store is the likeliest reason why a tester stays outside."""
    done = keyed.run("pass", "issue", "--name", "x")

    assert done.returncode == 0
    assert "NO WORKER is attached" in done.stderr


def test_the_command_leads_to_the_same_store_and_tells_no_key(keyed: Shell) -> None:
    """What is printed is pasted into chats."""
    done = keyed.run("pass", "issue", "--name", "x", "--service", "shop")

    assert re.search(r"quiesce pass revoke [0-9a-f]{16} --service shop\n", done.stdout)
    assert KEY not in done.stdout + done.stderr
