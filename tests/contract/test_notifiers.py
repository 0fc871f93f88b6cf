"""The contract suite of notifiers: the example keeps it, and the ways to break it are found."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from quiesce import Notice, hookimpl
from quiesce.testing import NotifierContract

EXAMPLE = Path(__file__).parents[2] / "examples/notifier-plugin/src/quiesce_journal_notifier/__init__.py"


def _example() -> ModuleType:
    spec = spec_from_file_location("quiesce_journal_notifier", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestExample(NotifierContract):
    """The example plugin, from its source, installed or not."""

    plugin = _example()

    @pytest.fixture(autouse=True)
    def _journal(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = tmp_path / "journal"
        monkeypatch.setenv("JOURNAL_FILE", str(self.file))

    def delivered(self) -> Sequence[str]:
        """Each line."""
        return self.file.read_text(encoding="utf-8").splitlines() if self.file.exists() else []

    def break_receiver(self) -> None:
        """A folder is no file."""
        self.file.mkdir()


class Plugin:
    """Writes what it is told to write."""

    def __init__(self, text: str, *, is_silent: bool = False) -> None:
        self.lines: list[str] = []
        self.text, self.is_dead, self.is_silent = text, False, is_silent

    @hookimpl
    def notify(self, notice: Notice) -> None:
        """Deliver, or fail, or be silent about it."""
        if self.is_dead and not self.is_silent:
            raise ConnectionError("nobody is there")
        if not self.is_dead:
            self.lines.append(self.text.format(id=notice.id, attempt=notice.attempt, reason=notice.event.reason))


class Suite(NotifierContract):
    """The contract, on a plugin that may break it."""

    __test__ = False

    def __init__(self, plugin: Plugin) -> None:
        self.plugin: Plugin = plugin

    def delivered(self) -> Sequence[str]:
        """What it wrote."""
        return self.plugin.lines

    def break_receiver(self) -> None:
        """Nobody is there."""
        self.plugin.is_dead = True


@pytest.mark.parametrize(
    ("check", "plugin"),
    [
        ("test_notice_carries_its_id", Plugin("{reason}")),
        ("test_repeat_has_the_same_id_whatever_the_attempt", Plugin("{attempt}")),
        ("test_reason_is_told", Plugin("{id}")),
        ("test_test_is_marked", Plugin("{id} drill")),
        ("test_dead_receiver_is_an_error_in_bounded_time", Plugin("{id}", is_silent=True)),
    ],
)
def test_contract_finds_what_is_broken(check: str, plugin: Plugin) -> None:
    """A suite that passes everything proves nothing."""
    with pytest.raises(AssertionError):
        getattr(Suite(plugin), check)()


@pytest.mark.parametrize("check", [name for name in vars(NotifierContract) if name.startswith("test_")])
def test_contract_takes_what_is_whole(check: str) -> None:
    """And a suite that fails everything proves nothing either."""
    getattr(Suite(Plugin("{id} test {reason}")), check)()
