"""What happens to windows: each event is written once, in the commit that makes it true or first notes it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .alerts import Alert


class EventKind(StrEnum):
    """The transitions that people and programs are told of."""

    SCHEDULED = "scheduled"
    CHANGED = "changed"
    STARTING_SOON = "starting_soon"
    STARTED = "started"
    QUIESCED = "quiesced"
    EXTENDED = "extended"
    OVERRUN = "overrun"
    EXPIRING = "expiring"
    HOLDER_LOST = "holder_lost"
    ENDED = "ended"
    CANCELLED = "cancelled"
    STORE_RESEEDED = "store_reseeded"
    ALERT_OPENED = "alert_opened"
    ALERT_CLOSED = "alert_closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceEvent:
    """One transition.

    Attributes:
        kind: what happened.
        at: when (UTC); earlier than its commit when no worker lived to note it.
        revision: of the commit that carries it.
        number: its place among the events of that commit, from 0.
        window_id: the window or schedule that it is about; empty: none.
        mode: the mode of that window; empty: none.
        reason: the reason of that window.
        actor: who caused it, or the worker that noted it.
        detail: the facts, as a short text.
        alert: the alert that was opened or closed; ``None``: the event is about none.
    """

    kind: EventKind
    at: datetime
    revision: int
    number: int
    window_id: str = ""
    mode: str = ""
    reason: str = ""
    actor: str = ""
    detail: str = ""
    alert: Alert | None = None

    @property
    def id(self) -> str:
        """``REVISION-NUMBER``: unique within a store, and in the order of what happened."""
        return f"{self.revision}-{self.number}"
