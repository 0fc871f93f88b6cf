"""Templates of e-mails that an operator brings, also broken ones."""

from __future__ import annotations

import logging
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from quiesce import Audience, EventKind, MaintenanceEvent, Notice
from quiesce_email.readers import Readers
from quiesce_email.templates import LARGEST_BYTES, Part, render
from quiesce_email.wording import words

ROOT = Path(__file__).parents[2]
BUILT_IN = ROOT / "packages/notifier-email/src/quiesce_email/built_in"


def rendered(
    folder: Path | None, part: Part = Part.TEXT, *, readers: Readers = Readers.USERS, reason: str = "R"
) -> str:
    event = MaintenanceEvent(
        kind=EventKind.STARTED,
        at=datetime(2026, 11, 26, 21, tzinfo=UTC),
        revision=1,
        number=0,
        reason=reason,
        actor="bob",
    )
    notice = Notice(event=event, service_name="shop", window=None, audience=Audience.EVERYONE)
    said = words(notice, readers=readers, zone=None)
    return render(part, said, readers=readers, kind=event.kind, folder=None if folder is None else str(folder))


def test_own_template_goes_before_the_built_in_one(tmp_path: Path) -> None:
    """That of the event first, then that of the readers; what is not there is built in."""
    (tmp_path / "users.txt").write_text("Ünser $service kostet $$5", encoding="utf-8")
    assert rendered(tmp_path) == "Ünser shop kostet $5"

    (tmp_path / "users-started.txt").write_text("$service started")
    assert rendered(tmp_path) == "shop started"

    assert rendered(tmp_path, Part.HTML) == rendered(None, Part.HTML)
    assert rendered(tmp_path, readers=Readers.OPERATORS) == rendered(None, readers=Readers.OPERATORS)


@pytest.mark.parametrize(
    "content",
    [b"$nonsense", b"$actor did it", b"${", b"50 $ a day", b"\xff\xfe", b" \n", b"x" * (LARGEST_BYTES + 1)],
    ids=["unknown", "operators-only", "syntax", "lone-dollar", "no-utf8", "empty", "too-large"],
)
def test_broken_template_does_not_lose_the_notice(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """It is noticed in the worst hour of the month; the words of the built-in one will do, and the log tells."""
    (tmp_path / "users.txt").write_bytes(content)

    with caplog.at_level(logging.WARNING, logger="quiesce"):
        text = rendered(tmp_path)

    assert text == rendered(None)
    assert "users.txt" in caplog.text


def test_template_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """Reading a pipe that nobody writes to would never end."""
    os.mkfifo(tmp_path / "users.txt")

    assert rendered(tmp_path) == rendered(None)


def test_folder_that_is_not_there_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A mount that is missing must not pass for a folder without templates."""
    with caplog.at_level(logging.WARNING, logger="quiesce"):
        text = rendered(tmp_path / "missing")

    assert text == rendered(None)
    assert "MAINTENANCE_EMAIL_TEMPLATES is no folder" in caplog.text


def test_values_are_escaped_in_html_only(tmp_path: Path) -> None:
    """A reason is no markup, whoever wrote the template; and in text it is what it is."""
    for part in (Part.HTML, Part.TEXT):
        (tmp_path / f"users.{part}").write_text('<a title="$reason">$facts</a>')
    reason = '"><script>$mode</script>'

    assert "<script>" not in rendered(tmp_path, Part.HTML, reason=reason)
    assert '<a title="&quot;&gt;&lt;script&gt;$mode' in rendered(tmp_path, Part.HTML, reason=reason)
    assert f'<a title="{reason}">' in rendered(tmp_path, Part.TEXT, reason=reason)


def test_page_lists_the_names_that_templates_may_use() -> None:
    """A template is written with the page beside it."""
    page = (ROOT / "docs/how-to/send-e-mail.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `\$(\w+)` \| (all|operators) \|", page, re.MULTILINE))
    event = MaintenanceEvent(kind=EventKind.STARTED, at=datetime.now(UTC), revision=1, number=0)
    notice = Notice(event=event, service_name="shop", window=None, audience=Audience.EVERYONE)
    names = {readers: {"facts", *words(notice, readers=readers, zone=None).values} for readers in Readers}

    assert {name for name, whom in listed.items() if whom == "all"} == names[Readers.USERS]
    assert set(listed) == names[Readers.OPERATORS]


def test_page_lists_the_events() -> None:
    """A file that is named after no event is never used."""
    page = (ROOT / "docs/how-to/send-e-mail.md").read_text(encoding="utf-8")
    sentence = page.partition("The events are ")[2].partition(".\n")[0]

    assert re.findall(r"`(\w+)`", sentence) == [kind.value for kind in EventKind]


def test_built_in_templates_are_all_there() -> None:
    """They are what everything falls back to."""
    expected = {f"{readers}.{part}" for readers in Readers for part in Part}

    assert {path.name for path in BUILT_IN.iterdir()} == expected
