"""The commands in the documents, run in order on real servers, as a reader would run them."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from quiesce.testing import eventually

if TYPE_CHECKING:
    from tests.nursery.client import Nursery

SERVERS = frozenset({"flask", "gunicorn", "uvicorn"})
SETTING_UP = frozenset({"mkdir", "pip", "python3"})  # see test_setting_up.py

# Where gunicorn listens, and a sign that the tutorial's slow write has begun: else the window might overtake it.
GUNICORN = """
import pathlib, time

bind = "127.0.0.1:{port}"
control_socket_disable = True
really_sleep = time.sleep


def sleep(seconds):
    if seconds == 5:
        pathlib.Path("sleeping").touch()
    really_sleep(seconds)


time.sleep = sleep
"""

CURL = argparse.ArgumentParser("curl", exit_on_error=False)
CURL.add_argument("-s", action="store_true")
CURL.add_argument("-i", action="store_true")
CURL.add_argument("-X", dest="method")
CURL.add_argument("-H", dest="headers", action="append", default=[])
CURL.add_argument("-d", dest="data")
CURL.add_argument("url")


@dataclass(slots=True)
class Answer:
    """What a command came to: an exit code or a status, and what it said."""

    code: int = -1
    text: str = ""
    response: httpx.Response | None = None


class Reader:
    """Types the commands of a document, in a folder with the files that it shows.

    Attributes:
        is_cold: whether what it starts is the installed program, in a Python of its own; else the nursery starts it.
    """

    def __init__(self, folder: Path, stack: ExitStack, nursery: Nursery) -> None:
        self._nursery = nursery
        self.is_cold = False
        self._folder = folder
        self._stack = stack
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        (folder / "gunicorn.conf.py").write_text(GUNICORN.format(port=self._port), encoding="utf-8")
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        ports = {"FLASK_RUN_PORT": str(self._port), "UVICORN_PORT": str(self._port)}
        self._environment = os.environ | ports | {"PATH": path, "PYTHONWARNINGS": "default"}

    def type_all(self, blocks: Iterator[Any] | tuple[Any, ...]) -> list[Answer]:
        """Run every command of the blocks, and return the answers when the last background one is done too."""
        answers = [self.type(line) for block in blocks if block.language == "console" for line in block.commands]
        return [answer for answer in answers if answer is not None]

    def type(self, line: str) -> Answer | None:
        """Run one command; ``None`` for one that sets the reader's machine up."""
        words = shlex.split(line)
        answer = Answer()
        if words[0] in SETTING_UP:
            return None
        if words[0] in SERVERS:
            self.serve(words)
            answer.code = 0
        elif words[0] == "quiesce":
            self._operate(words, answer)
        elif words[0] == "curl" and words[-1] == "&":
            thread = threading.Thread(target=self._fetch, args=(words[1:-1], answer))
            thread.start()
            self._stack.callback(thread.join)
            eventually((self._folder / "sleeping").exists, within=60)
        elif words[0] == "curl":
            self._fetch(words[1:], answer)
        else:
            pytest.fail(f"nobody knows how to run {line!r}")
        return answer

    def serve(self, words: list[str]) -> None:
        """Start a server, and return when it answers."""
        log = self._stack.enter_context((self._folder / "server.log").open("wb"))
        start = subprocess.Popen if self.is_cold else self._nursery.start
        process: subprocess.Popen[bytes] = start(
            [sys.executable, "-m", *words],
            cwd=self._folder,
            env=self._environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        self._stack.callback(end, process)
        eventually(lambda: process.poll() is not None or self._is_up(), within=60)
        assert process.poll() is None, (self._folder / "server.log").read_text(encoding="utf-8")

    def _operate(self, words: list[str], answer: Answer) -> None:
        said = (self._folder / words.pop()).read_text(encoding="utf-8") if words[-2] == "<" else ""
        words = [word for word in words if word != "<"]
        command = words if self.is_cold else [sys.executable, "-m", "quiesce.cli", *words[1:]]
        done = self._nursery.run(command, said=said, cwd=self._folder, env=self._environment, timeout=120)
        answer.code, answer.text = done.returncode, done.stdout + done.stderr

    def _fetch(self, words: list[str], answer: Answer) -> None:
        asked = CURL.parse_args(words)
        url = httpx.URL(asked.url if "://" in asked.url else f"http://{asked.url}")
        assert url.host == "localhost"
        answer.response = httpx.request(
            asked.method or ("GET" if asked.data is None else "POST"),
            url.copy_with(host="127.0.0.1", port=self._port),
            headers=dict(header.split(": ", 1) for header in asked.headers),
            content=asked.data,
            timeout=60,
            verify=False,  # nothing is encrypted here, and reading the certificates takes long
        )
        answer.code, answer.text = answer.response.status_code, answer.response.text

    def _is_up(self) -> bool:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)) as connection:
            try:
                connection.request("GET", "/")  # not found, but it lists the worker, as an exempt path would not
                connection.getresponse()
            except (OSError, http.client.HTTPException):
                return False
        return True


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def reader(folder: Path, nursery: Nursery) -> Iterator[Reader]:
    """A reader whose servers end with the test."""
    with ExitStack() as stack:
        yield Reader(folder, stack, nursery)


@pytest.fixture
def serve_readme(reader: Reader, blocks: Mapping[str, Any], folder: Path) -> Callable[[str, str], None]:
    """Start an application of the README."""

    def serve(framework: str, server: str) -> None:
        (block,) = [b for b in blocks["README.md"] if b.language == "python" and f"quiesce_{framework}" in b.text]
        (folder / "shop.py").write_text(block.text, encoding="utf-8")
        reader.serve([server, "shop:app", "--workers", "2"])

    return serve


def test_tutorial(reader: Reader, blocks: Mapping[str, Any], write_files: Any) -> None:
    """The page on which a newcomer decides: the slow write ends first, then nothing writes, then all is over."""
    document = "docs/tutorial/first-window.md"
    write_files(document)

    _, items, slow, opened, refused, reading, status, explained, ended, again = reader.type_all(blocks[document])

    assert (items.code, items.text) == (200, '["tea","coffee"]\n')
    assert (opened.code, slow.code) == (0, 201), opened.text
    assert "in flight: 1 user_data_modification" in opened.text
    assert refused.code == 503
    assert refused.response is not None
    assert 0 < int(refused.response.headers["Retry-After"]) <= 33 * 60
    assert (reading.code, status.code) == (200, 200)
    assert status.response is not None
    assert status.response.json()["reason"] == "Moving to a new database"
    assert explained.code == 0
    assert "would be refused" in explained.text
    assert "method 'POST' may write" in explained.text
    assert (ended.code, again.code) == (0, 201)


@pytest.mark.parametrize(("framework", "server"), [("flask", "gunicorn"), ("fastapi", "uvicorn")])
def test_readme(
    framework: str, server: str, reader: Reader, serve_readme: Callable[[str, str], None], blocks: Mapping[str, Any]
) -> None:
    """These are all that most operators ever type; nothing but what is installed is used."""
    reader.is_cold = True
    serve_readme(framework, server)

    before, opened, during, status, ended = reader.type_all(blocks["README.md"])

    assert [opened.code, status.code, ended.code] == [0, 0, 0], opened.text + status.text + ended.text
    assert (before.code, during.code) == (200, 503)
    assert "Quiesced at revision" in opened.text
    assert "quiesced  yes" in status.text


def test_deployment(reader: Reader, serve_readme: Callable[[str, str], None], blocks: Mapping[str, Any]) -> None:
    """In the worst hour nobody has time to find out what is wrong with a page."""
    serve_readme("flask", "gunicorn")

    opened, status, waited, ended = reader.type_all(blocks["docs/how-to/deploy.md"])

    assert [answer.code for answer in (opened, status, waited, ended)] == [0, 0, 0, 0], waited.text
    assert "no timeout" in opened.text
    assert "Emergency maintenance is on" in status.text
    assert "Quiesced at revision" in waited.text


def test_emergency_howto(reader: Reader, serve_readme: Callable[[str, str], None], blocks: Mapping[str, Any]) -> None:
    """Every step is done, and the checklist is ok with a real application."""
    serve_readme("flask", "gunicorn")

    begun, status, looked, ended = reader.type_all(blocks["docs/how-to/handle-an-emergency.md"])
    if "it is new" in ended.text:  # the example's store is, and is not believed for its first seconds
        command = next(
            line for b in blocks["docs/how-to/handle-an-emergency.md"] for line in b.commands if "--threat" in line
        )

        def try_again() -> Answer | None:
            time.sleep(0.2)
            answer = reader.type(command)
            return answer if answer is not None and answer.code == 0 else None

        again = eventually(try_again, within=20)
        assert again is not None
        ended = again

    assert [answer.code for answer in (begun, status, looked, ended)] == [0, 0, 5, 0], begun.text + ended.text
    assert "logging" in begun.text
    assert "carried out by worker:" in status.text
    assert "NOT OK  threat_resolved (your word)" in looked.text
    assert "by its checklist" in ended.text


def test_guard_howto(reader: Reader, blocks: Mapping[str, Any], write_files: Any) -> None:
    """The same path and method twice: only what the guard knows to be a payment is refused."""
    document = "docs/how-to/write-a-plugin.md"
    write_files(document)

    _, opened, products, payment = reader.type_all(blocks[document])

    assert (opened.code, products.code, payment.code) == (0, 200, 503), opened.text
    assert "Payments are paused during maintenance." in payment.text


def test_testing_howto(reader: Reader, blocks: Mapping[str, Any]) -> None:
    """``explain`` needs no worker."""
    (explained,) = reader.type_all(blocks["docs/how-to/test-your-application.md"])

    assert explained.code == 0, explained.text
    assert "POST /orders would pass" in explained.text


def test_planning_howto(reader: Reader, blocks: Mapping[str, Any]) -> None:
    """Local times become the instants that the page says."""
    added, changed, listed, recurring, shown = reader.type_all(blocks["docs/how-to/plan-a-window.md"])

    assert [answer.code for answer in (added, changed, listed, recurring, shown)] == [0] * 5, added.text + changed.text
    assert "2031-12-01 01:00:00 UTC" in added.text
    assert "OPS-7" in changed.text
    assert "upgrade" in listed.text
    assert "sunday.20311207T020000Z" in shown.text


def test_alerts_howto(reader: Reader, blocks: Mapping[str, Any]) -> None:
    """Two ways to look, of which one is for programs."""
    shown, document = reader.type_all(blocks["docs/how-to/get-alerted.md"])

    assert (shown.code, document.code) == (0, 0), shown.text + document.text
    assert "No alert is open" in shown.text
    assert '"alerts": []' in document.text


@pytest.fixture
def secret_key(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page has its readers set before anything else."""
    monkeypatch.setenv("MAINTENANCE_SECRET_KEY", "a-secret-key-of-the-tests")


def test_operators_howto(secret_key: None, reader: Reader, blocks: Mapping[str, Any]) -> None:
    """The secret is shown by the first command and by no other; a reader types the code, which no program can here."""
    commands = [line for block in blocks["docs/how-to/enrol-operators.md"] for line in block.commands]
    enrolled, listed, removed = (reader.type(line.replace("enroll ann", "enroll ann --yes")) for line in commands)

    assert enrolled is not None
    assert listed is not None
    assert removed is not None
    assert [answer.code for answer in (enrolled, listed, removed)] == [0] * 3, enrolled.text + removed.text
    (secret,) = re.findall(r"^  secret +(\w+)$", enrolled.text, re.MULTILINE)
    assert f"secret={secret}" in enrolled.text
    assert "ann, since" in listed.text
    assert secret not in listed.text + removed.text


def test_secrets_howto(secret_key: None, reader: Reader, folder: Path, blocks: Mapping[str, Any]) -> None:
    """What is piped in is kept, and shown by no command of the page."""
    (folder / "smtp-url").write_text("smtps://mailer:correct-horse@mail.shop.example\n", encoding="utf-8")

    answers = reader.type_all(blocks["docs/how-to/keep-secrets.md"])

    assert [answer.code for answer in answers] == [0] * 6, "".join(answer.text for answer in answers)
    _, kept, shown, listed, _, rotated = answers
    assert "set, and secret" in kept.text
    assert "source    store" in shown.text
    assert "ann@shop.example, bob@shop.example" in listed.text
    assert "MAINTENANCE_SMTP_URL: was up to date" in rotated.text
    assert "horse" not in "".join(answer.text for answer in answers)


def test_report_howto(reader: Reader, folder: Path, blocks: Mapping[str, Any]) -> None:
    """What happened is told while it lasts and afterwards, and lies in the file."""
    answers = reader.type_all(blocks["docs/how-to/report-an-incident.md"])

    assert [answer.code for answer in answers] == [0] * 6, "".join(answer.text for answer in answers)
    _, so_far, _, markdown, _, document = answers
    assert "so far" in so_far.text
    assert "| Reason | Disk is failing |" in markdown.text
    assert "window\\.ended" in (folder / "incident.md").read_text(encoding="utf-8")
    assert '"reason": "Disk is failing"' in document.text


def test_audit_howto(secret_key: None, reader: Reader, folder: Path, blocks: Mapping[str, Any]) -> None:
    """What an auditor is shown is whole, and is called so."""
    answers = reader.type_all(blocks["docs/how-to/keep-an-audit-trail.md"])

    assert [answer.code for answer in answers] == [0] * 6, "".join(answer.text for answer in answers)
    _, _, shown, verified, _, pruned = answers
    assert "window.ended" in shown.text
    assert "intact" in verified.text
    assert "window.enabled" in (folder / "trail.csv").read_text(encoding="utf-8")
    assert "Dropped 0 records" in pruned.text


@pytest.mark.parametrize(("framework", "server"), [("flask", "gunicorn"), ("fastapi", "uvicorn")])
def test_testers_howto(
    framework: str,
    server: str,
    secret_key: None,
    reader: Reader,
    serve_readme: Callable[[str, str], None],
    blocks: Mapping[str, Any],
) -> None:
    """The tester passes, everybody else does not, and after the revocation nobody; on a real server of each kind."""
    serve_readme(framework, server)
    lines = [line for block in blocks["docs/how-to/let-testers-in.md"] for line in block.commands]
    issued, answers = "", []
    for line in lines:
        answer = reader.type(line.replace('PASS"', f'{issued}"'))
        assert answer is not None
        answers.append(answer)
        if " issue " in line:
            issued = re.findall(r"^  pass +(\S+)$", answer.text, re.MULTILINE)[0]

    opened, _, listed, refused, passed, revoked, again, ended = answers

    assert [answer.code for answer in (opened, listed, revoked, ended)] == [0] * 4, opened.text + revoked.text
    assert "QA, Ann" in listed.text
    assert (refused.code, passed.code, again.code) == (503, 200, 503)


def test_migration_howto(reader: Reader, serve_readme: Callable[[str, str], None], blocks: Mapping[str, Any]) -> None:
    """The command runs in its window, and what failed stays closed until an operator says so."""
    serve_readme("flask", "gunicorn")

    done, failed, again, ended = reader.type_all(blocks["docs/how-to/run-a-migration.md"])

    assert [answer.code for answer in (done, failed, again, ended)] == [0, 1, 0, 0], failed.text + again.text
    assert "migrated" in done.text
    assert "stays open" in failed.text


def test_logging_out_howto(reader: Reader, blocks: Mapping[str, Any]) -> None:
    """Each command says what it has done, and what is not known is not called zero."""
    opened, ended, one, everyone, stats, prevented, allowed = reader.type_all(blocks["docs/how-to/log-people-out.md"])

    codes = [answer.code for answer in (opened, ended, one, everyone, stats, prevented, allowed)]
    assert codes == [0] * 7, one.text + prevented.text
    assert "count again afterwards" in opened.text
    assert "user bob" in one.text
    assert "everyone but admins" in everyone.text
    assert "unknown" in stats.text
    assert "authentication" in prevented.text
    assert "Ended window" in allowed.text
