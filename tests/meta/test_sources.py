"""The house style that no linter checks."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Mapping
from pathlib import Path

import pytest

LONGEST = 300
LONGER_FOR_A_REASON: Mapping[str, str] = {"quiesce": "names each public name three times, and holds nothing else"}
ROOMS_WITHOUT_A_JOB = {"common", "helpers", "misc", "utils"}
REASON = r"(\s*-|\s+#)\s*\S.{4,}$"
SUPPRESSION = re.compile(r"#\s*(noqa|type:\s*ignore|pragma|fmt:|mypy:)")
SUPPRESSION_WITH_REASON = re.compile(
    r"#\s*(noqa:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*|type:\s*ignore\[[a-z-]+(,\s*[a-z-]+)*\]|pragma: no cover)" + REASON
)


def comments(source: str) -> dict[int, str]:
    """Every comment, by its line."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}


def unreasoned_suppressions(source: str) -> list[int]:
    """Lines on which a checker is silenced and nobody says why."""
    found = comments(source).items()
    return [n for n, text in found if SUPPRESSION.search(text) and not SUPPRESSION_WITH_REASON.search(text)]


def unexplained_excepts(source: str) -> list[int]:
    """Lines that catch everything, never raise, and have no comment there or on the next line."""
    explained = comments(source)
    broad = [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ExceptHandler)
        and not any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
        and (node.type is None or re.search(r"\b(Base)?Exception\b", ast.unparse(node.type)))
    ]
    return [line for line in broad if line not in explained and line + 1 not in explained]


def faults_of(name: str, source: str) -> list[str]:
    """What is wrong with one source file."""
    tree = ast.parse(source)
    faults = ["is empty of purpose: no docstring"] * (bool(tree.body) and not ast.get_docstring(tree))
    future = any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)
    faults += ["lacks the annotations import"] * (len(tree.body) > 1 and not future)
    faults += ["has a name that names no job"] * bool(ROOMS_WITHOUT_A_JOB & set(name.split(".")))
    lines = source.count("\n")
    faults += [f"has {lines} lines"] * (lines > LONGEST and name not in LONGER_FOR_A_REASON)
    faults += [f"line {line}: silenced without a reason" for line in unreasoned_suppressions(source)]
    return faults + [f"line {line}: catches everything, and does not say why" for line in unexplained_excepts(source)]


def test_sources_keep_the_house_style(modules: Mapping[str, Path]) -> None:
    """One file, one job, said first; short; and whoever silences a check gives the reason."""
    faults = {name: faults_of(name, path.read_text(encoding="utf-8")) for name, path in modules.items()}

    assert {name: found for name, found in faults.items() if found} == {}


def test_exceptions_to_the_length_are_still_needed(modules: Mapping[str, Path]) -> None:
    """A file that was cut must not keep the right to grow again."""
    longer = {n for n, p in modules.items() if p.read_text(encoding="utf-8").count("\n") > LONGEST}

    assert set(LONGER_FOR_A_REASON) <= longer


def test_tests_and_tools_silence_nothing_without_a_reason(root: Path) -> None:
    """The rule holds outside the packages too."""
    files = [
        root / "noxfile.py",
        *(p for top in ("tests", "examples", "benchmarks") for p in root.glob(f"{top}/**/*.py")),
    ]
    faults = {
        path.relative_to(root).as_posix(): unreasoned_suppressions(path.read_text(encoding="utf-8")) for path in files
    }

    assert {name: lines for name, lines in faults.items() if lines} == {}


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("quiesce.x", "import os\n"),
        ("quiesce.x", '"""Do."""\nimport os\n'),
        ("quiesce.utils.x", '"""Do."""\n'),
        ("quiesce.x", '"""Do."""\n' + "\n" * 300),
        ("quiesce.x", '"""Do."""\nfrom __future__ import annotations\nx = 1  # noqa\n'),
        ("quiesce.x", '"""Do."""\nfrom __future__ import annotations\nx = 1  # noqa: E501\n'),
        ("quiesce.x", '"""Do."""\nfrom __future__ import annotations\nx = 1  # type: ignore # because of a stub\n'),
        ("quiesce.x", '"""Do."""\nfrom __future__ import annotations\ntry:\n    pass\nexcept Exception:\n    pass\n'),
        (
            "quiesce.x",
            '"""Do."""\nfrom __future__ import annotations\ntry:\n    pass\nexcept (OSError, Exception):\n    pass\n',
        ),
        ("quiesce.x", '"""Do."""\nfrom __future__ import annotations\ntry:\n    pass\nexcept:\n    pass\n'),
    ],
)
def test_fault_is_found(name: str, source: str) -> None:
    """Each rule bites."""
    assert faults_of(name, source) != []
