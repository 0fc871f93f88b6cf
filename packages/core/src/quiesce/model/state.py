"""What the store holds, and the pure function from it to what is in force."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from .modes import Mode
from .operations import OperationType
from .windows import MaintenanceWindow


@dataclass(frozen=True, slots=True)
class MaintenanceState:
    """All that is committed together; ``revision`` grows with every commit."""

    revision: int = 0
    windows: tuple[MaintenanceWindow, ...] = ()


@dataclass(frozen=True, slots=True)
class EffectiveMaintenance:
    """What is in force at one instant.

    Attributes:
        windows: the open windows, strictest mode first, then by start.
        next_change: the next instant (UTC) at which this may differ without a commit; ``None``: never.
    """

    windows: tuple[MaintenanceWindow, ...] = ()
    next_change: datetime | None = None

    @property
    def is_active(self) -> bool:
        """Whether any window is open, a test window included."""
        return bool(self.windows)

    @property
    def mode(self) -> Mode | None:
        """The strictest mode among the open windows."""
        return self.windows[0].mode if self.windows else None

    @property
    def enforced(self) -> tuple[MaintenanceWindow, ...]:
        """The open windows that refuse something."""
        return tuple(window for window in self.windows if window.mode.is_enforced)

    def blocking(self, operation: OperationType) -> MaintenanceWindow | None:
        """The strictest open window that refuses this type, or ``None``."""
        return next((w for w in self.windows if w.mode.is_enforced and w.covers(operation)), None)

    def testing(self, operation: OperationType) -> MaintenanceWindow | None:
        """The open test window that would refuse this type, or ``None``."""
        return next((w for w in self.windows if not w.mode.is_enforced and w.covers(operation)), None)

    def blocked(self, operations: Iterable[OperationType]) -> tuple[OperationType, ...]:
        """Those of the given types that some open window refuses."""
        return tuple(operation for operation in operations if self.blocking(operation) is not None)


def effective(state: MaintenanceState, now: datetime) -> EffectiveMaintenance:
    """Return what is in force at ``now``; overlapping windows add up and never end each other."""
    changes: list[datetime] = []
    for window in state.windows:
        if window.is_over(now):
            continue
        if not window.is_open(now):
            changes.append(window.starts_at)
        elif window.ends_at is not None:
            changes.append(window.ends_at)
    windows = sorted(
        (window for window in state.windows if window.is_open(now)),
        key=lambda window: (-window.mode.strictness, window.starts_at, window.id),
    )
    return EffectiveMaintenance(tuple(windows), min(changes, default=None))
