"""Makes the message of a notice for one kind of readers (RFC 5322, MIME)."""

from __future__ import annotations

from datetime import datetime
from email.headerregistry import Address, BaseHeader, Group, HeaderRegistry, MessageIDHeader
from email.message import EmailMessage
from email.policy import SMTP, Policy

from quiesce import Notice, Settings

from .calendar_entry import calendar_entry
from .identity import message_id, thread_id
from .plain_text import header_text
from .readers import Readers
from .sender import Sender
from .templates import Part, render
from .wording import words

LONGEST_SUBJECT = 160


class _IdHeader(MessageIDHeader, BaseHeader):  # type: ignore[misc] # its stub gives max_count another type
    def fold(self, *, policy: Policy) -> str:
        # An id that fills a line would be encoded as if it were words, and no longer be that id.
        return f"{self.name}: {self}{policy.linesep}"


_headers = HeaderRegistry()
for _name in ("message-id", "references", "in-reply-to"):
    _headers.map_to_type(_name, _IdHeader)
# Seven bits pass every server, also one without 8BITMIME.
_POLICY = SMTP.clone(header_factory=_headers, cte_type="7bit")


def compose(notice: Notice, *, readers: Readers, settings: Settings, now: datetime) -> bytes:
    """Return the message as it goes over the wire.

    Args:
        notice: what it is about.
        readers: for whom it is written.
        settings: sender, time zone and templates.
        now: the date of the message.
    """
    sender = Sender.of(settings.email_from or "")
    said = words(notice, readers=readers, zone=settings.email_time_zone)

    def rendered(part: Part) -> str:
        return render(part, said, readers=readers, kind=notice.event.kind, folder=settings.email_templates)

    message = EmailMessage(policy=_POLICY)
    message["Subject"] = header_text(rendered(Part.SUBJECT), longest=LONGEST_SUBJECT)
    message["From"] = Address(display_name=sender.name, addr_spec=sender.address)
    message["To"] = Group("undisclosed-recipients")
    message["Date"] = now
    message["Message-ID"] = message_id(notice, readers=readers, domain=sender.domain)
    thread = thread_id(notice, readers=readers, domain=sender.domain)
    if thread is not None:
        message["In-Reply-To"] = thread
        message["References"] = thread
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no robot answers it
    message["X-Auto-Response-Suppress"] = "All"  # the same for Exchange
    message.set_content(rendered(Part.TEXT))
    message.add_alternative(rendered(Part.HTML), subtype="html")
    entry = calendar_entry(notice, sender=sender.address, domain=sender.domain)
    if entry is not None:
        message.add_attachment(
            entry.data,
            maintype="text",
            subtype="calendar",
            filename="maintenance.ics",
            params={"method": entry.method, "charset": "utf-8"},
        )
    return message.as_bytes()
