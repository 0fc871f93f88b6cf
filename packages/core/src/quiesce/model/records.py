"""Records that outlive a command: the audit trail, and the counts of what was refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .decisions import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One line of the audit trail, written in the commit that it describes.

    Attributes:
        at: when (UTC).
        actor: who: an operator's name, ``user:ID``, or ``worker:ID``.
        source: through what: ``cli``, ``http`` with the address of the client, ``api``, ``agent``.
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


class CallerKind(StrEnum):
    """Who sent the requests of one count, as far as that is told apart."""

    UNMARKED = ""
    """Nobody was identified; of requests that bypassed: an admin sent them."""
    USER = "user"
    """Somebody was identified, and refused."""
    PASS = "pass"  # noqa: S105 - a word, no secret
    """They carried a bypass pass."""


@dataclass(frozen=True, slots=True)
class CountKey:
    """What one count is about: a window, a type, what became of the requests, in test windows their path, and who."""

    window_id: str
    operation: str
    outcome: Outcome
    path: str = ""
    caller: CallerKind = CallerKind.UNMARKED
