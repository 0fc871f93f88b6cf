"""What an e-mail says, to whom, and how mail programs and calendars understand it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from icalendar import Calendar

from quiesce import Alert, AlertRule, Audience, EventKind, MaintenanceEvent, MaintenanceWindow, Mode, Notice, Settings
from quiesce_email.addressing import TOLD_TO_USERS, envelopes
from quiesce_email.plain_text import one_line

NOW = datetime(2026, 11, 26, 21, 0, tzinfo=UTC)
SETTINGS = Settings(
    smtp_url="smtp://127.0.0.1",
    email_from="Shop <ops@shop.example>",
    email_operators=("ann@shop.example",),
    email_users=("list@shop.example", "ann@shop.example"),
    email_time_zone="Europe/Berlin",
)
WINDOW = MaintenanceWindow(
    id="w1",
    mode=Mode.NORMAL,
    reason="Database upgrade",
    owner="owner-ann",
    starts_at=NOW + timedelta(hours=2),
    estimated_duration=timedelta(minutes=90),
    ends_at=NOW + timedelta(hours=5),
    ticket="OPS-TICKET-1",
    created_in="c1",
)
HOSTILE = st.text(max_size=80) | st.sampled_from(
    [
        "x\r\nBcc: evil@example.org",
        "x\n\n<script>",
        "\x85y",
        "a\u2028b",
        "\ud800",
        "=?utf-8?q?=0ABcc:_e@x?=",
        "x" * 5000,
    ]
)


def notice(
    kind: EventKind = EventKind.SCHEDULED, *, window: MaintenanceWindow | None = WINDOW, **changes: Any
) -> Notice:
    facts: dict[str, Any] = {"revision": 7, "reason": "Database upgrade", "actor": "actor-bob", "detail": "detail-x"}
    facts["mode"] = "normal"
    facts |= {name: changes.pop(name) for name in facts if name in changes}
    event = MaintenanceEvent(kind=kind, at=NOW, number=0, window_id="w1", **facts)
    whole = {"service_name": "shop", "audience": Audience.EVERYONE, **changes}
    return Notice(event=event, window=window, **whole)


def messages(what: Notice, settings: Settings = SETTINGS) -> dict[str, EmailMessage]:
    """The messages by whom they are for."""
    found = {}
    for envelope in envelopes(what, settings=settings, now=NOW):
        parsed = message_from_bytes(envelope.message, policy=policy.SMTP)
        assert isinstance(parsed, EmailMessage)
        found["operators" if "ann@shop.example" in envelope.recipients else "users"] = parsed
    return found


def text_of(message: EmailMessage, subtype: str = "plain") -> str:
    part = message.get_body(preferencelist=(subtype,))
    assert part is not None
    return str(part.get_content())


def calendar_of(message: EmailMessage) -> Any:
    (part,) = message.iter_attachments()
    assert isinstance(part, EmailMessage)
    assert part.get_content_type() == "text/calendar"
    content = part.get_content()
    calendar = Calendar.from_ical(content if isinstance(content, str) else content.decode())
    assert part["Content-Type"].params["method"] == str(calendar["METHOD"])
    return calendar


def test_users_are_told_nothing_of_people_and_tickets() -> None:
    """A customer must not read who did it, under which ticket, or how long it may take at worst."""
    both = messages(notice())
    secrets = ("OPS-TICKET-1", "actor-bob", "owner-ann", "detail-x", "shop-7-0 ")

    operators, users = (text_of(both[name]) + text_of(both[name], "html") for name in ("operators", "users"))

    assert [secret for secret in secrets if secret in users] == []
    assert [secret for secret in secrets[:4] if secret not in operators] == []
    assert "Database upgrade" in users


@pytest.mark.parametrize("kind", list(EventKind))
def test_operators_hear_everything_and_users_what_concerns_them(kind: EventKind) -> None:
    """Each event has words of its own; that a store was refilled is nobody else's business."""
    both = messages(notice(kind))

    assert ("users" in both) == (kind in TOLD_TO_USERS)
    assert "something happened" not in text_of(both["operators"])


def test_notice_for_operators_goes_to_no_user() -> None:
    """Test windows, and those that are to be kept from users."""
    assert set(messages(notice(audience=Audience.OPERATORS))) == {"operators"}


def test_operator_who_is_a_user_too_gets_one_message() -> None:
    """Two mails about one thing make people look for the difference."""
    assert [envelope.recipients for envelope in envelopes(notice(), settings=SETTINGS, now=NOW)] == [
        ("ann@shop.example",),
        ("list@shop.example",),
    ]


def test_subject_says_service_mode_and_state() -> None:
    """What a phone shows of it at night."""
    assert messages(notice(EventKind.STARTED, mode="emergency"))["users"]["Subject"] == (
        "shop: emergency maintenance has started"
    )


def test_test_is_marked() -> None:
    """Nobody is to run because of a test."""
    for message in messages(notice(is_test=True)).values():
        assert message["Subject"].startswith("[TEST] ")
        assert "This is a test" in text_of(message)
        assert "This is a test" in text_of(message, "html")
        assert str(calendar_of(message).walk("VEVENT")[0]["SUMMARY"]).startswith("[TEST] ")


def test_robots_are_told_not_to_answer() -> None:
    """Else every out-of-office comes back (RFC 3834)."""
    assert messages(notice())["users"]["Auto-Submitted"] == "auto-generated"


def test_times_stand_in_local_time_and_utc() -> None:
    """Readers live by their clocks, operators by UTC."""
    assert "2026-11-27 00:00 CET (2026-11-26 23:00 UTC)" in text_of(messages(notice())["users"])
    assert "Starts:             2026-11-26 23:00 UTC\r\n" in text_of(
        messages(notice(), replace(SETTINGS, email_time_zone=None))["operators"]
    )


def test_end_that_is_not_known_is_said_so() -> None:
    """No estimate is not zero minutes."""
    text = text_of(messages(notice(window=replace(WINDOW, estimated_duration=None, ends_at=None)))["operators"])

    assert "Expected end:       not known" in text
    assert "when an operator ends it" in text


def test_messages_of_one_window_are_one_conversation() -> None:
    """Whatever of them arrives first; the next window is another conversation, and so is another readers'."""
    first, second = messages(notice()), messages(notice(EventKind.STARTED, window=None, revision=8))
    other = messages(replace(notice(), service_name="shop2"))

    assert first["users"]["References"] == second["users"]["References"] == second["users"]["In-Reply-To"]
    ids = {m["Message-ID"] for m in (first["users"], first["operators"], second["users"], other["users"])}
    assert len(ids) == 4
    assert len({m["References"] for m in (first["users"], first["operators"], other["users"])}) == 3


def test_event_without_a_window_refers_to_no_other_message() -> None:
    """A refilled store is no part of a maintenance."""
    what = notice(EventKind.STORE_RESEEDED, window=None)
    message = messages(replace(what, event=replace(what.event, window_id="", mode="")))["operators"]

    assert (message["References"], message["In-Reply-To"]) == (None, None)
    assert message["Subject"] == "shop: maintenance store was refilled"


def test_alert_says_what_is_wrong_since_when_and_that_it_is_over() -> None:
    """An operator sees in the list of mails what to look at; both messages are one conversation."""
    alert = Alert(rule=AlertRule.OUTBOX_STUCK, subject="webhook", since=NOW - timedelta(minutes=6), opened_at=NOW)
    opened, closed = (
        messages(
            Notice(
                event=MaintenanceEvent(
                    kind=kind, at=NOW, revision=7, number=number, actor="worker:w", detail="it <waits>", alert=alert
                ),
                service_name="shop",
                window=None,
                audience=Audience.OPERATORS,
            )
        )
        for number, kind in enumerate((EventKind.ALERT_OPENED, EventKind.ALERT_CLOSED))
    )

    assert opened.keys() == closed.keys() == {"operators"}
    assert opened["operators"]["Subject"] == "shop: ALERT: notices do not get out"
    assert closed["operators"]["Subject"] == "shop: alert is over: notices do not get out"
    text, html = text_of(opened["operators"]), text_of(opened["operators"], "html")
    assert "outbox_stuck:webhook" in text
    assert "2026-11-26 20:54 UTC" in text
    assert "it <waits>" in text
    assert "it &lt;waits&gt;" in html
    assert "What an alert was about is over." in text_of(closed["operators"])
    assert opened["operators"]["References"] == closed["operators"]["References"] is not None


def test_alert_under_a_window_stands_in_its_conversation() -> None:
    """Beside the start and the end that it has to do with; users get none."""
    alert = Alert(rule=AlertRule.BLOCK_RATE, since=NOW, opened_at=NOW, window_id="w1")
    what = notice(EventKind.ALERT_OPENED)
    found = messages(replace(what, event=replace(what.event, alert=alert)))

    assert found.keys() == {"operators"}
    assert found["operators"]["References"] == messages(notice())["operators"]["References"]
    assert found["operators"]["Subject"] == "shop: ALERT: many requests are refused"


@pytest.mark.parametrize("rule", AlertRule)
def test_every_rule_has_words_of_its_own(rule: AlertRule) -> None:
    """No operator is to read the name of a constant."""
    alert = Alert(rule=rule, since=NOW, opened_at=NOW)
    what = notice(EventKind.ALERT_OPENED, window=None)
    subject = messages(replace(what, event=replace(what.event, alert=alert)))["operators"]["Subject"]

    assert subject.startswith("shop: ALERT: ")
    assert "_" not in subject


def test_message_id_is_the_same_at_each_attempt() -> None:
    """So servers and readers can tell a repeat."""
    first, again = (messages(notice(attempt=attempt))["users"]["Message-ID"] for attempt in (1, 2))

    assert first == again == "<shop-7-0.users@shop.example>"


@hypothesis_settings(max_examples=40)
@given(name=st.text("ab.-_", min_size=1, max_size=64), domain=st.text("abc", min_size=1, max_size=60))
def test_ids_survive_any_name_and_length(name: str, domain: str) -> None:
    """An id that is folded or encoded is another id, and the conversation falls apart."""
    settings = replace(SETTINGS, email_from=f"ops@{domain}.example")
    (envelope, _) = envelopes(notice(service_name=name), settings=settings, now=NOW)
    lines = envelope.message.split(b"\r\n")

    for header in (b"Message-ID", b"References", b"In-Reply-To"):
        (line,) = [line for line in lines if line.startswith(header + b": ")]
        value = line.partition(b": ")[2]
        assert value.startswith(b"<")
        assert value.endswith(f"@{domain}.example>".encode())
        assert b"=?" not in value
        assert b".." not in value


def test_entry_in_calendars_says_when_and_follows_changes() -> None:
    """One entry a window: a change moves it, a cancellation takes it away; a later word has the greater number."""
    moved = replace(WINDOW, starts_at=WINDOW.starts_at + timedelta(hours=1))
    calendars = [
        calendar_of(messages(what)["users"])
        for what in (
            notice(),
            notice(EventKind.CHANGED, window=moved, revision=9),
            notice(EventKind.CANCELLED, window=moved, revision=10),
        )
    ]
    entries = [calendar.walk("VEVENT")[0] for calendar in calendars]

    assert [str(calendar["METHOD"]) for calendar in calendars] == ["PUBLISH", "PUBLISH", "CANCEL"]
    assert len({str(entry["UID"]) for entry in entries}) == 1
    assert [int(entry["SEQUENCE"]) for entry in entries] == [7, 9, 10]
    assert entries[0]["DTSTART"].dt == WINDOW.starts_at
    assert entries[0]["DTEND"].dt == WINDOW.estimated_completion
    assert entries[1]["DTSTART"].dt == moved.starts_at
    assert [str(entry["STATUS"]) for entry in entries] == ["CONFIRMED", "CONFIRMED", "CANCELLED"]
    assert str(entries[0]["ORGANIZER"]) == "mailto:ops@shop.example"


def test_window_that_is_open_at_once_is_no_entry_in_calendars() -> None:
    """There is nothing to plan for."""
    for what in (notice(EventKind.STARTED), notice(window=replace(WINDOW, is_immediate=True)), notice(window=None)):
        assert list(messages(what)["users"].iter_attachments()) == []


@hypothesis_settings(max_examples=40)
@example(reason="größer€🙂" * 60)
@given(reason=HOSTILE.filter(lambda text: "\\" not in text))  # which icalendar 6 reads in its own way
def test_calendar_reads_back_what_was_written(reason: str) -> None:
    """Commas, line breaks and long lines in many bytes have rules of their own (RFC 5545)."""
    what = notice(window=replace(WINDOW, reason=reason))
    message = messages(what)["users"]
    (part,) = message.iter_attachments()
    raw = part.get_payload(decode=True)
    assert isinstance(raw, bytes)

    entry = calendar_of(message).walk("VEVENT")[0]

    assert all(len(line) <= 75 for line in raw.split(b"\r\n"))
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert str(entry["DESCRIPTION"]) == one_line(reason)


def test_marks_in_a_reason_part_nothing_in_a_calendar() -> None:
    """Some programs show what stands before the first of them only."""
    (part,) = messages(notice(window=replace(WINDOW, reason="a, b; c\\n")))["users"].iter_attachments()

    assert b"DESCRIPTION:a\\, b\\; c\\\\n\r\n" in (part.get_payload(decode=True) or b"")


@hypothesis_settings(max_examples=40)
@given(reason=HOSTILE, actor=HOSTILE, detail=HOSTILE, ticket=HOSTILE, mode=HOSTILE)
def test_no_word_of_an_operator_becomes_a_header_or_markup(
    reason: str, actor: str, detail: str, ticket: str, mode: str
) -> None:
    """A reason comes from a form, a ticket from another system: neither may address mail or run in a mail program."""
    window = replace(WINDOW, reason=reason, ticket=ticket, owner=actor)
    hostile = envelopes(
        notice(window=window, reason=reason, actor=actor, detail=detail, mode=mode), settings=SETTINGS, now=NOW
    )

    for expected, envelope in zip(usual_messages(), hostile, strict=True):
        message = message_from_bytes(envelope.message, policy=policy.SMTP)
        assert isinstance(message, EmailMessage)
        assert message.keys() == expected.keys()
        assert all(message[name] == expected[name] for name in expected if name not in ("Subject", "Content-Type"))
        assert [part.get_content_type() for part in message.walk()] == [p.get_content_type() for p in expected.walk()]
        assert [part.defects for part in message.walk() if part.defects] == []
        assert max(map(len, envelope.message.split(b"\r\n"))) <= 998
        assert b"\n" not in envelope.message.replace(b"\r\n", b"")
        assert envelope.message.isascii()
        html = text_of(message, "html")
        assert html.count("<") == text_of_expected_tags(html)


@cache
def usual_messages() -> list[EmailMessage]:
    """What is sent when nobody is hostile."""
    return list(messages(notice()).values())


def text_of_expected_tags(html: str) -> int:
    """How many tags there are of those that the templates use."""
    tags = ("!DOCTYPE", "html", "head", "meta", "title", "body", "p", "strong", "table", "tr", "th", "td")
    return sum(html.count(f"<{slash}{tag}{end}") for tag in tags for slash in ("", "/") for end in (">", " "))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\nb\t c", "a b c"),
        ("invoice\u202etxt.exe", "invoicetxt.exe"),
        ("👩\u200d🔧 x\u200cy", "👩\u200d🔧 x\u200cy"),
        ("x" * 1001, "x" * 999 + "…"),
    ],
)
def test_words_become_one_line_that_shows_what_it_says(text: str, expected: str) -> None:
    """What turns the direction of writing can hide a word; what joins letters is part of one."""
    assert one_line(text) == expected


@pytest.mark.parametrize(
    "hidden", ["=?utf-8?q?=0D=0ABcc:_eve@evil.example?=", "=?utf-8?b?DQpCY2M6IGV2ZUBldmlsLmV4YW1wbGU=?="]
)
def test_line_break_in_an_encoded_word_makes_no_header(tmp_path: Path, hidden: str) -> None:
    """Python decodes it when the header is set, and 3.11 writes it as it is: a form would address mail."""
    (tmp_path / "users.subject").write_text("Maintenance: $reason")
    settings = replace(SETTINGS, email_templates=str(tmp_path), email_from=f"Shop {hidden} <ops@shop.example>")

    message = messages(notice(reason=hidden), settings)["users"]

    assert message["Bcc"] is None
    assert message.keys() == messages(notice())["users"].keys()
    assert message["Subject"] == f"Maintenance: {hidden.replace('=?', '= ?')}"
