"""Reads the documents: their code blocks, with the file that each is shown as."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import quiesce_celery
from quiesce import EnhancedMaintenanceModeService

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(
    r"(?:`(?P<name>[\w./-]+\.\w+)`:\n\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
OURS = ("MAINTENANCE_", "EMERGENCY_MODE_", "TEST_MODE_")

Run = Callable[["Block"], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a document.

    Attributes:
        document: path below the root of the repository.
        line: where its fence stands.
        name: the file that it is shown as, if any.
    """

    document: str
    line: int
    language: str
    name: str | None
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"

    @property
    def commands(self) -> tuple[str, ...]:
        """The lines after a prompt, without comments."""
        return tuple(re.sub(r"\s+#.*", "", line[2:]) for line in self.text.splitlines() if line.startswith("$ "))


def read_blocks() -> dict[str, tuple[Block, ...]]:
    """Return the blocks of every document that is for users, also of those without any."""
    paths = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("packages/*/README.md"))]
    found = {}
    for path in paths:
        document, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        found[document] = tuple(
            Block(
                document,
                text.count("\n", 0, match.start("language")) + 1,
                match["language"],
                match["name"],
                match["text"],
            )
            for match in BLOCK.finditer(text)
        )
    return found


BLOCKS = read_blocks()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test every block of Python, and every document."""
    if "python_block" in metafunc.fixturenames:
        blocks = [block for found in BLOCKS.values() for block in found if block.language == "python"]
        metafunc.parametrize("python_block", blocks, ids=str)
    if "document" in metafunc.fixturenames:
        metafunc.parametrize("document", list(BLOCKS))


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the working tree."""
    return ROOT


@pytest.fixture(scope="session")
def blocks() -> Mapping[str, tuple[Block, ...]]:
    """The blocks of every document."""
    return BLOCKS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and an environment without settings of ours."""
    for name in os.environ:
        if name.startswith(OURS):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write_files(folder: Path) -> Callable[[str], None]:
    """Write the files that a document shows into the working folder."""

    def write(document: str) -> None:
        for block in BLOCKS[document]:
            if block.name is not None:
                path = folder / block.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text, encoding="utf-8")

    return write


@pytest.fixture
def run(write_files: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Execute a block beside the files of its document, and return its names; its services are closed in the end."""
    monkeypatch.syspath_prepend(str(ROOT / "examples/classifier-plugin/src"))
    with ExitStack() as stack:
        stack.callback(quiesce_celery.configure, app=None)  # an application whose broker is nowhere

        def execute(block: Block) -> dict[str, Any]:
            write_files(block.document)
            names: dict[str, Any] = {"__name__": "documented"}
            exec(compile(block.text, str(block), "exec", dont_inherit=True), names)
            for value in names.values():
                if isinstance(value, EnhancedMaintenanceModeService):
                    stack.callback(value.close)
            return names

        yield execute
