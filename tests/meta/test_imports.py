"""Importing a module starts nothing: no thread, no open file or socket, no look at the environment."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

IMPORTER = r"""
import contextlib, importlib, os, sys, threading

def standing():
    links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    return {thread.name for thread in threading.enumerate()}, {os.readlink(x) for x in links if os.path.lexists(x)}

class Watched(type(os.environ)):
    def __getitem__(self, key):
        if key.startswith(("MAINTENANCE_", "EMERGENCY_MODE_", "TEST_MODE_")):
            print("looked at", key, "in", current)
        return super().__getitem__(key)

others, ours = (names.split(",") for names in sys.argv[1:])
for name in filter(None, others):
    with contextlib.suppress(ModuleNotFoundError):  # _typeshed is there for type checkers only
        importlib.import_module(name)
os.environ.__class__ = Watched
before = standing()
for current in ours:
    importlib.import_module(current)
    after = standing()
    if after != before:
        print(current, "started", [sorted(new - old) for new, old in zip(after, before)])
    before = after
"""


def environment_reads(path: Path) -> list[int]:
    """The lines on which the file looks at the environment."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    words = {"environ", "environb", "getenv", "getenvb"}
    aliases = [alias for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    system = {alias.asname or alias.name for alias in aliases if alias.name == "os"}
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr in words]
    taken = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "os"]
    return [
        *(node.lineno for node in attributes if ast.unparse(node.value) in system),
        *(node.lineno for node in taken if words & {alias.name for alias in node.names}),
    ]


def what_importing_starts(modules: Mapping[str, Path]) -> str:
    """What a fresh process sees while it imports the modules one by one, third parties first."""
    others = set()
    for path in modules.values():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                others |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                others.add(node.module)
    ours = {name.split(".")[0] for name in modules}
    others = {name for name in others if name.split(".")[0] not in ours}
    sources = {path.parents[len(name.split(".")) - (path.name != "__init__.py")] for name, path in modules.items()}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORTER, ",".join(sorted(others)), ",".join(modules)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(str(source) for source in sources)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    ).stdout


def test_only_settings_read_the_environment(modules: Mapping[str, Path]) -> None:
    """A setting read anywhere else escapes validation, the reference and the tests' own environment."""
    readers = {name for name, path in modules.items() if environment_reads(path)}

    assert {name for name in readers if not name.startswith("quiesce.settings")} == set()


def test_importing_starts_nothing(modules: Mapping[str, Path]) -> None:
    """A thread or file that exists before a server forks is broken in every child."""
    assert what_importing_starts({n: p for n, p in modules.items() if not n.endswith("__main__")}) == ""


@pytest.mark.parametrize(
    "source",
    ["import os\nx = os.environ.get('A')", "import os as o\nx = o.getenv('A')", "from os import environ"],
)
def test_environment_read_is_found(tmp_path: Path, source: str) -> None:
    """Each spelling counts."""
    path = tmp_path / "x.py"
    path.write_text(source, encoding="utf-8")

    assert environment_reads(path) != []


@pytest.mark.parametrize(
    "source",
    [
        "import threading, time\nthreading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
        "import socket\nkept = socket.socket()",
        "import os\nkept = os.environ.get('MAINTENANCE_STORE_URL')",
    ],
)
def test_start_at_import_is_found(tmp_path: Path, source: str) -> None:
    """Proves that the watching process sees what it is there to see."""
    path = tmp_path / "starter.py"
    path.write_text(source, encoding="utf-8")

    assert "starter" in what_importing_starts({"starter": path})
