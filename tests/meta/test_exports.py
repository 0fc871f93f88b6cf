"""What a package exports stands in one sorted list, and is there."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Mapping
from pathlib import Path

import pytest


def order(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions, each by name: ruff's order."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2, name)


def faults_of(path: Path) -> list[str]:
    """What an ``__init__.py`` holds besides its docstring, imports and a sorted ``__all__`` of what it imports."""
    faults: list[str] = []
    names: list[str] | None = None
    bound: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.Import() | ast.ImportFrom():
                bound |= {alias.asname or alias.name for alias in node.names} - {"annotations"}
            case ast.Assign(targets=[ast.Name(id="__all__")]):
                names = ast.literal_eval(node.value)
            case ast.Expr(value=ast.Constant(value=str())):
                pass
            case _:
                faults.append(f"line {node.lineno}: more than a re-export")
    if names is None:
        return faults + ["no __all__"] * bool(bound)
    faults += ["__all__ is not sorted"] * (names != sorted(set(names), key=order))
    return faults + [f"__all__ differs from the imports: {sorted(bound ^ set(names))}"] * (bound != set(names))


def packages(modules: Mapping[str, Path]) -> dict[str, Path]:
    return {name: path for name, path in modules.items() if path.name == "__init__.py"}


def test_packages_only_reexport(modules: Mapping[str, Path]) -> None:
    """A reader who opens ``__init__.py`` sees the whole public face and nothing else."""
    faults = {name: faults_of(path) for name, path in packages(modules).items()}

    assert {name: found for name, found in faults.items() if found} == {}


def test_every_exported_name_is_importable(modules: Mapping[str, Path]) -> None:
    """``from quiesce import *`` must not be the first to find a stale entry."""
    missing = []
    for name in packages(modules):
        module = importlib.import_module(name)
        missing += [f"{name}.{entry}" for entry in getattr(module, "__all__", []) if not hasattr(module, entry)]
    assert missing == []


def test_distributions_are_typed(distributions: Mapping[str, Path]) -> None:
    """Without the marker, type checkers ignore all annotations of an installed package."""
    assert [p for p, folder in distributions.items() if not (folder / "src" / p / "py.typed").is_file()] == []


@pytest.mark.parametrize(
    "source",
    [
        "from .a import a, b\n__all__ = ['b', 'a']",
        "from .a import a\n",
        "from .a import a, b\n__all__ = ['a']",
        "from .a import a\n__all__ = ['a']\ndef f(): ...",
        "from .a import A, b\n__all__ = ['b', 'A']",
    ],
)
def test_faulty_export_is_found(tmp_path: Path, source: str) -> None:
    """Each way for the list to lie counts."""
    path = tmp_path / "__init__.py"
    path.write_text(source, encoding="utf-8")

    assert faults_of(path) != []
