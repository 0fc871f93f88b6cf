"""What stands in the bodies of webhooks: the standard's, Slack's and Microsoft Teams'."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce import Alert, AlertRule, Audience, EventKind, MaintenanceEvent, MaintenanceWindow, Mode, Notice, Settings
from quiesce_webhook.chat import LONGEST_BLOCK, slack_body, teams_body
from quiesce_webhook.payloads import MOST_NAMES, standard_body

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "send-webhooks.md"
AT = datetime(2026, 11, 26, 22, 0, tzinfo=UTC)
WINDOW = MaintenanceWindow(
    id="w1",
    mode=Mode.EMERGENCY,
    reason="Leak",
    owner="ann",
    starts_at=AT,
    estimated_duration=timedelta(minutes=90),
    ends_at=AT + timedelta(hours=4),
    operations=frozenset({"payments", "batch_operations"}),
    ticket="OPS-7",
)


def notice(
    kind: EventKind = EventKind.STARTED,
    *,
    reason: str = "Leak",
    window: MaintenanceWindow | None = WINDOW,
    **fields: Any,
) -> Notice:
    event = MaintenanceEvent(
        kind=kind, at=AT, revision=7, number=1, window_id="w1", mode="emergency", reason=reason, actor="ann", detail="d"
    )
    return Notice(event=event, service_name="shop", window=window, **{"audience": Audience.OPERATORS, **fields})


def runs_of(body: bytes) -> list[str]:
    """The texts of a card, in order."""
    (attachment,) = json.loads(body)["attachments"]
    return [run["text"] for block in attachment["content"]["body"] for run in block["inlines"]]


def test_standard_body_tells_event_and_window() -> None:
    """Programs go by it; names, seconds and UTC are as everywhere else."""
    assert json.loads(standard_body(notice())) == {
        "type": "maintenance.started",
        "timestamp": "2026-11-26T22:00:00Z",
        "data": {
            "service": "shop",
            "is_test": False,
            "audience": "operators",
            "event": {
                "id": "7-1",
                "kind": "started",
                "at": "2026-11-26T22:00:00Z",
                "window_id": "w1",
                "mode": "emergency",
                "reason": "Leak",
                "actor": "ann",
                "detail": "d",
                "alert": None,
            },
            "window": {
                "id": "w1",
                "mode": "emergency",
                "reason": "Leak",
                "owner": "ann",
                "starts_at": "2026-11-26T22:00:00Z",
                "ends_at": "2026-11-27T02:00:00Z",
                "estimated_duration": 5400.0,
                "estimated_completion": "2026-11-26T23:30:00Z",
                "operations": ["batch_operations", "payments"],
                "allowed_operations": [],
                "notify_users": True,
                "ticket": "OPS-7",
                "schedule_id": None,
            },
        },
    }


def test_documented_body_and_settings_are_the_real_ones(tmp_path: Path) -> None:
    """Receivers are written after the page."""
    text = PAGE.read_text(encoding="utf-8")
    (documented,) = re.findall(r"^```json\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (settings,) = re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "quiesce.toml").write_text(settings, encoding="utf-8")

    body, document = json.loads(standard_body(notice())), json.loads(documented)
    loaded = Settings.load({}, path=tmp_path / "quiesce.toml")

    assert list(document) == list(body)
    assert list(document["data"]) == list(body["data"])
    for part in ("event", "window"):
        assert list(document["data"][part]) == list(body["data"][part])
    assert loaded.webhook_url == "https://hooks.example/maintenance"
    assert len(loaded.webhook_secrets) == 1


def test_standard_body_does_without_a_window() -> None:
    """Some events are about none, and some windows are forgotten by the time that a receiver is back."""
    assert json.loads(standard_body(notice(window=None)))["data"]["window"] is None


@pytest.mark.parametrize("kind", EventKind)
def test_every_kind_is_told_in_words(kind: EventKind) -> None:
    """A title with a hole, or a name of ours, tells people nothing."""
    slack, (title, *_) = json.loads(slack_body(notice(kind)))["text"], runs_of(teams_body(notice(kind)))

    assert slack.startswith(title)
    assert title.startswith("shop: ")
    assert not any(strange in title for strange in ("{", "}", "_", "  "))


def test_test_notices_are_marked_in_every_shape() -> None:
    """Nobody is to be called out of bed by a rehearsal."""
    tried = notice(is_test=True)

    assert json.loads(standard_body(tried))["data"]["is_test"] is True
    assert json.loads(slack_body(tried))["text"].startswith("[TEST] ")
    assert runs_of(teams_body(tried))[0].startswith("[TEST] ")


def test_reason_cannot_call_everybody_in_slack() -> None:
    """Whoever opens a window chooses its reason; ``<!channel>`` would ring every telephone."""
    document = json.loads(slack_body(notice(reason="<!channel> & <https://evil.example|click>")))

    assert "&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;" in document["text"]
    assert "<" not in document["text"]
    assert [block["text"]["type"] for block in document["blocks"]] == ["plain_text"]


def test_reason_is_no_markdown_in_teams() -> None:
    """A text run takes none; a text block would make a link of it."""
    body = teams_body(notice(reason="[click](https://evil.example)"))

    assert "Reason: [click](https://evil.example)" in runs_of(body)
    assert b'"TextBlock"' not in body


@given(text=st.text(max_size=20_000))
def test_bodies_are_bounded_and_valid_whatever_is_said(text: str) -> None:
    """A receiver refuses what is too long, and the notice would be lost."""
    many = frozenset(f"operation_{number}" for number in range(MOST_NAMES * 10))
    window = MaintenanceWindow(
        id="w", mode=Mode.NORMAL, reason=text, owner=text, starts_at=AT, ticket=text, operations=many
    )
    said = notice(reason=text, window=window)

    for body in (standard_body(said), slack_body(said), teams_body(said)):
        json.loads(body)
        assert len(body) < 150_000
    assert len(teams_body(said)) < 28_000
    assert len(json.loads(slack_body(said))["blocks"][0]["text"]["text"]) <= LONGEST_BLOCK


def test_plugin_without_an_address_imports_no_client() -> None:
    """Every worker imports every plugin; most send nothing."""
    script = "import quiesce_webhook, sys; sys.exit('httpcore' in sys.modules or 'ssl' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 0


def alert_notice(rule: AlertRule, kind: EventKind = EventKind.ALERT_OPENED) -> Notice:
    alert = Alert(rule=rule, subject="<!channel>", since=AT - timedelta(minutes=6), opened_at=AT)
    event = MaintenanceEvent(kind=kind, at=AT, revision=7, number=1, actor="worker:w", detail="seen", alert=alert)
    return Notice(event=event, service_name="shop", window=None, audience=Audience.OPERATORS)


def test_standard_body_tells_an_alert_by_its_parts() -> None:
    """A program that pages people opens and closes by name, and need read no prose."""
    document = json.loads(standard_body(alert_notice(AlertRule.OUTBOX_STUCK)))

    assert (document["type"], document["data"]["window"]) == ("maintenance.alert_opened", None)
    assert document["data"]["event"]["alert"] == {
        "name": "outbox_stuck:<!channel>",
        "rule": "outbox_stuck",
        "subject": "<!channel>",
        "since": "2026-11-26T21:54:00Z",
        "opened_at": "2026-11-26T22:00:00Z",
    }


@pytest.mark.parametrize("rule", AlertRule)
def test_chat_shows_what_an_alert_is_about(rule: AlertRule) -> None:
    """The title says what is wrong, the lines since when; that it is over looks different."""
    opened, closed = alert_notice(rule), alert_notice(rule, EventKind.ALERT_CLOSED)
    slack, teams = json.loads(slack_body(opened)), runs_of(teams_body(opened))

    assert teams[0].startswith("shop: ALERT: ")
    assert "_" not in teams[0]
    assert teams[1:3] == [f"Alert: {rule}:<!channel>", "Since: 2026-11-26T21:54:00Z"]
    assert slack["text"].splitlines()[0] == teams[0]
    assert "<!channel>" not in slack["text"]
    assert runs_of(teams_body(closed))[0] == teams[0].replace("ALERT", "alert is over")
