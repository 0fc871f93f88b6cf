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
        result: what came of it: ``done``, ``failed`` or ``refused``; empty: written before results were.
        origin: the machine whose process wrote it.
        before: what it changed of a window, schedule or the sessions, as it was (JSON); empty: nothing was there, or
            nothing changed, or the record before this one of the same commit says it.
        after: the same as it is now; empty: nothing is there any more, or as with ``before``.
        number: its place in the chain, from 1; 0: it is in none.
        begins: why the chain begins anew with it, and what was known of the chain before; empty: it goes on.
        hash: of the record and of the hash of the one before it, as ``sha256:HEX`` or ``hmac-sha256:KEY:HEX`` with the
            name of the key; empty: it is in no chain.
    """

    at: datetime
    actor: str
    source: str
    action: str
    revision: int
    window_id: str | None = None
    detail: str = ""
    result: str = ""
    origin: str = ""
    before: str = ""
    after: str = ""
    number: int = 0
    begins: str = ""
    hash: str = ""


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
