"""The lease of a window that a program holds: what others know of whether its holder still lives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Says who holds a window, and what becomes of it when the holder is lost.

    Renewals are counted by the store beside the state, so that none of them makes a revision. The lease has lapsed when
    the leader saw no renewal for ``seconds`` while the store answered; no clocks of two machines are compared.

    Attributes:
        holder: the program, for people: ``user@host pid 4711: alembic upgrade head``.
        seconds: how long it lives without a renewal.
        releases: whether the window ends when the lease lapses; else it stays until somebody ends it.
    """

    holder: str
    seconds: float
    releases: bool = False
