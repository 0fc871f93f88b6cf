"""The reference of Python names lists what is public, in the words of the docstrings."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

PACKAGES = (
    "quiesce",
    "quiesce_flask",
    "quiesce_fastapi",
    "quiesce_rq",
    "quiesce_celery",
    "quiesce_email",
    "quiesce_webhook",
    "quiesce.testing",
)


def table(root: Path, package: str) -> dict[str, str]:
    """The names under a package's heading, with their lines."""
    page = (root / "docs/reference/python.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## `{package}`\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE))


def first_lines(package: str) -> dict[str, str]:
    """The first line of the docstring of each public class and function; constants have none."""
    module = importlib.import_module(package)
    public = {name: getattr(module, name) for name in module.__all__}
    return {
        name: (inspect.getdoc(value) or "").partition("\n")[0].replace("``", "`")
        for name, value in public.items()
        if inspect.isclass(value) or inspect.isfunction(value)
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_page_lists_what_is_public(package: str, root: Path) -> None:
    """What is not listed is nobody's to use; what is listed must be there."""
    assert list(table(root, package)) == list(importlib.import_module(package).__all__)


@pytest.mark.parametrize("package", PACKAGES)
def test_page_says_what_the_docstrings_say(package: str, root: Path) -> None:
    """Two descriptions of one thing drift apart."""
    listed = table(root, package)
    expected = first_lines(package)

    assert {name: listed[name] for name in expected} == expected
