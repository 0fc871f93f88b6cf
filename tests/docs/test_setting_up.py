"""No block goes unread: each kind has its test, and commands that set a machine up are at least well-formed."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

READ_ELSEWHERE = {
    ("docs/reference/settings.md", "toml"): "tests/unit/test_settings_reference.py loads it",
    ("docs/how-to/get-alerted.md", "toml"): "tests/unit/test_settings_reference.py loads it",
    ("docs/reference/cli.md", "json"): "test_cli_documents.py compares each with the command's own",
    ("docs/how-to/send-webhooks.md", "json"): "tests/unit/test_webhook_bodies.py compares it with a real body",
    ("docs/how-to/handle-an-emergency.md", "text"): "test_emergency_lines.py has the same lines logged",
    ("docs/how-to/send-e-mail.md", "sh"): "test_mail.py reads its settings",
    ("packages/notifier-email/README.md", "sh"): "test_mail.py reads its settings",
    ("docs/reference/cli.md", "text"): "test_cli_documents.py compares it with a real error",
}
OPERATED = frozenset({"quiesce", "curl", "gunicorn", "flask"})
OPERATED_IN = {
    "README.md",
    "docs/tutorial/first-window.md",
    "docs/how-to/deploy.md",
    "docs/how-to/enrol-operators.md",
    "docs/how-to/get-alerted.md",
    "docs/how-to/handle-an-emergency.md",
    "docs/how-to/keep-an-audit-trail.md",
    "docs/how-to/keep-secrets.md",
    "docs/how-to/let-testers-in.md",
    "docs/how-to/log-people-out.md",
    "docs/how-to/notify-people.md",
    "docs/how-to/plan-a-window.md",
    "docs/how-to/report-an-incident.md",
    "docs/how-to/run-a-migration.md",
    "docs/how-to/test-your-application.md",
    "docs/how-to/write-a-plugin.md",
}
OTHER_PACKAGES = {"gunicorn", "nox"}


def sessions(root: Path) -> set[str]:
    """The sessions that nox knows."""
    tree = ast.parse((root / "noxfile.py").read_text(encoding="utf-8"))
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and any(ast.unparse(decorator).startswith("nox.session") for decorator in node.decorator_list)
    }


def is_well_formed(command: str, root: Path) -> bool:
    """Whether a command that is not run could work: its folders, packages and sessions exist."""
    match shlex.split(command):
        case ["python3", "-m", "venv", _] | ["mkdir", _] | ["cd", _] | ["nox"]:
            return True
        case [".", script]:
            return script.endswith("/bin/activate")
        case ["pip", "install", *wanted] | ["python3", "-m", "pip", "install", *wanted]:
            return bool(wanted) and all(
                (root / name / "pyproject.toml").is_file() if name.startswith("./") else name in OTHER_PACKAGES
                for name in wanted
            )
        case ["nox", "-s", session, *rest]:
            return session in sessions(root) and rest in ([], ["--", "--serve"])
    return False


def test_every_block_has_a_reader(document: str, blocks: Mapping[str, Any]) -> None:
    """A block that no test reads is true by luck."""
    unread = [
        str(block)
        for block in blocks[document]
        if block.language not in {"python", "console"}
        and block.name is None
        and (document, block.language) not in READ_ELSEWHERE
    ]

    assert unread == []


def test_every_command_has_a_prompt(document: str, blocks: Mapping[str, Any]) -> None:
    """The tests take what follows a prompt; a line without one would be neither run nor checked."""
    lines = [line for block in blocks[document] if block.language == "console" for line in block.text.splitlines()]

    assert [line for line in lines if not line.startswith("$ ")] == []


def test_every_command_is_run_or_well_formed(document: str, blocks: Mapping[str, Any], root: Path) -> None:
    """What operates Quiesce is run by test_commands.py; the rest names what is there."""
    commands = [line for block in blocks[document] if block.language == "console" for line in block.commands]
    operated = [line for line in commands if shlex.split(line)[0] in OPERATED]
    parts = [part.strip() for line in commands if line not in operated for part in line.split("&&")]

    assert [part for part in parts if not is_well_formed(part, root)] == []
    assert not operated or document in OPERATED_IN


def test_commands_of_the_contribution_guide_are_well_formed(root: Path) -> None:
    """A session that was renamed must be renamed there too."""
    text = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r'nox (?:-R )?-s "?(\w+)', text)

    assert named
    assert set(named) <= sessions(root)


@pytest.mark.parametrize(
    "command",
    ["pip install ./packages/nowhere", "pip install someone-elses", "nox -s nothing", "sudo rm -r /", "pip install"],
)
def test_malformed_command_is_found(command: str, root: Path) -> None:
    """Proves the check."""
    assert not is_well_formed(command, root)
