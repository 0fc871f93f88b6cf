"""What the text mentions in passing exists: commands with their options, and settings."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from quiesce.cli.program import program
from quiesce.settings import CONFIG_FILE, SETTINGS

FENCED = re.compile(r"^```.*?^```", flags=re.MULTILINE | re.DOTALL)
KNOWN = {CONFIG_FILE, *(setting.name for setting in SETTINGS)}


def mentioned_commands(text: str) -> list[str]:
    return re.findall(r"`(quiesce [^`\n]+)`", FENCED.sub("", text))


def fault_of(command: str) -> str | None:
    """Return what is wrong with a command line, whose arguments may be left out."""
    _, name, *words = shlex.split(command.partition(" -- ")[0])
    if name.startswith("-"):
        return None
    found = program.get_command(click.Context(program), name)
    if found is None:
        return f"no command {name}"
    if isinstance(found, click.Group) and words and words[0] in found.commands:
        found = found.commands[words[0]]
    options = {option for parameter in found.params for option in parameter.opts}
    return next((f"no option {word}" for word in words if word.startswith("--") and word not in options), None)


def test_mentioned_commands_exist(document: str, root: Path) -> None:
    """A reader types them; ``--help`` should not be what corrects the page."""
    commands = mentioned_commands((root / document).read_text(encoding="utf-8"))

    assert {command: fault for command in commands if (fault := fault_of(command)) is not None} == {}


def test_mentioned_settings_exist(document: str, root: Path) -> None:
    """A misspelled name of a variable stops an application's start."""
    text = (root / document).read_text(encoding="utf-8")
    names = set(re.findall(r"\b(?:MAINTENANCE|EMERGENCY_MODE|TEST_MODE)_[A-Z_]*[A-Z]\b", text))

    assert names - KNOWN == set()


def test_settings_without_effect_are_named(root: Path) -> None:
    """An operator who sets one believes that something happens; the page says that nothing does, while that is so."""
    sources = [path for path in root.glob("packages/*/src/**/*.py") if not path.name.startswith("settings")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    unused = {setting.name for setting in SETTINGS if not re.search(rf"\bsettings\.{setting.attribute}\b", code)}
    text = (root / "docs/reference/settings.md").read_text(encoding="utf-8")
    paragraph = text.partition("without effect in this version")[2].partition("\n\n")[0]

    assert set(re.findall(r"`(\w+)`", paragraph)) == unused


@pytest.mark.parametrize("command", ["quiesce walk", "quiesce enable --now", "quiesce status --watch 5"])
def test_wrong_mention_is_found(command: str) -> None:
    """Proves the check."""
    assert fault_of(command) is not None
