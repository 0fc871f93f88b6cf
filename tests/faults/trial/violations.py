"""What a checker says when a promise was broken."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise: by the letter of its rule, when (by the history's clock, if at a time), and what was seen."""

    rule: str
    at: float | None
    text: str
