"""``quiesce run``: the command starts when the system is quiet, and the window ends as the command ended."""

from __future__ import annotations

import contextlib
import json
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quiesce import Store, open_store
from quiesce.testing import eventually

Shell = Any  # as made in conftest.py

STATUS = [sys.executable, "-m", "quiesce.cli", "status", "--json"]
WAITING = "import pathlib, time\nprint('ready', flush=True)\nwhile not pathlib.Path('go').exists(): time.sleep(0.01)"


def run(shell: Shell, *options: str) -> list[str]:
    """The words of a run, before its command."""
    return ["run", "--reason", "Migration", "--wait", "20s", *options, "--"]


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@contextlib.contextmanager
def store_of(shell: Shell) -> Any:
    with contextlib.closing(open_store(shell.environment["MAINTENANCE_STORE_URL"])) as store:
        yield store


def windows(shell: Shell) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = shell.document("status")["windows"]
    return found


def test_command_runs_in_its_window(shell: Shell) -> None:
    """All of it: the proof first, the output untouched, and the window gone afterwards."""
    shell.worker()

    done = shell.run(*run(shell, "--ticket", "OPS-7", "--allow", "job_creation"), *STATUS)

    during = json.loads(done.stdout)
    (window,) = during["windows"]
    assert done.returncode == 0
    assert during["quiescence"]["quiesced"] is True
    assert (window["reason"], window["ends_at"], window["ticket"]) == ("Migration", "", "OPS-7")
    assert "job_creation" not in during["blocked_operations"]
    assert "Quiesced at revision" in done.stderr
    assert f"The command succeeded; window {window['id']} has ended" in done.stderr
    assert windows(shell) == []
    with store_of(shell) as store:
        kinds = [str(event.kind) for event in store.events()]
        renewals = store.lease_renewals()
    assert kinds == ["started", "quiesced", "ended"]
    assert renewals == {}


def test_holder_is_named_without_what_may_be_secret(shell: Shell) -> None:
    """Leases are told to everybody who is told of the window; arguments may hold passwords."""
    shell.worker()
    program = shell.folder / "alembic"
    program.write_text(f"#!/bin/sh\nexec {shlex.join(STATUS)}\n", encoding="utf-8")
    program.chmod(0o755)

    done = shell.run(*run(shell), str(program), "upgrade", "head", "--password=hunter2", "postgres://u:hunter2@db/x")

    (window,) = json.loads(done.stdout)["windows"]
    assert window["lease"]["holder"].endswith(": alembic upgrade head …")
    assert "hunter2" not in done.stdout + done.stderr


def test_busy_system_keeps_the_command_from_starting(shell: Shell) -> None:
    """The command would meet a write; it never starts, and nobody is locked out for it."""
    worker = shell.worker()
    worker.begin("POST", "/api/jobs/7")
    options = ["run", "--reason", "x", "--wait", "4s"]

    done = shell.run(*options, "--", "touch", "started")
    programs = shell.run(*options, "--json", "--", "touch", "started")

    answer = json.loads(programs.stdout)
    assert (done.returncode, programs.returncode) == (3, 3)
    assert f"pid {worker.pid} on " in done.stderr
    assert "POST /api/jobs/7" in done.stderr
    assert "the command was not started; window" in done.stderr
    assert "stays open" not in done.stderr
    assert (answer["exit_code"], answer["window_became"]) == (None, "ended")
    assert json.loads(programs.stderr)["kind"] == "not_quiesced"
    assert not (shell.folder / "started").exists()
    assert windows(shell) == []


def test_failure_keeps_the_window_and_says_how_to_end_it(shell: Shell) -> None:
    """A half-done migration must not be opened to writes; nor may anybody call its holder lost."""
    shell.worker()

    done = shell.run(*run(shell), *python("raise SystemExit(7)"))

    (window,) = windows(shell)
    assert done.returncode == 7
    assert f"Error: the command failed with exit code 7; window {window['id']} stays open" in done.stderr
    assert f"quiesce disable --window {window['id']}" in done.stderr
    assert "--overlap" in done.stderr
    assert window["lease"] is None
    with store_of(shell) as store:
        kept = [record.detail for record in store.audit() if record.action == "window.kept"]
    assert kept == ["the command failed with exit code 7"]


def test_failed_command_can_be_run_again_in_the_kept_window(shell: Shell) -> None:
    """Between the two no write may slip in."""
    shell.worker()
    shell.run(*run(shell), *python("raise SystemExit(7)"))

    refused = shell.run(*run(shell), "true")
    again = shell.run(*run(shell, "--overlap"), "true")

    assert (refused.returncode, again.returncode) == (5, 0)
    assert "--overlap" in refused.stderr
    assert len(windows(shell)) == 1


def test_failure_ends_the_window_where_that_was_asked_for(shell: Shell) -> None:
    """What can be tried again at any time needs no operator."""
    shell.worker()

    done = shell.run(*run(shell, "--on-failure", "release"), *python("raise SystemExit(7)"))

    assert done.returncode == 7
    assert "has ended" in done.stderr
    assert windows(shell) == []


def test_killed_command_counts_as_failed(shell: Shell) -> None:
    """As in a shell: 128 and the signal."""
    shell.worker()

    done = shell.run(*run(shell), *python("import os; os.kill(os.getpid(), 9)"))

    assert done.returncode == 128 + signal.SIGKILL
    assert "the command was ended by SIGKILL" in done.stderr
    assert len(windows(shell)) == 1


def test_program_that_cannot_be_run_opens_nothing(shell: Shell) -> None:
    """A typing error must not lock anybody out, not for a second."""
    (shell.folder / "plain").write_text("x", encoding="utf-8")

    runs = {
        name: shell.run("run", "--reason", "x", "--", name) for name in ("no-such-program", "./none", "./plain", "/")
    }

    assert {name: done.returncode for name, done in runs.items()} == {
        "no-such-program": 127,
        "./none": 127,
        "./plain": 126,
        "/": 126,
    }
    assert all(done.stderr.startswith("Error: the command ") for done in runs.values())
    assert shell.document("status")["revision"] == 0


@pytest.mark.parametrize(("text", "code"), [("#!/no/such/interpreter\n", 127), ("neither script nor binary", 126)])
def test_program_that_fails_to_start_ends_the_window(shell: Shell, text: str, code: int) -> None:
    """It looked executable, and was not; nothing ran, so nothing needs protection."""
    shell.worker()
    program = shell.folder / "program"
    program.write_text(text, encoding="utf-8")
    program.chmod(0o755)

    done = shell.run(*run(shell), "./program")

    assert done.returncode == code
    assert "the command was not started; window" in done.stderr
    assert windows(shell) == []


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--reason", "x", "--mode", "test", "--", "true"], "a test window refuses nothing"),
        (["--reason", "x", "--lease", "5s", "--", "true"], "lease"),
        (["--reason", "x", "--on-failure", "panic", "--", "true"], "panic"),
        (["--reason", "x", "--block", "telepathy", "--", "true"], "telepathy"),
        (["--reason", "x"], "COMMAND"),
        (["--", "true"], "--reason"),
    ],
)
def test_bad_input_opens_nothing(shell: Shell, options: list[str], named: str) -> None:
    """A clear line, and no window that nobody wanted."""
    done = shell.run("run", *options)

    assert done.returncode == 2
    assert named in done.stderr
    assert shell.document("status")["revision"] == 0


def test_document_is_the_last_line(shell: Shell) -> None:
    """Programs take it with ``tail -n 1``; options of the command are not ours, and its output stays whole."""
    shell.worker()
    code = "import sys; sys.stdout.write(' '.join(sys.argv[1:])); sys.exit(3)"

    done = shell.run(*run(shell, "--json"), *python(code), "--json", "--reason")

    first, last = done.stdout.splitlines()
    answer = json.loads(last)
    error = json.loads(done.stderr)
    assert first == "--json --reason"
    assert (answer["exit_code"], answer["window_became"]) == (3, "kept")
    assert answer["quiescence"]["quiesced"] is True
    assert (error["kind"], error["exit_code"]) == ("command_failed", 3)


def test_window_that_somebody_ends_is_told_while_the_command_goes_on(shell: Shell) -> None:
    """Killing a migration halfway would be worse than what the other operator did."""
    shell.worker()
    running = shell.begin(*run(shell), *python(WAITING))
    assert running.stdout.readline() == "ready\n"

    shell.document("disable")
    shell.read_until(running, r"WARNING: window \w+ HAS ENDED")
    (shell.folder / "go").touch()
    running.communicate(timeout=20)

    assert running.returncode == 0


def test_store_that_goes_away_is_told_while_the_command_goes_on(shell: Shell, make_redis: Callable[..., Any]) -> None:
    """And when it is back, the window is ended as if nothing had been."""
    server = make_redis()
    shell.environment["MAINTENANCE_STORE_URL"] = server.url
    shell.worker()
    running = shell.begin(*run(shell), *python(WAITING))
    assert running.stdout.readline() == "ready\n"

    server.kill()
    shell.read_until(running, "cannot be renewed, trying again")
    server.start()
    shell.read_until(running, "is renewed again")
    (shell.folder / "go").touch()
    running.communicate(timeout=40)

    assert running.returncode == 0
    assert windows(shell) == []


def test_success_that_cannot_be_told_to_the_store_is_no_success(shell: Shell, make_redis: Callable[..., Any]) -> None:
    """Exit code 0 would hide that users are locked out still."""
    server = make_redis()
    shell.environment["MAINTENANCE_STORE_URL"] = server.url
    shell.worker()
    running = shell.begin(*run(shell), *python(WAITING))
    assert running.stdout.readline() == "ready\n"

    server.kill()
    (shell.folder / "go").touch()
    _, stderr = running.communicate(timeout=60)

    assert running.returncode == 4
    assert "the command succeeded; window" in stderr
    assert "may be open still" in stderr
    assert "quiesce disable --window" in stderr


@pytest.mark.slow
def test_lost_holders_are_announced(shell: Shell) -> None:
    """One is killed and was to release; one is stopped, is called lost, and goes on when it is back."""
    shell.worker()
    killed = shell.begin(*run(shell, "--lease", "6s", "--on-failure", "release"), *python(WAITING))
    assert killed.stdout.readline() == "ready\n"
    stopped = shell.begin(*run(shell, "--lease", "6s", "--overlap"), *python(WAITING))
    assert stopped.stdout.readline() == "ready\n"
    first, second = (window["id"] for window in windows(shell))

    killed.kill()
    stopped.send_signal(signal.SIGSTOP)
    with store_of(shell) as store:
        eventually(lambda: lost(store) == {first, second}, within=40)
        left = [window["id"] for window in windows(shell)]
        renewals = store.lease_renewals()[second]
        stopped.send_signal(signal.SIGCONT)
        eventually(lambda: store.lease_renewals()[second] > renewals)
    (shell.folder / "go").touch()
    _, stderr = stopped.communicate(timeout=20)

    assert left == [second]
    assert stopped.returncode == 0, stderr
    assert windows(shell) == []


def lost(store: Store) -> set[str | None]:
    return {event.window_id for event in store.events() if event.kind == "holder_lost"}


def test_runs_on_an_empty_path(shell: Shell, tmp_path: Path) -> None:
    """Where there is no PATH to look in, the program is named by its path."""
    shell.worker()

    done = shell.run(*run(shell), sys.executable, "-c", "print('ran')", PATH="")

    assert (done.returncode, done.stdout) == (0, "ran\n")
