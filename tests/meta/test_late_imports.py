"""What is imported late stays out of the processes that never need it, and is there where it must be."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import quiesce

STATUS = """
from quiesce.cli import program
program.program.main(["status", "--store", URL], standalone_mode=False)
"""
WORKERS = {
    "flask": """
import flask, quiesce, quiesce_flask
app = flask.Flask("app")
settings = quiesce.Settings(store_url=URL, disabled_plugins=("celery", "email", "fastapi", "rq"))
service = quiesce.EnhancedMaintenanceModeService(settings)
quiesce_flask.init_app(app, service=service)
assert app.test_client().get("/").status_code == 404
service.close()
""",
    "fastapi": """
import asyncio, fastapi, quiesce, quiesce_fastapi
app = fastapi.FastAPI()
settings = quiesce.Settings(store_url=URL, disabled_plugins=("celery", "email", "flask", "rq"))
service = quiesce.EnhancedMaintenanceModeService(settings)
quiesce_fastapi.init_app(app, service=service)
scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", "headers": [],
         "root_path": "", "http_version": "1.1", "scheme": "http"}
sent = []
async def receive(): return {"type": "http.request", "body": b"", "more_body": False}
async def send(message): sent.append(message)
asyncio.run(app(scope, receive, send))
assert sent[0]["status"] == 404
service.close()
""",
}
PLANNING = {
    "quiesce.control.holding",
    "quiesce.control.planning",
    "quiesce.control.recurrence",
    "quiesce.control.schedule",
}
NO_COMMANDS_BUSINESS = PLANNING | {
    *("quiesce.gate.agent", "quiesce.gate.gate", "quiesce.plugins", "quiesce.web.api", "quiesce.web.responses"),
    *("quiesce.stores.memory", "quiesce.stores.redis"),
    *("ctypes", "difflib", "hashlib", "importlib.metadata", "pluggy", "socket", "zoneinfo"),
}
NO_WORKERS_BUSINESS = PLANNING | {
    *("quiesce.cli", "quiesce.stores.memory", "quiesce.stores.redis", "quiesce_fastapi.descriptions"),
    *("quiesce_fastapi.models", "ctypes", "pydantic.v1"),
}
NEEDED_AT_ONCE = {
    *("quiesce.control.commands", "quiesce.control.transitions", "quiesce.control.window_changes"),
    *("quiesce.gate.guard", "quiesce.gate.reseeding", "quiesce.stores.sqlite"),
    *("quiesce.web.command_endpoints", "quiesce.web.responses", "quiesce.web.status_endpoints"),
}


def imported_by(script: str, folder: Path) -> set[str]:
    """The modules that a fresh process has imported after it ran this; ``URL`` is that of a store in the folder."""
    whole = f"URL = 'sqlite:///{folder}/x.db'\n{script}\nimport sys\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", whole],
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


def test_importing_the_package_imports_none_of_its_rooms(tmp_path: Path) -> None:
    """Each of a command, a plugin and a worker pays for its own part only."""
    ours = {name for name in imported_by("import quiesce", tmp_path) if name.startswith("quiesce")}

    assert ours == {"quiesce", "quiesce._version"}


def test_a_command_imports_neither_gate_nor_plugins_nor_calendar(tmp_path: Path) -> None:
    """An operator in an emergency waits for ``quiesce status``; what it never uses would double that."""
    imported = imported_by(STATUS, tmp_path)

    assert imported & NO_COMMANDS_BUSINESS == set()


@pytest.fixture(scope="module", params=WORKERS)
def imported_by_a_worker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The modules that a worker of either framework has imported after its first request."""
    return imported_by(WORKERS[request.param], tmp_path_factory.mktemp("worker"))


def test_a_worker_imports_no_calendar_and_no_documents(imported_by_a_worker: set[str]) -> None:
    """Each megabyte is paid once for every worker of every host."""
    assert imported_by_a_worker & NO_WORKERS_BUSINESS == set()


def test_a_worker_has_what_opens_and_ends_a_window(imported_by_a_worker: set[str]) -> None:
    """A deployment replaces the files of a running worker, which is when operators ask it to open and end windows."""
    assert NEEDED_AT_ONCE - imported_by_a_worker == set()


def test_the_notifier_by_mail_imports_no_mail_before_it_has_a_server(tmp_path: Path) -> None:
    """It is imported by every worker, and used by one."""
    script = (
        "import quiesce, quiesce_email\n"
        "try:\n    quiesce_email.notify(None, quiesce.Settings())\n"
        "except quiesce.DeliveryError as error:\n    assert error.is_unconfigured\n"
        "else:\n    raise SystemExit('mail was sent')"
    )
    imported = imported_by(script, tmp_path)

    assert imported & {"quiesce_email.delivering", "smtplib", "ssl", "zoneinfo"} == set()


def test_an_unknown_name_is_an_attribute_error() -> None:
    """``hasattr`` and ``from quiesce import typo`` behave as with any module."""
    with pytest.raises(AttributeError, match="no attribute 'typo'"):
        quiesce.typo  # type: ignore[attr-defined]  # noqa: B018 - that it is looked up is what is tested


def test_values_survive_pickling_in_a_process_that_imported_nothing(tmp_path: Path) -> None:
    """Queues and caches hand them to processes that have not asked for a name of the package."""
    values = (quiesce.Mode.NORMAL, quiesce.Principal(user_id="bob"), quiesce.MaintenanceState())
    (tmp_path / "values").write_bytes(pickle.dumps(values))

    done = subprocess.run(
        [sys.executable, "-c", "import pickle; print(pickle.load(open('values', 'rb')))"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )

    assert done.stdout.strip() == str(values)
