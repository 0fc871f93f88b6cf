"""What operators are to look at: an alert is open from when its cause was noted until it has been gone for a while."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

MOST_ALERTS = 8
"""How many are open at once at most; they stand in the state, which has bounds."""
LONGEST_ALERT_TEXT = 300


class AlertRule(StrEnum):
    """What alerts are about. That a window starts or ends is told by events of its own."""

    BLOCK_RATE = "block_rate"
    """Many requests are refused."""
    WORKERS_UNCONFIRMED = "workers_unconfirmed"
    """Under an open window it is not known of some worker whether it applies it."""
    OUTBOX_STUCK = "outbox_stuck"
    """A notifier does not get its notices out, or nobody is told at all."""
    STORE_STALE = "store_stale"
    """The store did not answer, so that workers went on with what they knew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert that is open, or was.

    Attributes:
        rule: by which it was opened.
        subject: what of several it is about: the notifier; empty: there is but one.
        since: when its cause was first seen, by the worker that led then (UTC).
        opened_at: when it was opened (UTC).
        window_id: the strictest window that was open then; empty: none.
        detail: what was seen, in words.
    """

    rule: AlertRule
    since: datetime
    opened_at: datetime
    subject: str = ""
    window_id: str = ""
    detail: str = ""

    @property
    def name(self) -> str:
        """The rule, and the subject behind a colon if there is one; of no two open alerts the same."""
        return f"{self.rule}:{self.subject}" if self.subject else str(self.rule)
