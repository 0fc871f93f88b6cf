"""The reference page of the command line says what the program says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from quiesce.cli import failures
from quiesce.cli.program import program

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
COMMON = {"--store", "--service", "--config", "--json"}


def section(name: str) -> str:
    """The text under a command's heading."""
    found = re.search(rf"^### `{name}`\n(.*?)(?=^##)", REFERENCE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert found is not None, f"{name} is not in the reference"
    return found[1]


def options(text: str) -> dict[str, str]:
    """The options in the tables of a text, with their meaning."""
    return {
        name: meaning.strip() for name, meaning in re.findall(r"^\| `(--[\w-]+)[^`]*` \| (.*) \|$", text, re.MULTILINE)
    }


def taken(command: click.Command) -> dict[str, str]:
    """The options that a command takes, with their help."""
    return {p.opts[0]: p.help or "" for p in command.params if isinstance(p, click.Option) and p.opts[0] != "--help"}


def commands() -> dict[str, click.Command]:
    context = click.Context(program)
    found = {name: program.get_command(context, name) for name in program.list_commands(context)}
    return dict(pair for name, command in found.items() if command is not None for pair in with_its_own(name, command))


def with_its_own(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """The command, or those of a group."""
    if not isinstance(command, click.Group):
        yield name, command
        return
    for inner, own in command.commands.items():
        yield from with_its_own(f"{name} {inner}", own)


@pytest.mark.parametrize("name", sorted(commands()))
def test_command_is_described_as_it_is(name: str) -> None:
    """An option that is only in the reference, or only in the program, misleads."""
    command = commands()[name]
    text = section(name)

    own = {option: meaning for option, meaning in taken(command).items() if option not in COMMON}
    assert options(text) == own
    assert (command.help or "").partition("\n\n")[0].replace("\n", " ") in text.replace("\n", " ")
    for argument in (p for p in command.params if isinstance(p, click.Argument)):
        shown = argument.metavar or (argument.name or "").upper()
        assert f"| `{shown}` |" in text


def test_common_options_are_described_as_they_are() -> None:
    """Every command takes them, and they are described once."""
    text = REFERENCE.read_text(encoding="utf-8").partition("## Exit codes")[0]

    for command in commands().values():
        assert options(text) == {option: meaning for option, meaning in taken(command).items() if option in COMMON}


def test_exit_codes_are_all_described() -> None:
    """Scripts branch on them."""
    table = REFERENCE.read_text(encoding="utf-8").partition("## Exit codes")[2].partition("## Commands")[0]
    codes = {value for name, value in vars(failures).items() if name.startswith("EXIT_")}

    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == {0, *codes}


def test_kinds_of_errors_are_all_described() -> None:
    """Scripts branch on them too."""
    text = REFERENCE.read_text(encoding="utf-8").partition("## Errors as documents")[2]
    kinds = set(re.findall(r'kind="(\w+)"', Path(failures.__file__).read_text(encoding="utf-8")))
    kinds |= {kind for _, kind, _ in failures._KINDS} - {"error"}

    assert {kind for kind in kinds if f"`{kind}`" not in text} == set()
