"""What is committed names no machine, and its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

MACHINES = re.compile(
    r"(?<![\w.~-])/(work|root|home/\w+|Users/\w+|tmp/w|opt/(wheels|pypi))/"
    r"|\b(pypi\.org|pythonhosted\.org|registry\.npmjs|deb\.debian\.org)\b"
    r"|--?(extra-)?index-url|--find-links|--trusted-host",
    flags=re.IGNORECASE,
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```", flags=re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """The anchors that a hosting site makes of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", text), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def broken_links(document: Path) -> list[str]:
    """Relative links of the document that lead to no file or to no heading in it."""
    broken = []
    for link in LINK.findall(FENCED.sub("", document.read_text(encoding="utf-8"))):
        place, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = document.parent / place if place else document
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            broken.append(link)
    return broken


@pytest.fixture(scope="session")
def committed(root: Path) -> list[Path]:
    """Every text file that git has or would take."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, cwd=root, stdout=subprocess.PIPE, check=True, text=True).stdout.split("\0")
    return [root / name for name in listed if (root / name).is_file() and b"\0" not in (root / name).read_bytes()]


def test_committed_text_names_no_machine(committed: list[Path]) -> None:
    """A path or registry of the machine where something was written is wrong on every other."""
    named = {
        path: [match.group() for match in MACHINES.finditer(path.read_text(encoding="utf-8", errors="replace"))]
        for path in committed
        if path != Path(__file__)
    }

    assert {str(path): words for path, words in named.items() if words} == {}


def test_links_lead_somewhere(committed: list[Path]) -> None:
    """A reader who follows a link out of the README must arrive."""
    broken = {str(path): broken_links(path) for path in committed if path.suffix == ".md"}

    assert {name: links for name, links in broken.items() if links} == {}


@pytest.mark.parametrize(
    "text", ["cd /work/main", "see /home/anna/x", "open('/root/.x/y')", "https://pypi.org/simple", "pip --index-url x"]
)
def test_machine_is_found(text: str) -> None:
    """Proves the pattern."""
    assert MACHINES.search(text)


@pytest.mark.parametrize("text", ["/api/work/7", "~/work/x", "/homepage/", "framework/x"])
def test_ordinary_path_is_left_alone(text: str) -> None:
    """A pattern that cries wolf would soon be loosened."""
    assert not MACHINES.search(text)


def test_broken_link_is_found(tmp_path: Path) -> None:
    """A missing file and a missing heading count; code and other sites do not."""
    document = tmp_path / "a.md"
    document.write_text(
        "# Two words\n[a](b.md) [b](#two-words) [c](#three) [d](https://x)\n```\n[e](f.md)\n```\n", encoding="utf-8"
    )

    assert broken_links(document) == ["b.md", "#three"]
