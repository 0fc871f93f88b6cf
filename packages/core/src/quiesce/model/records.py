"""Records that outlive a command: the audit trail, and the counts of what was refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .decisions import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One line of the audit trail, written in the commit that it describes.

    Attributes:
        at: when (UTC).
        actor: who: an operator's name, ``user:ID``, or ``worker:ID``.
        source: through what: ``cli``, ``http``, ``api``, ``agent``.
        action: what was done, e.g. ``window.enable``.
        revision: the revision that the commit made.
        window_id: the window it was about, if one.
        detail: the facts, as a short text.
    """

    at: datetime
    actor: str
    source: str
    action: str
    revision: int
    window_id: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CountKey:
    """What one count is about: a window, a type, what became of the requests, and (test windows only) their path."""

    window_id: str
    operation: str
    outcome: Outcome
    path: str = ""
