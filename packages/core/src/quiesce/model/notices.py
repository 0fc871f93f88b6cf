"""What notifiers are given to tell people."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .events import MaintenanceEvent
from .windows import MaintenanceWindow


class Audience(StrEnum):
    """Whom a notice is for."""

    EVERYONE = "everyone"
    """Users and operators."""
    OPERATORS = "operators"
    """Only those who run the service: of a test window, or of one that is to be kept from users."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """An event on its way to people, and what there is to say about it.

    Attributes:
        event: what happened.
        service_name: whose maintenance it is (``MAINTENANCE_SERVICE_NAME``).
        window: as it was when this was sent; ``None``: the event is about no window, or it is forgotten already.
        audience: whom it is for.
        is_test: whether it is about a test window, or is a try of the notifier; to be marked so.
        attempt: how often this was tried, from 1; a receiver may have it already if it is more.
    """

    event: MaintenanceEvent
    service_name: str
    window: MaintenanceWindow | None
    audience: Audience
    is_test: bool = False
    attempt: int = 1

    @property
    def id(self) -> str:
        """The same at every attempt, and of no other notice, so that a receiver can drop a repeat."""
        return f"{self.service_name}-{self.event.id}"
