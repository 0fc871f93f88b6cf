"""What the pages about e-mail show: settings that are accepted, and a template that is used."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from quiesce import Audience, EventKind, MaintenanceEvent, Notice, Settings
from quiesce_email.addressing import envelopes

PAGE = "docs/how-to/send-e-mail.md"


def shown_settings(document: str, blocks: Mapping[str, Any]) -> Settings:
    (block,) = [block for block in blocks[document] if block.language == "sh"]
    return Settings.load(dict(line.split("=", 1) for line in shlex.split(block.text)))


@pytest.mark.parametrize("page", [PAGE, "packages/notifier-email/README.md"])
def test_settings_that_are_shown_are_accepted(page: str, blocks: Mapping[str, Any], folder: Path) -> None:
    """They are copied, and a wrong one stops the application's start."""
    settings = shown_settings(page, blocks)

    assert settings.smtp_url is not None
    assert settings.email_from == "Shop <ops@shop.example>"
    assert (len(settings.email_operators), len(settings.email_users)) == (2, 1)


def test_template_that_is_shown_is_used(
    blocks: Mapping[str, Any], folder: Path, write_files: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Who copies it must not get the built-in words, and a line in the log."""
    write_files(PAGE)
    settings = Settings(email_from="ops@shop.example", email_users=("list@shop.example",), email_templates=str(folder))
    event = MaintenanceEvent(kind=EventKind.STARTED, at=datetime.now(UTC), revision=1, number=0, reason="New racks")
    notice = Notice(event=event, service_name="shop", window=None, audience=Audience.EVERYONE)

    (envelope,) = envelopes(notice, settings=settings, now=datetime.now(UTC))

    texts = [part.get_payload(decode=True) for part in message_from_bytes(envelope.message).walk()]
    assert any(b"Dear customers" in text for text in texts if isinstance(text, bytes))
    assert b"New racks" in envelope.message
    assert caplog.records == []
