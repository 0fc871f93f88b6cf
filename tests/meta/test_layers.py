"""Imports point down, the core knows no plugin, and plugins know only what is public."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from packaging.requirements import Requirement

# A room may import itself and what stands on a lower line.
RANKS = (
    {"_version", "clock", "model", "spelling"},
    {"logs", "settings"},
    {"stores"},
    {"plugins"},
    {"gate"},
    {"control"},
    {"web"},
    {"cli", "testing"},
    {""},
)
RANK_OF = {room: rank for rank, rooms in enumerate(RANKS) for room in rooms}
PUBLIC_MODULES = {"quiesce", "quiesce.testing"}
ROOM_OF_EXTRA = {
    "cryptography": "quiesce.control",
    "dateutil": "quiesce.control",
    "hypothesis": "quiesce.testing",
    "pyotp": "quiesce.control",
    "pytest": "quiesce.testing",
    "redis": "quiesce.stores",
    "rich": "quiesce.cli",
}


def imports(module: str, path: Path) -> Iterator[tuple[int, str, str | None]]:
    """Every import in the file: line, absolute module, and the name taken from it."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, source, alias.name) for alias in node.names)


def room(module: str) -> str:
    """The room of a module of the core; the top package has none."""
    name = module.partition(".")[2].partition(".")[0]
    return "settings" if name.startswith("settings") else name


def upward_imports(modules: Mapping[str, Path]) -> list[str]:
    """Imports within the core that do not point down."""
    faults = []
    for module, path in modules.items():
        if module.split(".")[0] != "quiesce":
            continue
        if room(module) not in RANK_OF:
            faults.append(f"{module}: its room has no place in RANKS")
            continue
        for line, source, name in imports(module, path):
            if source.split(".")[0] != "quiesce":
                continue
            target = room(f"{source}.{name}" if source == "quiesce" and f"quiesce.{name}" in modules else source)
            if target != room(module) and RANK_OF.get(target, 99) >= RANK_OF[room(module)]:
                faults.append(f"{module}:{line} imports {source} {name or ''}")
    return faults


def undeclared_imports(module: str, path: Path, declared: set[str]) -> list[str]:
    """Imports of neither the standard library nor a declared dependency, seen from one distribution."""
    extras = {extra for extra, allowed in ROOM_OF_EXTRA.items() if module.startswith(allowed)}
    known = {*sys.stdlib_module_names, "_typeshed", *declared, *extras, module.partition(".")[0]}
    return [f"{module}:{n} imports {m}" for n, m, _ in imports(module, path) if m.split(".")[0] not in known]


def private_imports(module: str, path: Path, public: Mapping[str, set[str]]) -> list[str]:
    """Imports from the core, and attributes of its modules, that are not public."""
    faults = []
    for line, source, name in imports(module, path):
        if source.split(".")[0] != "quiesce":
            continue
        if source not in PUBLIC_MODULES or (name is not None and name not in public[source]):
            faults.append(f"{module}:{line} imports {name or ''} from {source}")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in PUBLIC_MODULES:
            used = f"{ast.unparse(node.value)}.{node.attr}"
            if used not in PUBLIC_MODULES and node.attr not in public[ast.unparse(node.value)]:
                faults.append(f"{module}:{node.lineno} uses {used}")
    return faults


def exported(path: Path) -> set[str]:
    """The names in a module's ``__all__``."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


@pytest.fixture(scope="session")
def public(modules: Mapping[str, Path]) -> Mapping[str, set[str]]:
    return {name: exported(modules[name]) | ({"testing"} if name == "quiesce" else set()) for name in PUBLIC_MODULES}


def test_core_imports_point_down(modules: Mapping[str, Path]) -> None:
    """A room that knows what stands above it can no longer be read, tested or changed alone."""
    assert upward_imports(modules) == []


def test_distributions_import_only_what_they_declare(
    distributions: Mapping[str, Path], modules: Mapping[str, Path]
) -> None:
    """An adapter or framework imported by the core breaks whoever installed the core alone."""
    faults = []
    for package, folder in distributions.items():
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        declared = {Requirement(line).name for line in project["dependencies"]}
        for module in (module for module in modules if module.split(".")[0] == package):
            faults += undeclared_imports(module, modules[module], declared)
    assert faults == []


def test_plugins_use_only_public_names(root: Path, modules: Mapping[str, Path], public: Mapping[str, set[str]]) -> None:
    """What a plugin of ours takes from inside the core, nobody else's plugin could do."""
    plugins = {name: path for name, path in modules.items() if name.split(".")[0] != "quiesce"}
    plugins |= {path.relative_to(root).as_posix(): path for path in sorted(root.glob("examples/**/*.py"))}

    assert [fault for name, path in plugins.items() for fault in private_imports(name, path, public)] == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("quiesce.model.x", "from ..stores import Store"),
        ("quiesce.stores.x", "from ..plugins import PluginManager"),
        ("quiesce.settings", "import quiesce.gate.policy"),
        ("quiesce.gate.x", "def f():\n    from .. import control"),
        ("quiesce.gate.x", "from .. import Principal"),
        ("quiesce.cli", "from quiesce.testing import StoreContract"),
        ("quiesce.attic.x", ""),
    ],
)
def test_upward_import_is_found(tmp_path: Path, module: str, source: str) -> None:
    """A layer test that passes over one spelling of an import guards nothing."""
    path = tmp_path / ("__init__.py" if module == "quiesce.cli" else "x.py")
    path.write_text(source, encoding="utf-8")

    assert upward_imports({"quiesce.control": path, module: path}) != []


@pytest.mark.parametrize(
    "source",
    [
        "import flask",
        "from quiesce_flask import init_app",
        "def f():\n    import celery.app",
        "import redis",
        "import pytest",
    ],
)
def test_undeclared_import_is_found(tmp_path: Path, source: str) -> None:
    """The core must not learn of a framework by an import inside a function either."""
    path = tmp_path / "x.py"
    path.write_text(source, encoding="utf-8")

    assert undeclared_imports("quiesce.gate.x", path, {"pluggy"}) != []


@pytest.mark.parametrize(
    "source",
    [
        "import quiesce.gate",
        "from quiesce.model import Mode",
        "from quiesce import gate",
        "from quiesce import _version",
        "from quiesce.testing import _clock",
        "import quiesce\nquiesce.gate.Gate()",
    ],
)
def test_private_import_is_found(tmp_path: Path, source: str) -> None:
    """Each way to reach inside the core counts."""
    path = tmp_path / "x.py"
    path.write_text(source, encoding="utf-8")

    assert private_imports("quiesce_x", path, {"quiesce": {"Mode"}, "quiesce.testing": set()}) != []
