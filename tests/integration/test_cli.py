"""The command line as a real process, on real SQLite and Redis, with real workers and plugins."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

import quiesce.cli
from quiesce import MaintenanceState, MaintenanceWindow, Mode, open_store
from quiesce.testing import eventually

COMMAND = [sys.executable, "-W", "error", "-m", "quiesce.cli"]
Shell = Any  # as made in conftest.py


@pytest.fixture
def install(shell: Shell) -> Callable[[str, str], None]:
    """Installs a distribution that has one plugin."""

    def install(name: str, code: str) -> None:
        site = shell.folder / "site"
        metadata = site / f"demo_{name}-1.2.dist-info"
        metadata.mkdir(parents=True)
        (site / f"plugin_{name}.py").write_text(code, encoding="utf-8")
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: demo-{name}\nVersion: 1.2\n", encoding="utf-8"
        )
        (metadata / "entry_points.txt").write_text(f"[quiesce]\n{name} = plugin_{name}\n", encoding="utf-8")
        others = shell.environment.get("PYTHONPATH", "").split(os.pathsep)
        shell.environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([str(site), *filter(None, others)]))

    return install


def test_one_cycle(shell: Shell) -> None:
    """What an operator does every time: look, open, look, extend, end."""
    before = shell.document("status")
    opened = shell.document(
        "enable", "--reason", "Database", "--duration", "45m", "--block", "job_creation", "--no-notify"
    )
    during = shell.document("status")
    extended = shell.document("extend", "1h")
    ended = shell.document("disable")
    after = shell.document("status")

    window = opened["window"]
    assert (before["is_active"], during["is_active"], after["is_active"]) == (False, True, False)
    assert (window["mode"], window["reason"], window["estimated_duration"]) == ("normal", "Database", 2700)
    assert (window["operations"], window["notify_users"]) == (["job_creation"], False)
    assert during["blocked_operations"] == ["job_creation"]
    assert during["windows"] == [window]
    assert extended["window"]["estimated_duration"] == 2700 + 3600
    assert [item["id"] for item in ended["ended"]] == [window["id"]]
    assert after["revision"] == 3


def test_the_audit_trail_names_the_operator_and_the_way(shell: Shell) -> None:
    """An incident report needs to say who did it."""
    shell.document("enable", "--reason", "x")

    with contextlib.closing(open_store(shell.environment["MAINTENANCE_STORE_URL"])) as store:
        (record,) = store.audit()

    assert record.source == "cli"
    assert re.fullmatch(r"[^@\s]+@\S+", record.actor)


def test_conflicts_exit_5_and_say_what_to_do(shell: Shell) -> None:
    """Two operators at once: the second learns of the first."""
    nothing_open = shell.run("disable")
    first = shell.document("enable", "--reason", "first")["window"]["id"]
    second = shell.run("enable", "--reason", "second")
    shell.document("enable", "--reason", "worse", "--mode", "emergency")
    ambiguous = shell.run("disable")
    unknown = shell.run("extend", "1h", "--window", "nope")
    ended = shell.document("disable", "--all")["ended"]

    assert {run.returncode for run in (nothing_open, second, ambiguous, unknown)} == {5}
    assert "no maintenance window is open" in nothing_open.stderr
    assert first in second.stderr
    assert f"quiesce disable --window {first}" in second.stderr
    assert first in ambiguous.stderr
    assert "nope" in unknown.stderr
    assert len(ended) == 2


def test_a_store_without_workers_is_said_loudly(shell: Shell) -> None:
    """The commonest disaster: a window in a store that no application uses."""
    done = shell.run("enable", "--reason", "x", "--store", "sqlite:///elsewhere.db")
    document = json.loads(shell.run("status", "--json", "--store", "sqlite:///elsewhere.db").stdout)

    assert done.returncode == 0
    assert re.search(rf"WARNING: NO WORKER is attached to the store \S+{shell.folder.name}/elsewhere.db", done.stderr)
    assert "--store sqlite:///elsewhere.db" in done.stdout
    assert "NO WORKER" in document["warnings"][0]


def test_no_worker_proves_nothing_unless_the_operator_says_so(shell: Shell) -> None:
    """``enable --wait && migrate`` on the wrong store must not run the migration."""
    unproven = shell.run("enable", "--reason", "x", "--wait", "6s")  # a new store settles for three seconds
    proven = shell.document("wait", "--timeout", "20s", "--expect", "0")

    assert unproven.returncode == 3
    assert "NO WORKER" in unproven.stderr
    assert "--expect 0" in unproven.stderr
    assert proven["quiescence"]["quiesced"] is True
    assert "NO WORKER" in proven["warnings"][0]


def test_wait_names_the_straggler_and_ends_with_the_proof(shell: Shell) -> None:
    """An operator sees whom the wait is for, and then what was proven."""
    slow, idle = shell.worker(), shell.worker()
    slow.begin("POST", "/api/jobs/7")

    waiting = shell.start(*COMMAND, "enable", "--reason", "x", "--wait", "40s", "--expect", "2")
    progress = shell.read_until(waiting, r"1 of 2 workers confirmed; in flight: 1 job_creation")
    slow.finish()
    stdout, stderr = waiting.communicate(timeout=40)

    assert idle.pid != slow.pid
    assert re.search(rf"waiting for pid {slow.pid} on \S+ \(POST /api/jobs/7 for \d+\.\d s\)", progress)
    assert waiting.returncode == 0
    assert re.search(r"Quiesced at revision \d+: 2 of 2 workers confirmed", stdout)
    assert re.search(r"holds until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", stdout)
    assert "\x1b" not in stdout + progress + stderr


def test_time_out_says_what_stands_in_the_way_and_what_stays_open(shell: Shell) -> None:
    """Exit code 3 must not be taken for "nothing happened": the window is open."""
    worker = shell.worker()
    worker.begin("POST", "/api/jobs/7")

    done = shell.run("enable", "--reason", "x", "--wait", "4s")
    found = shell.document("status")
    program = shell.run("wait", "--timeout", "0", "--json")

    window = found["windows"][0]["id"]
    error = json.loads(program.stderr)
    assert (done.returncode, program.returncode) == (3, 3)
    assert re.search(rf"pid {worker.pid} on .* still runs 1 job_creation; the oldest: POST /api/jobs/7", done.stderr)
    assert f"window {window} stays open" in done.stderr
    assert f"quiesce disable --window {window}" in done.stderr
    assert error["kind"] == "not_quiesced"
    assert error["quiescence"]["in_flight"] == {"job_creation": 1}
    assert json.loads(program.stdout)["quiescence"]["quiesced"] is False


def test_expected_workers_are_asked_for(shell: Shell) -> None:
    """A worker that never registered is missed only by whoever knows the number."""
    shell.worker()
    shell.document("enable", "--reason", "x")

    done = shell.run("wait", "--timeout", "4s", "--expect", "2")

    assert done.returncode == 3
    assert "1 of 2 expected workers confirmed" in done.stderr


def test_interrupted_wait_says_that_the_window_is_open(shell: Shell) -> None:
    """Ctrl-C ends the waiting, not the maintenance; the operator must know."""
    shell.worker().begin("POST", "/api/jobs/7")
    waiting = shell.start(*COMMAND, "enable", "--reason", "x", "--wait", "10m")
    shell.read_until(waiting, "in flight")

    waiting.send_signal(signal.SIGINT)
    _, stderr = waiting.communicate(timeout=20)

    (window,) = shell.document("status")["windows"]
    assert waiting.returncode == 130
    assert "interrupted" in stderr
    assert f"window {window['id']} stays open" in stderr
    assert f"quiesce disable --window {window['id']}" in stderr
    assert "Traceback" not in stderr


def test_waiting_ends_when_somebody_else_ends_the_window(shell: Shell) -> None:
    """Nobody waits ten minutes for what can no longer come."""
    shell.worker().begin("POST", "/api/jobs/7")
    waiting = shell.start(*COMMAND, "enable", "--reason", "x", "--wait", "10m")
    shell.read_until(waiting, "in flight")

    shell.document("disable")
    _, stderr = waiting.communicate(timeout=20)

    assert waiting.returncode == 5
    assert "has ended while this command was waiting" in stderr


def test_waiting_without_a_window_is_a_conflict(shell: Shell) -> None:
    """Nothing is refused, so nothing will ever be proven."""
    nothing = shell.run("wait", "--timeout", "10m")
    shell.document("enable", "--reason", "x", "--mode", "test")
    only_test = shell.run("wait", "--timeout", "10m")

    assert (nothing.returncode, only_test.returncode) == (5, 5)
    assert "nothing to wait for" in nothing.stderr


def test_a_terminal_gets_colours_and_one_live_line(shell: Shell) -> None:
    """On a terminal the progress is shown in place, and warnings stand out."""
    shell.worker().begin("POST", "/api/jobs/7")
    leader, follower = pty.openpty()
    shell.start(*COMMAND, "enable", "--reason", "x", "--wait", "5s", stderr=follower)
    os.close(follower)
    seen = ""

    def has_ended() -> bool:
        nonlocal seen
        try:
            if select.select([leader], [], [], 0.1)[0]:
                seen += os.read(leader, 65536).decode()
        except OSError:  # the other end was closed
            return True
        return False

    eventually(has_ended, within=30)
    os.close(leader)

    live = re.findall(r"\r\x1b\[2K(\d[^\r\n]+)", seen)
    assert len(live) >= 3
    assert "in flight: 1 job_creation" in live[-1]
    assert all(len(line) < 80 for line in live)
    assert "\x1b[31mError: not quiesced" in seen


def test_stored_reasons_cannot_steer_the_terminal(shell: Shell) -> None:
    """Whoever can write to the store must not write to an operator's terminal."""
    reason = "\x1b]0;owned\x07\r\nquiesced  yes \u202e"
    window = MaintenanceWindow(
        id="w\x1b[2J", mode=Mode.NORMAL, reason=reason, owner="\x9b31mme", starts_at=datetime.now(UTC)
    )
    with contextlib.closing(open_store(shell.environment["MAINTENANCE_STORE_URL"])) as store:
        store.commit(MaintenanceState(1, (window,)), expected_revision=0, audit=[])

    shown = [shell.run("status"), shell.run("enable", "--reason", "x"), shell.run("explain", "POST", "/x\x1b[2J")]
    document = shell.document("status")

    for run in shown:
        assert set(re.findall(r"[^\x20-\x7e\n]", run.stdout + run.stderr)) == set()
    assert r"\x1b]0;owned\x07\r\nquiesced  yes \u202e" in shown[0].stdout
    assert not re.search(r"^\s*quiesced  yes", shown[0].stdout, re.MULTILINE)
    assert document["reason"] == reason


@pytest.mark.parametrize(
    ("url", "code"),
    [("redis://:s3cret-word@127.0.0.1:1/0", 4), ("sqlite:///garbage.db", 4), ("sqlite:///none/m.db", 2)],
)
@pytest.mark.parametrize("command", [["status"], ["enable", "--reason", "x"], ["wait", "--timeout", "0"]])
def test_store_out_of_reach(shell: Shell, url: str, code: int, command: list[str]) -> None:
    """A store that does not answer is told from a mistake, in a line, without its password."""
    (shell.folder / "garbage.db").write_bytes(b"no database" * 1000)

    done = shell.run(*command, "--store", url)

    assert done.returncode == code
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stderr
    assert "s3cret-word" not in done.stderr + done.stdout
    assert ("whether anything changed is not known" in done.stderr) == (code == 4 and command[0] == "enable")


def test_broken_plugin_locks_no_operator_out(shell: Shell, install: Callable[[str, str], None]) -> None:
    """The plugin that breaks at night must not keep maintenance from being opened, or ended."""
    install("bad", "raise RuntimeError('half installed')")

    runs = [
        shell.run("enable", "--reason", "x", "--block", "job_creation"),
        shell.run("status"),
        shell.run("wait", "--timeout", "20s", "--expect", "0"),
        shell.run("extend", "1h"),
        shell.run("disable"),
    ]

    assert [run.returncode for run in runs] == [0, 0, 0, 0, 0], [run.stderr for run in runs]


def test_broken_plugin_is_named_where_it_is_needed(shell: Shell, install: Callable[[str, str], None]) -> None:
    """The error leads to the distribution to uninstall."""
    install("bad", "raise RuntimeError('half installed')")

    runs = [
        shell.run("enable", "--reason", "x", "--block", "payments"),
        shell.run("explain", "GET", "/"),
        shell.run("status", "--store", "bad://x"),
        listed := shell.run("plugins"),
    ]
    disabled = shell.run("plugins", MAINTENANCE_DISABLE_PLUGINS="bad")

    for run in runs:
        assert run.returncode == 2
        assert "demo-bad" in run.stderr
        assert "half installed" in run.stderr
        assert "Traceback" not in run.stderr
    assert "BROKEN" in listed.stdout
    assert disabled.returncode == 0
    assert "disabled by MAINTENANCE_DISABLE_PLUGINS" in disabled.stdout


def test_good_plugins_are_listed_beside_broken_ones(shell: Shell, install: Callable[[str, str], None]) -> None:
    """The list is for finding out which of many is the broken one."""
    install("bad", "raise SystemExit(0)")
    install("pay", PAYMENTS)

    done = shell.run("plugins", "--json")

    found = {item["name"]: item for item in json.loads(done.stdout)["plugins"]}
    assert done.returncode == 2
    assert json.loads(done.stderr)["broken"] == ["bad"]
    assert found["pay"]["hooks"] == ["classify_operation", "operation_types"]
    assert (found["pay"]["distribution"], found["pay"]["version"], found["pay"]["error"]) == ("demo-pay", "1.2", None)
    assert "demo-bad" in found["bad"]["error"]


PAYMENTS = """
from quiesce import OperationType, hookimpl

@hookimpl
def operation_types():
    return [OperationType("payments", "Taking money")]

@hookimpl
def classify_operation(request):
    return "payments" if request.path.startswith("/pay") else None
"""


def test_types_of_plugins_can_be_blocked_and_explained(shell: Shell, install: Callable[[str, str], None]) -> None:
    """A plugin's own type is as good as a built-in one."""
    install("pay", PAYMENTS)

    window = shell.document("enable", "--reason", "x", "--block", "payments")["window"]
    pay = shell.document("explain", "post", "/pay/now?card=1")
    other = shell.document("explain", "POST", "/api/jobs")

    assert window["operations"] == ["payments"]
    assert (pay["path"], pay["outcome"], pay["operation_type"], pay["window"]) == (
        "/pay/now",
        "refused",
        "payments",
        window,
    )
    assert "pay" in pay["rule"]
    assert (other["outcome"], other["window"]) == ("passed", None)


def test_options_stand_above_the_settings_file_and_the_environment(shell: Shell) -> None:
    """An operator who names a store means that one."""
    (shell.folder / "q.toml").write_text("[tool.quiesce]\nMAINTENANCE_SERVICE_NAME = 'shop'\n", encoding="utf-8")

    from_file = shell.document("status", "--config", "q.toml")
    from_option = shell.document("status", "--config", "q.toml", "--service", "blog", "--store", "sqlite:///b.db")

    assert from_file["service"] == "shop"
    assert from_option["service"] == "blog"
    assert from_option["store"].endswith("/b.db")


def test_commands_of_one_service_do_not_touch_another(shell: Shell) -> None:
    """Services share a store; maintenance of the shop must not close the blog."""
    shell.document("enable", "--reason", "x", "--service", "shop")

    assert shell.document("status", "--service", "blog")["is_active"] is False


def test_switched_off_maintenance_is_said(shell: Shell) -> None:
    """With the master switch off a window refuses nothing, and whoever opens it should know."""
    done = shell.run("enable", "--reason", "x", MAINTENANCE_MODE_ENABLED="false")

    assert done.returncode == 0
    assert "MAINTENANCE_MODE_ENABLED is false" in done.stderr


def test_reasons_in_other_scripts_survive_a_latin_terminal(shell: Shell) -> None:
    """A terminal that cannot show the reason gets it escaped, not a traceback."""
    shell.document("enable", "--reason", "Обслуживание")

    done = shell.run("status", PYTHONIOENCODING="latin-1:strict", PYTHONUTF8="0")

    assert done.returncode == 0
    assert "\\u041e" in done.stdout


def test_cycle_on_redis_with_a_password(shell: Shell, make_redis: Callable[..., Any]) -> None:
    """The same commands over the network; the password shows nowhere."""
    server = make_redis("--requirepass", "s3cret-word")
    url = f"redis://:s3cret-word@127.0.0.1:{server.port}/0"
    shell.environment["MAINTENANCE_STORE_URL"] = url
    worker = shell.worker()
    worker.begin("POST", "/api/jobs/7")

    blocked = shell.run(
        "enable", "--reason", "x", "--wait", "4s", "--store", shell.environment["MAINTENANCE_STORE_URL"]
    )
    worker.finish()
    proven = shell.document("wait", "--timeout", "20s")
    shell.document("disable")
    server.kill()
    gone = shell.run("status")

    assert blocked.returncode == 3
    assert proven["quiescence"]["quiesced"] is True
    assert len(proven["quiescence"]["confirmed"]) == 1
    assert gone.returncode == 4
    assert "s3cret-word" not in blocked.stdout + blocked.stderr + json.dumps(proven) + gone.stdout + gone.stderr


def test_store_that_dies_during_the_wait_leaves_the_window_open(shell: Shell, redis_server: Any) -> None:
    """Exit code 4 after the commit: the operator must not think that nothing was opened."""
    shell.environment["MAINTENANCE_STORE_URL"] = redis_server.url
    shell.worker().begin("POST", "/api/jobs/7")
    waiting = shell.start(*COMMAND, "enable", "--reason", "x", "--wait", "5s")
    shell.read_until(waiting, "in flight")

    redis_server.kill()
    stdout, stderr = waiting.communicate(timeout=40)

    assert waiting.returncode == 4
    assert "Normal maintenance is on" in stdout
    assert "stays open" in stderr
    assert "not known" not in stderr


def test_installed_program_is_this_one() -> None:
    """``quiesce`` on the PATH runs what is tested here."""
    (script,) = entry_points(group="console_scripts", name="quiesce")

    assert script.load() is quiesce.cli.main


def test_documents_have_the_fields_of_the_reference(shell: Shell) -> None:
    """Scripts are written from the reference; a field that is missing breaks them at night."""
    reference = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
    example = re.compile(r"^### `([\w ]+)`\n(?:(?!^### ).)*?^```json\n(.*?)^```", re.DOTALL | re.MULTILINE)
    documented = {name: json.loads(block) for name, block in example.findall(reference.read_text(encoding="utf-8"))}
    shell.worker()

    found = {
        "enable": shell.document("enable", "--reason", "x", "--wait", "20s"),
        "wait": shell.document("wait", "--timeout", "20s"),
        "status": shell.document("status"),
        "explain": shell.document("explain", "POST", "/x"),
        "extend": shell.document("extend", "1h"),
        "disable": shell.document("disable"),
        "plugins": shell.document("plugins"),
        "run": json.loads(shell.run("run", "--reason", "x", "--wait", "20s", "--json", "--", "true").stdout),
        "watch": shell.document("watch", "--once"),
        "workers list": shell.document("workers", "list"),
    }
    documented = {name: document for name, document in documented.items() if name in found}

    assert {name: fields(document) for name, document in found.items()} == {
        name: fields(document) for name, document in documented.items()
    }


def fields(document: Mapping[str, Any]) -> set[str]:
    """The names in a document, and in what it holds."""
    names = set(document)
    for name, value in document.items():
        if isinstance(value, dict) and name not in {"in_flight", "counts"}:
            names |= {f"{name}.{inner}" for inner in fields(value)}
    return names
