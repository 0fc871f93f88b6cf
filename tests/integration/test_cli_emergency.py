"""``quiesce emergency`` and ``quiesce recover`` as an operator types them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
from typing import Any

import pytest

from quiesce.testing import eventually

STEPS = ["block", "sessions", "jobs", "websockets", "logging", "notifications"]


def test_an_emergency_refuses_and_tells_each_step(shell: Any) -> None:
    """The operator sees what is done, and who does it is a worker."""
    shell.worker()

    done = shell.run("emergency", "Security incident", "--yes", "--ticket", "OPS-7")

    assert done.returncode == 0, done.stderr
    assert "Emergency maintenance is on" in done.stdout
    for name in STEPS:
        assert any(line.startswith(name) for line in done.stdout.splitlines()), done.stdout
    status = shell.run("status")
    assert "carried out by worker:" in status.stdout
    assert "OPS-7" in status.stdout


def test_an_emergency_for_programs_is_one_document(shell: Any) -> None:
    """A monitoring system that begins one reads the window's id there."""
    shell.worker()

    found = shell.document("emergency", "Security incident", "--yes")

    assert (found["window"]["mode"], found["window"]["reason"]) == ("emergency", "Security incident")
    assert found["emergency"]["window_id"] == found["window"]["id"]
    assert found["emergency"]["is_settled"] is True
    assert [step["name"] for step in found["emergency"]["steps"]] == STEPS
    assert shell.document("status")["emergency"] == found["emergency"]


def test_without_a_terminal_nobody_can_be_asked(shell: Any) -> None:
    """A script says --yes; one that forgot must neither hang nor begin an emergency."""
    done = shell.run("emergency", "Security incident")

    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert shell.document("status")["is_active"] is False


@pytest.mark.parametrize(("answer", "is_active"), [("y", True), ("n", False), ("", False)])
def test_on_a_terminal_it_asks_first(shell: Any, answer: str, *, is_active: bool) -> None:
    """The command stands in the shell's history, one slip of a key away."""
    process = shell.on_a_terminal("emergency", "Security incident", "--no-wait")

    output, _ = process.communicate(f"{answer}\n", timeout=60)

    assert "Refuse everything" in output
    assert process.returncode == (0 if is_active else 130)
    assert shell.document("status")["is_active"] is is_active


def stopped_between_writes(shell: Any, pid: int) -> bool:
    """Stop a process, and let it go on again if it has the store's lock, without which nobody can command."""
    os.kill(pid, signal.SIGSTOP)
    try:
        with contextlib.closing(sqlite3.connect(shell.folder / "maintenance.db", timeout=0.5)) as store:
            store.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        os.kill(pid, signal.SIGCONT)
        return False
    return True


def test_a_step_that_is_not_done_in_time_is_named(shell: Any) -> None:
    """The block stands; what is left is said, with its worker, and tried again by itself."""
    shell.worker()
    stopped = shell.worker()
    eventually(lambda: stopped_between_writes(shell, stopped.pid))
    try:
        done = shell.run("emergency", "Security incident", "--yes", "--wait", "4s", "--json")
    finally:
        os.kill(stopped.pid, signal.SIGCONT)

    error = json.loads(done.stderr)
    assert (done.returncode, error["kind"], error["exit_code"]) == (3, "not_done", 3)
    assert "block" in error["error"]
    left = {step["name"]: step for step in error["emergency"]["steps"]}
    assert any(f"pid {stopped.pid} " in problem for problem in left["block"]["problems"])
    assert left["sessions"]["status"] == "done"
    shell.until(lambda: shell.document("status")["emergency"]["is_settled"], within=40)


def test_without_any_worker_the_command_does_it_and_warns(shell: Any) -> None:
    """The application is down, or this is the wrong store."""
    done = shell.run("emergency", "Security incident", "--yes")
    again = shell.run("emergency", "Security incident", "--yes", "--overlap", "--no-wait")

    assert (done.returncode, again.returncode) == (0, 0)
    assert "NO WORKER" in done.stderr
    assert "skipped: no worker is listed" in done.stdout
    assert "nobody carries out the other steps" in again.stderr


def test_a_second_emergency_is_a_conflict(shell: Any) -> None:
    """The second operator learns who was first, and of how to go on."""
    shell.run("emergency", "Security incident", "--yes", "--no-wait")

    done = shell.run("emergency", "Another", "--yes")

    assert done.returncode == 5
    assert "Security incident" in done.stderr
    assert "--overlap" in done.stderr


def test_a_store_out_of_reach_is_said(shell: Any) -> None:
    """Whether anything is refused is not known then, and must not be taken for granted."""
    done = shell.run("emergency", "Security incident", "--yes", "--store", "redis://127.0.0.1:1/0")

    assert done.returncode == 4
    assert "not known" in done.stderr


def test_an_emergency_is_ended_by_its_checklist(shell: Any) -> None:
    """Look, try, end: what is a person's word is shown as that."""
    shell.worker()
    window_id = shell.document("emergency", "Security incident", "--yes")["window"]["id"]

    looked = shell.run("recover", "--check")
    refused = shell.run("recover", window_id, "--json")
    ended = shell.run("recover", window_id, "--threat-resolved", "Keys are new")

    assert looked.returncode == 5
    assert "NOT OK  threat_resolved (your word)" in looked.stdout
    error = json.loads(refused.stderr)
    assert (refused.returncode, error["kind"], error["window_id"]) == (5, "not_recovered", window_id)
    assert [line["is_ok"] for line in error["checks"]] == [False, True, True, True]
    assert ended.returncode == 0, ended.stderr
    assert "by its checklist" in ended.stdout
    assert shell.document("status")["is_active"] is False


def test_nobody_is_kept_in_by_the_checklist(shell: Any) -> None:
    """By force, or by the command that ends any window."""
    shell.run("emergency", "Security incident", "--yes", "--no-wait")
    refused = shell.run("recover", "--threat-resolved", "Keys are new")
    forced = shell.document("recover", "--force")
    shell.run("emergency", "Security incident", "--yes", "--no-wait")
    disabled = shell.run("disable")
    none = shell.run("recover", "--force")

    assert refused.returncode == 5
    assert "--force" in refused.stderr
    assert "quiesce disable --window" in refused.stderr
    assert forced["recovery"]["was_forced"] is True
    assert (disabled.returncode, none.returncode) == (0, 5)
