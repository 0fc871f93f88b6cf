"""The names of messages, conversations and calendar entries; all follow from the notice, so none needs storing."""

from __future__ import annotations

import re

from quiesce import Notice

from .readers import Readers


def message_id(notice: Notice, *, readers: Readers, domain: str) -> str:
    """Return the ``Message-ID``: the same at every attempt, so that a repeat can be told."""
    return f"<{_atom(notice.id)}.{readers}@{domain}>"


def thread_id(notice: Notice, *, readers: Readers, domain: str) -> str | None:
    """Return the id of the conversation that all messages about one window refer to, or about an alert without one.

    ``None``: the message is about neither.

    No message has it. Mail programs gather those that refer to the same one (RFC 5256, REFERENCES), whichever of them
    arrives first or is missing.
    """
    window_id, alert = notice.event.window_id, notice.event.alert
    service = _atom(notice.service_name)
    if window_id:
        return f"<{service}.window.{_atom(window_id)}.{readers}@{domain}>"
    if alert is not None:
        # Of each time that it was open.
        return f"<{service}.alert.{_atom(alert.name)}.{int(alert.opened_at.timestamp())}.{readers}@{domain}>"
    return None


def calendar_uid(notice: Notice, *, domain: str) -> str:
    """Return the ``UID`` of the window's entry in calendars, the same for all changes of it."""
    window = notice.window
    parts = (notice.service_name, window.id if window else notice.event.window_id, window.created_in if window else "")
    return f"{'.'.join(_atom(part) for part in parts if part)}@{domain}"


def _atom(text: str) -> str:
    # "=" stands in no name of a service and no id, so two texts never become one.
    return re.sub(r"[^A-Za-z0-9_-]", lambda found: f"={ord(found[0]):X}=", text)
