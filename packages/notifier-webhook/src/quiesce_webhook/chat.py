"""Notices as Slack and Microsoft Teams show them: a title and a few lines, in which nothing is taken for markup."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from quiesce import AlertRule, EventKind, Notice

from .payloads import cut, format_time

LONGEST_LINE = 1_000
"""In characters; Teams takes no message above 28 kB."""
LONGEST_BLOCK = 3_000
"""In characters; Slack takes no longer text in a block."""

_TITLES = {
    EventKind.SCHEDULED: "{mode} maintenance is planned",
    EventKind.CHANGED: "planned {mode} maintenance was changed",
    EventKind.STARTING_SOON: "{mode} maintenance starts soon",
    EventKind.STARTED: "{mode} maintenance has started",
    EventKind.QUIESCED: "the system is quiet",
    EventKind.EXTENDED: "{mode} maintenance takes longer",
    EventKind.OVERRUN: "{mode} maintenance takes longer than estimated",
    EventKind.EXPIRING: "{mode} maintenance is about to time out",
    EventKind.HOLDER_LOST: "the program that holds the {mode} maintenance is gone",
    EventKind.ENDED: "{mode} maintenance is over",
    EventKind.CANCELLED: "planned {mode} maintenance was cancelled",
    EventKind.STORE_RESEEDED: "the store came back empty and was filled again",
    EventKind.ALERT_OPENED: "ALERT",
    EventKind.ALERT_CLOSED: "alert is over",
}
_ALERTS = {
    AlertRule.BLOCK_RATE: "many requests are refused",
    AlertRule.WORKERS_UNCONFIRMED: "a worker is unconfirmed",
    AlertRule.OUTBOX_STUCK: "notices do not get out",
    AlertRule.STORE_STALE: "the store did not answer",
}


def slack_body(notice: Notice) -> bytes:
    """Return a message for an incoming webhook of Slack."""
    text = "\n".join((_title(notice), *_lines(notice)))
    # The block is plain and shown as it is; the text is for notifications, where <!channel> would call everybody.
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    shown = cut(text, longest=LONGEST_BLOCK)
    block = {"type": "section", "text": {"type": "plain_text", "text": shown, "emoji": False}}
    return _encode({"text": escaped, "blocks": [block]})


def teams_body(notice: Notice) -> bytes:
    """Return a message for a workflow of Microsoft Teams: an Adaptive Card whose texts take no Markdown."""
    title = {"type": "TextRun", "text": _title(notice), "weight": "bolder", "size": "large"}
    runs = [title, *({"type": "TextRun", "text": line} for line in _lines(notice))]
    card = {
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": "1.4",
        "body": [{"type": "RichTextBlock", "inlines": [run]} for run in runs],
    }
    kind = "application/vnd.microsoft.card.adaptive"
    attachment = {"contentType": kind, "contentUrl": None, "content": card}
    return _encode({"type": "message", "attachments": [attachment]})


def _title(notice: Notice) -> str:
    event = notice.event
    said = _TITLES.get(event.kind, str(event.kind)).format(mode=event.mode)
    if event.alert is not None:
        said += f": {_ALERTS.get(event.alert.rule, str(event.alert.rule))}"
    return f"{'[TEST] ' if notice.is_test else ''}{notice.service_name}: {' '.join(said.split())}"


def _lines(notice: Notice) -> Iterator[str]:
    event, window = notice.event, notice.window
    if event.alert is not None:
        yield f"Alert: {_line(event.alert.name)}"
        yield f"Since: {format_time(event.alert.since)}"
    if event.reason:
        yield f"Reason: {_line(event.reason)}"
    if window is not None:
        yield f"Starts: {format_time(window.starts_at)}"
        if window.estimated_completion is not None:
            yield f"Estimated end: {format_time(window.estimated_completion)}"
        if window.closes_at is not None:
            yield f"Ends at the latest: {format_time(window.closes_at)}"
        if window.ticket:
            yield f"Ticket: {_line(window.ticket)}"
    if event.detail:
        yield f"Detail: {_line(event.detail)}"
    if event.actor:
        yield f"By: {_line(event.actor)}"
    yield f"At: {format_time(event.at)}"


def _line(text: str) -> str:
    return cut(" ".join(text.split()), longest=LONGEST_LINE)


def _encode(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode(errors="replace")
