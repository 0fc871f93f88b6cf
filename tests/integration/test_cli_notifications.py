"""Commands tell people where no worker does, and leave to workers what they cannot."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from quiesce import EnhancedMaintenanceModeService, Settings
from quiesce.testing import eventually

EXAMPLE = Path(__file__).parents[2] / "examples/notifier-plugin/src/quiesce_journal_notifier"
Shell = Any  # as made in conftest.py


@pytest.fixture
def journal(shell: Shell) -> Path:
    """The example is installed; the file that it writes to."""
    site = shell.folder / "site"
    metadata = site / "quiesce_journal_notifier-0.1.0.dist-info"
    metadata.mkdir(parents=True)
    shutil.copytree(EXAMPLE, site / EXAMPLE.name, ignore=shutil.ignore_patterns("__pycache__"))
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: quiesce-journal-notifier\nVersion: 0.1.0\n")
    (metadata / "entry_points.txt").write_text("[quiesce]\njournal = quiesce_journal_notifier\n")
    file: Path = shell.folder / "journal"
    shell.environment |= {"PYTHONPATH": str(site), "JOURNAL_FILE": str(file)}
    return file


def lines(journal: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in journal.read_text().splitlines()] if journal.is_file() else []


def notifier(shell: Shell) -> dict[str, Any]:
    notifiers = shell.document("notifications", "list")["notifiers"]
    (found,) = [each for each in notifiers if each["name"] == "journal"]  # others are installed beside it
    return found  # type: ignore[no-any-return]  # a document is of any shape


def is_done(found: dict[str, Any]) -> bool:
    return found["waiting"] == 0 and not found["is_sending"]


def test_a_command_tells_what_no_worker_tells_and_loses_nothing(shell: Shell, journal: Path) -> None:
    """With workers, without any, with a receiver that is down, and from a shell that was told nothing."""
    worker = shell.worker()
    shell.until(lambda: notifier(shell)["cursor"] and notifier(shell)["is_attended"], within=30)
    shell.document("enable", "--reason", "one")
    eventually(lambda: [line["kind"] for line in lines(journal)] == ["started", "quiesced"], within=20)
    shell.until(lambda: is_done(notifier(shell)), within=20)  # one that is killed before would send it again
    os.kill(worker.pid, signal.SIGKILL)
    shell.until(lambda: not notifier(shell)["is_attended"], within=30)

    extended = shell.run("extend", "1h", JOURNAL_FILE=str(shell.folder))  # it is a folder
    ended = shell.run("disable", JOURNAL_FILE="")
    assert (extended.returncode, ended.returncode) == (0, 0), (extended.stderr, ended.stderr)
    assert "notifier journal has not delivered everything" in extended.stderr
    assert "JOURNAL_FILE is not set" in ended.stderr
    assert len(lines(journal)) == 2
    shell.document("enable", "--reason", "two", "--no-notify")

    told = lines(journal)
    assert [line["kind"] for line in told] == ["started", "quiesced", "extended", "ended", "started"]
    assert [line["reason"] for line in told] == ["one"] * 4 + ["two"]
    assert told[0]["audience"] == "everyone"
    assert told[4]["audience"] == "operators"
    assert len({line["id"] for line in told}) == 5


def test_a_try_is_marked_and_its_failure_has_an_exit_code(shell: Shell, journal: Path) -> None:
    """A script that sets a server up must find out that the mail does not go out."""
    tried = shell.document("notifications", "test", "journal")
    failed = shell.run("notifications", "test", "journal", JOURNAL_FILE=str(shell.folder))
    unknown = shell.run("notifications", "test", "jornal")
    retried = shell.run("notifications", "retry", "journal")

    assert tried["is_ok"] is True
    assert [(line["is_test"], line["audience"]) for line in lines(journal)] == [(True, "operators")]
    assert (failed.returncode, unknown.returncode, retried.returncode) == (1, 5, 5)


def test_a_command_starts_without_the_plugins_that_tell_nobody(shell: Shell) -> None:
    """Adapters take a second to import, and an operator in a hurry waits for it."""
    shell.environment["PYTHONPATH"] = str(shell.folder)
    (shell.folder / "fastapi.py").write_text("raise SystemExit('imported')")
    service = EnhancedMaintenanceModeService(Settings(store_url=shell.environment["MAINTENANCE_STORE_URL"]))

    done = shell.run("enable", "--reason", "quick")

    assert done.returncode == 0, done.stderr
    assert service.get_maintenance_status().is_active
    service.close()
