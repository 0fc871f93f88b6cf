"""The how-to on plugins shows the code of the example, to the letter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/classifier-plugin"
HOWTO = (ROOT / "docs/how-to/write-a-plugin.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^`([^`\n]+)`:\n\n```\w+\n(.*?)^```$", HOWTO, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize(
    "name", ["pyproject.toml", "src/quiesce_rpc_classifier/__init__.py", "tests/test_rpc_classifier.py"]
)
def test_file_is_shown_as_it_is(name: str) -> None:
    """Who copies from the page must get what the tests of the example have run."""
    assert BLOCKS[name] == (EXAMPLE / name).read_text(encoding="utf-8")
