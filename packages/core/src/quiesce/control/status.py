"""What the public is told about maintenance."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ..model import Alert, EffectiveMaintenance, MaintenanceState, MaintenanceWindow, Mode, OperationType, effective

_MESSAGES = {
    Mode.NORMAL: "The service is under maintenance. Some operations are paused.",
    Mode.EMERGENCY: "The service is closed for emergency maintenance.",
    Mode.TEST: "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceStatus:
    """The guide's status; times are UTC, durations in seconds.

    Attributes:
        is_active: whether any window is open.
        mode: the strictest mode of the open windows; ``None`` when none is.
        reason: the reason of the strictest window.
        estimated_duration: its estimate in seconds; 0 without one.
        started_at: when it started.
        estimated_completion: start plus estimate.
        ends_at: when it times out.
        blocked_operations: types that are refused now.
        active_jobs_count: tracked jobs that run, over all workers, as of the last second or two.
        message: one sentence for users.
        revision: the state's revision.
        windows: the open windows, strictest first.
        is_stale: whether this is the last known state of a store that does not answer.
        next_window: the next one to open, if any is planned; a test window is announced to nobody.
        alerts: those that are open; for operators.
    """

    is_active: bool
    mode: Mode | None
    reason: str
    estimated_duration: float
    started_at: datetime | None
    estimated_completion: datetime | None
    ends_at: datetime | None
    blocked_operations: tuple[OperationType, ...]
    active_jobs_count: int
    message: str
    revision: int
    windows: tuple[MaintenanceWindow, ...]
    is_stale: bool
    next_window: MaintenanceWindow | None
    alerts: tuple[Alert, ...] = ()


def describe_status(
    state: MaintenanceState,
    *,
    now: datetime,
    operations: Iterable[OperationType],
    is_stale: bool,
    active_jobs: int,
    is_enforcing: bool = True,
) -> MaintenanceStatus:
    """Return the status of a state at ``now``.

    Args:
        state: what is committed.
        now: the time (UTC).
        operations: all the types there are.
        is_stale: whether this is the last known state of a store that does not answer.
        active_jobs: how many tracked jobs run.
        is_enforcing: whether this process refuses anything at all.
    """
    judged = effective(state, now)
    leading = judged.windows[0] if judged.windows else None
    estimate = leading.estimated_duration if leading else None
    return MaintenanceStatus(
        is_active=judged.is_active,
        mode=judged.mode,
        reason=leading.reason if leading else "",
        estimated_duration=estimate.total_seconds() if estimate else 0,
        started_at=leading.starts_at if leading else None,
        estimated_completion=leading.estimated_completion if leading else None,
        ends_at=leading.closes_at if leading else None,
        blocked_operations=judged.blocked(operations) if is_enforcing else (),
        active_jobs_count=active_jobs,
        message=describe_to_users(judged) if is_enforcing else "",
        revision=state.revision,
        windows=judged.windows,
        is_stale=is_stale,
        next_window=next((window for window in state.upcoming(now) if window.mode.is_enforced), None),
        alerts=state.alerts,
    )


def describe_to_users(judged: EffectiveMaintenance) -> str:
    """Return one sentence for users; empty when nothing is refused."""
    return _MESSAGES[judged.mode] if judged.mode else ""
