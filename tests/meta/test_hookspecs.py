"""Every hook says in its docstring what a plugin's author must know."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

import pytest

ANSWERS = ("When:", "Thread:", "Return:", "Stops:", "Raises:")
COMPLETE = "\n    ".join(['"""Do it.', "", *(f"{answer} so." for answer in ANSWERS), '"""'])


def hooks(path: Path) -> dict[str, list[str]]:
    """The faults of every hook that the file specifies."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {
        node.name: faults_of(node)
        for node in functions
        if any(ast.unparse(decorator).startswith("hookspec") for decorator in node.decorator_list)
    }


def faults_of(hook: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    lines = [line.strip() for line in (ast.get_docstring(hook) or "").splitlines()]
    faults = [
        f"no answer to {answer}" for answer in ANSWERS if not any(line.startswith(f"{answer} ") for line in lines)
    ]
    answer = next((line for line in lines if line.startswith("Return:")), "")
    text = " ".join(lines[lines.index(answer) :]) if answer else ""
    faults += ["does not say what None means"] * ("``None``" not in text.partition("Stops:")[0])
    faults += ["has defaults"] * bool(hook.args.defaults or any(hook.args.kw_defaults))
    faults += ["has no annotation"] * (hook.returns is None or any(arg.annotation is None for arg in hook.args.args))
    return faults + ["is a coroutine function"] * isinstance(hook, ast.AsyncFunctionDef)


def test_every_hook_answers_the_five_questions(modules: Mapping[str, Path]) -> None:
    """Who writes a plugin has only the spec to go by: when, where, what to return, who is next, what if it fails."""
    found = hooks(modules["quiesce.plugins.hookspecs"])

    assert found
    assert {name: faults for name, faults in found.items() if faults} == {}


@pytest.mark.parametrize(
    "source",
    [
        "def hook(a: int) -> None:\n    '''Do it.'''",
        f"def hook(a: int = 1) -> None:\n    {COMPLETE}",
        f"async def hook(a: int) -> None:\n    {COMPLETE}",
        f"def hook(a) -> None:\n    {COMPLETE}",
        f"def hook(a: int) -> None:\n    {COMPLETE}".replace("Stops: so.", ""),
        f"def hook(a: int) -> None:\n    {COMPLETE}",
    ],
)
def test_incomplete_hook_is_found(tmp_path: Path, source: str) -> None:
    """Each thing left out counts; the last source lacks only the meaning of ``None``."""
    path = tmp_path / "hookspecs.py"
    path.write_text(f"@hookspec\n{source}\n", encoding="utf-8")

    assert hooks(path)["hook"] != []
