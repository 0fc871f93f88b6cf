"""Who gets which message of a notice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from quiesce import Audience, EventKind, Notice, Settings

from .composing import compose
from .readers import Readers

TOLD_TO_USERS = frozenset(
    {
        *(EventKind.SCHEDULED, EventKind.CHANGED, EventKind.STARTING_SOON, EventKind.STARTED),
        *(EventKind.EXTENDED, EventKind.OVERRUN, EventKind.ENDED, EventKind.CANCELLED),
    }
)
"""The others are about how the service is run: users can do nothing with them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One message and everybody who gets it; none of them sees another.

    Attributes:
        recipients: addresses.
        message: as it goes over the wire.
    """

    recipients: tuple[str, ...]
    message: bytes


def envelopes(notice: Notice, *, settings: Settings, now: datetime) -> tuple[Envelope, ...]:
    """Return what is to be sent: to operators everything, to users what is for them; who is both is an operator."""
    operators = settings.email_operators
    users: tuple[str, ...] = ()
    if notice.audience is Audience.EVERYONE and notice.event.kind in TOLD_TO_USERS:
        users = tuple(address for address in settings.email_users if address not in operators)
    return tuple(
        Envelope(recipients=addresses, message=compose(notice, readers=readers, settings=settings, now=now))
        for readers, addresses in ((Readers.OPERATORS, operators), (Readers.USERS, users))
        if addresses
    )
