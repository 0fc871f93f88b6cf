"""The planned window as an entry for calendars: one VEVENT of iCalendar (RFC 5545), published as RFC 5546 says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from quiesce import EventKind, MaintenanceWindow, Notice

from .identity import calendar_uid
from .plain_text import one_line

_PLANS = frozenset({EventKind.SCHEDULED, EventKind.CHANGED, EventKind.STARTING_SOON, EventKind.EXTENDED})
_LONGEST_LINE = 75


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarEntry:
    """What goes into the calendar part.

    Attributes:
        method: ``PUBLISH`` or ``CANCEL``.
        data: the iCalendar object.
    """

    method: str
    data: bytes


def calendar_entry(notice: Notice, *, sender: str, domain: str) -> CalendarEntry | None:
    """Return the entry, or ``None`` where there is nothing to plan: what is open already, tests, other events."""
    window, kind = notice.window, notice.event.kind
    if window is None or window.is_immediate or not (kind in _PLANS or kind is EventKind.CANCELLED):
        return None
    is_off = kind is EventKind.CANCELLED
    method = "CANCEL" if is_off else "PUBLISH"
    mark = "[TEST] " if notice.is_test else ""
    ends_at = window.estimated_completion or window.ends_at
    lines = [
        *("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Quiesce//quiesce-email//EN", f"METHOD:{method}"),
        *("BEGIN:VEVENT", f"UID:{calendar_uid(notice, domain=domain)}"),
        # A revision grows with every commit, so a later change always has the greater number.
        f"SEQUENCE:{notice.event.revision}",
        f"DTSTAMP:{_instant(notice.event.at)}",
        f"ORGANIZER:mailto:{_uri(sender)}",
        f"DTSTART:{_instant(window.starts_at)}",
        *([f"DTEND:{_instant(ends_at)}"] if ends_at is not None and ends_at > window.starts_at else []),
        f"SUMMARY:{_text(f'{mark}{notice.service_name}: {_what(window)}')}",
        f"DESCRIPTION:{_text(window.reason)}",
        f"STATUS:{'CANCELLED' if is_off else 'CONFIRMED'}",
        *("TRANSP:TRANSPARENT", "END:VEVENT", "END:VCALENDAR"),
    ]
    return CalendarEntry(method=method, data="".join(_folded(line) for line in lines).encode())


def _what(window: MaintenanceWindow) -> str:
    return f"{window.mode.value} maintenance"


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _text(text: str) -> str:
    return re.sub(r"([\\;,])", r"\\\1", one_line(text))


def _uri(address: str) -> str:
    return re.sub(r"[^A-Za-z0-9.@_+-]", lambda found: f"%{ord(found[0]):02X}", address)


def _folded(line: str) -> str:
    """Break after at most 75 octets and never within a character (RFC 5545 §3.1)."""
    pieces, length = [], 0
    for character in line:
        size = len(character.encode())
        if length + size > _LONGEST_LINE:
            pieces.append("\r\n ")
            length = 1
        pieces.append(character)
        length += size
    return "".join((*pieces, "\r\n"))
