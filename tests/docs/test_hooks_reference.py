"""The reference of hooks says what their specs say."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from quiesce.plugins import hookspecs

QUESTIONS = ("When", "Thread", "Return", "Stops", "Raises")
HOOKS: dict[str, Callable[..., object]] = {
    name: function for name, function in vars(hookspecs).items() if hasattr(function, f"{hookspecs.PROJECT}_spec")
}


def words(text: str) -> str:
    """The text as one line, marked up as in the page."""
    return " ".join(text.replace("``", "`").split())


@pytest.fixture(scope="session")
def sections(root: Path) -> dict[str, str]:
    page = (root / "docs/reference/hooks.md").read_text(encoding="utf-8")
    return {part.partition("`")[0]: part for part in page.split("\n## `")[1:]}


def test_page_has_every_hook(sections: dict[str, str]) -> None:
    """A hook that is not described is not used; one that is gone stops the start of whoever implements it."""
    assert list(sections) == list(HOOKS)


@pytest.mark.parametrize("name", list(HOOKS))
def test_hook_is_described_as_it_is(name: str, sections: dict[str, str]) -> None:
    """Signature, purpose and the five answers are all that a plugin's author has to go by."""
    summary, _, answers = (inspect.getdoc(HOOKS[name]) or "").partition("\n\n")
    found = dict(re.findall(r"^(\w+): (.*?)(?=^\w+: |\Z)", answers, re.DOTALL | re.MULTILINE))
    listed = dict(re.findall(r"^- \*\*(\w+)\*\*: (.*?)(?=^- |\Z)", sections[name], re.DOTALL | re.MULTILINE))

    assert tuple(listed) == QUESTIONS
    assert {question: words(text) for question, text in listed.items()} == {
        question: words(text) for question, text in found.items()
    }
    signature = str(inspect.signature(HOOKS[name])).replace("'", "")
    assert f"\n\n`{name}{signature}`\n\n{words(summary)}\n\n" in sections[name]
