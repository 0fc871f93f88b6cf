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
    """What an ``__init__.py`` holds besides its docstring, imports and a sorted ``__all__`` of what it imports.

    One that imports only when asked (PEP 562) names the same in three places: for type checkers, in ``_ROOMS``, and in
    ``__all__``. Type checkers must not see its ``__getattr__``: they would take every name for one that is there.
    """
    faults: list[str] = []
    names: list[str] | None = None
    bound: set[str] = set()
    late: set[str] = set()
    rooms: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.Import() | ast.ImportFrom():
                bound |= imported(node)
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), body=body, orelse=[]):
                late |= {name for statement in body for name in imported(statement)}
            case ast.Assign(targets=[ast.Name(id="_ROOMS")]):
                rooms |= set(ast.literal_eval(node.value))
            case ast.If(
                test=ast.UnaryOp(op=ast.Not(), operand=ast.Name(id="TYPE_CHECKING")),
                body=[ast.FunctionDef(name="__getattr__")],
                orelse=[],
            ):
                pass
            case ast.FunctionDef(name="__dir__"):
                pass
            case ast.Assign(targets=[ast.Name(id="__all__")]):
                names = ast.literal_eval(node.value)
            case ast.Expr(value=ast.Constant(value=str())):
                pass
            case _:
                faults.append(f"line {node.lineno}: more than a re-export")
    bound |= late
    if names is None:
        return faults + ["no __all__"] * bool(bound)
    faults += [f"_ROOMS differs from what type checkers see: {sorted(late ^ rooms)}"] * (late != rooms)
    faults += ["__all__ is not sorted"] * (names != sorted(set(names), key=order))
    return faults + [f"__all__ differs from the imports: {sorted(bound ^ set(names))}"] * (bound != set(names))


def imported(node: ast.stmt) -> set[str]:
    """The names that a relative import binds; what comes from elsewhere is a tool, not an export."""
    if not isinstance(node, ast.ImportFrom) or not node.level:
        return set()
    return {alias.asname or alias.name for alias in node.names}


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


def test_exports_of_a_distribution_are_listed(distributions: Mapping[str, Path]) -> None:
    """Completion in a shell goes by ``dir()``, also for what is imported only when it is asked for."""
    unlisted = {
        name: set(vars(module := importlib.import_module(name))["__all__"]) - set(dir(module)) for name in distributions
    }

    assert {name: names for name, names in unlisted.items() if names} == {}


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
        "if TYPE_CHECKING:\n    from .a import a\n__all__ = ['a']",
        "_ROOMS = {'a': '.a'}\n__all__ = ['a']",
        "def __getattr__(name): ...",
    ],
)
def test_faulty_export_is_found(tmp_path: Path, source: str) -> None:
    """Each way for the list to lie counts."""
    path = tmp_path / "__init__.py"
    path.write_text(source, encoding="utf-8")

    assert faults_of(path) != []
