"""What operators are told about notifiers: how far each is, and what it could not deliver."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .events import MaintenanceEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadNotice:
    """A notice that was given up.

    Attributes:
        notifier: the plugin that could not deliver it.
        event: what it was about.
        attempts: how often it was tried.
        problem: of the last try.
        given_up_at: when (UTC).
        is_due: whether an operator has asked for it to be tried again, which has not happened yet.
    """

    notifier: str
    event: MaintenanceEvent
    attempts: int
    problem: str
    given_up_at: datetime
    is_due: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierStatus:
    """How far one notifier is.

    Attributes:
        name: of the plugin.
        cursor: id of the event up to which it is done; ``None``: no worker has seen it yet.
        waiting: how many events it has still to tell; ``None``: not known.
        attempts: how often the next one was tried.
        failing_since: of the next one's first failure; ``None``: it did not fail.
        next_try_at: when it is tried again.
        problem: of the last failure, or why a worker that was not told where to send has told nothing.
        is_off: whether its receiver wanted no more; ``retry`` switches it on again.
        is_sending: whether a process holds its claim.
        is_attended: whether a leading worker that has this plugin was heard of lately.
        dead: what was given up, the oldest first.
    """

    name: str
    cursor: str | None
    waiting: int | None = None
    attempts: int = 0
    failing_since: datetime | None = None
    next_try_at: datetime | None = None
    problem: str = ""
    is_off: bool = False
    is_sending: bool = False
    is_attended: bool = False
    dead: tuple[DeadNotice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierTest:
    """What came of trying one notifier.

    Attributes:
        notifier: the plugin.
        is_ok: whether it said that it delivered.
        seconds: how long it took.
        problem: why not; empty: it did.
    """

    notifier: str
    is_ok: bool
    seconds: float
    problem: str = ""
