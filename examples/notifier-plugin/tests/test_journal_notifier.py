"""The plugin keeps the contract of notifiers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import quiesce_journal_notifier
from quiesce.testing import NotifierContract


class TestJournalNotifier(NotifierContract):
    """Every promise of ``notify``, checked on this plugin."""

    plugin = quiesce_journal_notifier

    @pytest.fixture(autouse=True)
    def _journal(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = tmp_path / "journal"
        monkeypatch.setenv("JOURNAL_FILE", str(self.file))

    def delivered(self) -> Sequence[str]:
        """Each line of the file."""
        return self.file.read_text(encoding="utf-8").splitlines() if self.file.exists() else []

    def break_receiver(self) -> None:
        """A folder is no file."""
        self.file.mkdir()
