"""What is known of notifiers, and the command on them, as pydantic models, for OpenAPI."""

from __future__ import annotations

from .documents import Document


class DeadNotice(Document):
    """A notice that was given up."""

    event_id: str
    kind: str
    window_id: str
    attempts: int
    problem: str
    given_up_at: str
    is_due: bool


class Notifier(Document):
    """How far one notifier is."""

    name: str
    cursor: str | None
    waiting: int | None
    attempts: int
    failing_since: str
    next_try_at: str
    problem: str
    is_off: bool
    is_sending: bool
    is_attended: bool
    dead: list[DeadNotice]


class Notifications(Document):
    """How far each notifier is."""

    enabled: bool
    notifiers: list[Notifier]


class RetryNotifications(Document):
    """Has what failed tried again."""

    notifier: str
