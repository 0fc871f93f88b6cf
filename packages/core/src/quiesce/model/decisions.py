"""The answer to one request."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from .operations import OperationType
from .windows import MaintenanceWindow


class Outcome(StrEnum):
    """Why a request passed or did not."""

    PASSED = "passed"
    """No open window covers its type."""
    EXEMPT = "exempt"
    """The product's own endpoint, ``OPTIONS``, or a path configured exempt."""
    BYPASSED = "bypassed"
    """An admin, or the carrier of a bypass pass."""
    WOULD_BLOCK = "would_block"
    """Only a test window says no."""
    REFUSED = "refused"
    """Answered with 503."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done with one request, and why.

    Attributes:
        outcome: what was decided.
        operation: the type that it was judged as.
        rule: where that type came from, in words an operator can look up (``explain`` prints it).
        window: the window that says no, or would; ``None`` when none does.
        revision: the state's revision that the decision was made under.
        is_allowed: whether the request goes on to the application.
    """

    outcome: Outcome
    operation: OperationType
    rule: str
    window: MaintenanceWindow | None
    revision: int
    is_allowed: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_allowed", self.outcome is not Outcome.REFUSED)
