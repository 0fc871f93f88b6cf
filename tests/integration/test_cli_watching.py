"""Looking on: ``watch``, ``workers``, ``wait --for``; and what ``enable`` and ``disable`` take besides."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from quiesce import open_store
from quiesce.model import WorkerInfo

Shell = Any  # as made in conftest.py


def test_watch_shows_workers_and_what_they_run(shell: Shell) -> None:
    """Who is waited for, since when, and by which verdict; nothing from outside steers the terminal."""
    worker = shell.worker()
    worker.begin("POST", "/api/jobs/[red]\x1b[31m7")
    shell.document("enable", "--reason", "[bold]Database")
    shell.until(lambda: shell.document("workers", "list")["workers"][0]["oldest"] is not None)

    shown = shell.run("watch", "--once")

    assert shown.returncode == 0, shown.stderr
    assert str(worker.pid) in shown.stdout
    assert "NOT QUIET" in shown.stdout
    assert "1 job_creation" in shown.stdout
    assert "[bold]Database" in shown.stdout
    assert "/api/jobs/[red]" in shown.stdout
    assert "\x1b" not in shown.stdout


def test_watch_prints_a_document_a_line_at_each_change(shell: Shell) -> None:
    """A program reads the lines as they come; that time passes is no change."""
    shell.worker()
    watching = shell.begin("watch", "--json")
    first = json.loads(watching.stdout.readline())

    shell.document("enable", "--reason", "Database")
    seen = [json.loads(watching.stdout.readline())]
    while not (seen[-1]["quiescence"] or {})["quiesced"]:
        seen.append(json.loads(watching.stdout.readline()))
    watching.send_signal(signal.SIGINT)
    rest, stderr = watching.communicate(timeout=20)

    assert first["windows"] == []
    assert seen[-1]["windows"][0]["reason"] == "Database"
    assert (watching.returncode, stderr) == (0, "")
    assert len(rest.splitlines()) <= 3


def test_watch_goes_on_when_the_store_is_away(shell: Shell, make_redis: Callable[..., Any]) -> None:
    """An outage is when somebody watches."""
    server = make_redis()
    shell.environment["MAINTENANCE_STORE_URL"] = server.url
    watching = shell.begin("watch", "--json")
    before = json.loads(watching.stdout.readline())

    server.kill()
    away = json.loads(watching.stdout.readline())
    server.start()
    back = json.loads(watching.stdout.readline())
    while back["store_error"] is not None:
        back = json.loads(watching.stdout.readline())
    watching.send_signal(signal.SIGINT)
    watching.communicate(timeout=20)

    assert before["store_error"] is None
    assert away["store_error"]
    assert away["quiescence"] == before["quiescence"]
    assert watching.returncode == 0


def test_watch_on_a_terminal_ends_well_with_ctrl_c(shell: Shell) -> None:
    """The usual way to stop looking is no failure."""
    watching = shell.on_a_terminal("watch")
    for line in watching.stdout:
        if "NO WORKER" in line:
            break

    watching.stdin.write("\x03")
    watching.stdin.flush()
    watching.communicate(timeout=20)

    assert watching.returncode == 0


def test_watch_without_its_extra_names_it(shell: Shell, tmp_path: Path) -> None:
    """The rest of the program needs no rich, and its absence has a remedy."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['rich'] = None\n", encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)

    done = shell.run("watch", "--once", PYTHONPATH=path)
    lines = shell.run("watch", "--once", "--json", PYTHONPATH=path)

    assert done.returncode == 2
    assert "quiesce[watch]" in done.stderr
    assert lines.returncode == 0


@pytest.mark.slow
def test_only_a_silent_worker_can_be_forgotten(shell: Shell) -> None:
    """A live one would run on beside a proof; a machine that is gone for good must not hold up every proof."""
    shell.worker()
    gone = WorkerInfo("gone", "web9", 4711, "another machine", 1, "flask", datetime.now(UTC))
    with contextlib.closing(open_store(shell.environment["MAINTENANCE_STORE_URL"])) as store:
        store.register(gone)
    (live,) = (w["id"] for w in shell.document("workers", "list")["workers"] if w["id"] != "gone")

    refused = [shell.run("workers", "forget", id_, "--yes") for id_ in (live, "nobody")]
    unasked = shell.run("workers", "forget", "gone")
    done = shell.until(lambda: succeeded(shell, "workers", "forget", "gone", "--yes"), within=30)

    assert [run.returncode for run in refused] == [5, 5]
    assert "only a silent one can be forgotten" in refused[0].stderr
    assert unasked.returncode == 130
    assert "Forgot worker gone" in done.stdout
    assert [worker["id"] for worker in shell.document("workers", "list")["workers"]] == [live]
    with contextlib.closing(open_store(shell.environment["MAINTENANCE_STORE_URL"])) as store:
        record = store.audit()[-1]
    assert record.action == "worker.forgotten"
    assert record.detail.startswith("gone: pid 4711 on web9")


def succeeded(shell: Shell, *words: str) -> Any:
    done = shell.run(*words)
    return done if done.returncode == 0 else None


def test_wait_for_a_spell_begins_anew_after_a_break(shell: Shell) -> None:
    """One quiet look between two bursts of work is no rest."""
    worker = shell.worker()
    worker.begin("POST", "/api/jobs/7")
    shell.document("enable", "--reason", "x")

    waiting = shell.begin("wait", "--quiesced", "--for", "2s", "--timeout", "40s")
    shell.read_until(waiting, "in flight")
    worker.finish()
    shell.read_until(waiting, "quiet for")
    shell.document("enable", "--reason", "y", "--overlap")  # workers must confirm the new revision first
    stdout, stderr = waiting.communicate(timeout=60)
    too_short = shell.run("wait", "--for", "50s", "--timeout", "40s")

    assert waiting.returncode == 0, stderr
    assert "Quiesced at revision" in stdout
    assert too_short.returncode == 2


def test_enable_takes_what_a_window_can_have(shell: Shell) -> None:
    """The same terms as over HTTP and in a plan."""
    terms = ["--allow", "job_creation", "--ticket", "OPS-7"]

    first = shell.document("enable", "--reason", "x", *terms)["window"]
    second = shell.run("enable", "--reason", "y")
    third = shell.run("enable", "--reason", "y", "--overlap")
    shown = shell.run("status").stdout

    assert (first["allowed_operations"], first["ticket"]) == (["job_creation"], "OPS-7")
    assert (second.returncode, third.returncode) == (5, 0)
    assert re.search(r"allows +job_creation", shown)
    assert re.search(r"ticket +OPS-7", shown)


def test_disable_asks_which_on_a_terminal(shell: Shell) -> None:
    """An operator sees the reasons and chooses, instead of looking up ids."""
    ids = [shell.document("enable", "--reason", f"work {n}", "--overlap")["window"]["id"] for n in (1, 2, 3)]

    asking = shell.on_a_terminal("disable")
    asking.stdin.write(f"{ids[1]}\n")
    asking.stdin.flush()
    shown, _ = asking.communicate(timeout=30)
    left = [window["id"] for window in shell.document("status")["windows"]]
    unasked = shell.run("disable")

    assert asking.returncode == 0, shown
    assert f"{ids[2]}  normal: work 3" in shown
    assert left == [ids[0], ids[2]]
    assert unasked.returncode == 5
