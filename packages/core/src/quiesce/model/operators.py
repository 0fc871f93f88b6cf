"""Operators who give a second proof by an authenticator, and what is said of a proof that was given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """An admin of the application whose authenticator is known; nothing of its secret is told.

    Attributes:
        name: the ``user_id`` that the application's ``identify`` gives.
        enrolled_at: when (UTC).
        enrolled_by: who did it.
    """

    name: str
    enrolled_at: datetime
    enrolled_by: str


class ProofKind(StrEnum):
    """What is asked for as a second proof."""

    CODE = "code"
    """Of the operator's authenticator (RFC 6238)."""
    TOKEN = "token"  # noqa: S105 - a word, no secret
    """The admin token, again or for the first time."""


class ProofOutcome(StrEnum):
    """What became of a second proof."""

    ACCEPTED = "accepted"
    MISSING = "missing"
    """None was given; that is no try."""
    WRONG = "wrong"
    SILENCED = "silenced"
    """Too many wrong ones came before: it was not looked at."""
    IMPOSSIBLE = "impossible"
    """The operator is not enrolled, and there is no admin token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofVerdict:
    """What is said of one second proof.

    Attributes:
        outcome: whether it was accepted, and if not why.
        kind: what was asked for.
        tries_left: how many more wrong ones there may be; of a wrong one only.
        retry_after_seconds: until when no proof is looked at; of a silenced one only.
    """

    outcome: ProofOutcome
    kind: ProofKind
    tries_left: int = 0
    retry_after_seconds: float = 0.0
