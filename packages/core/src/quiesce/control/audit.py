"""What the audit trail says of a command."""

from __future__ import annotations

from datetime import datetime

from ..model import AuditRecord, MaintenanceState, MaintenanceWindow


def record_command(
    action: str,
    state: MaintenanceState,
    window: MaintenanceWindow,
    *,
    at: datetime,
    actor: str,
    source: str,
    detail: str = "",
) -> AuditRecord:
    """Return the record of a command on a window, to be written in the commit that follows ``state``."""
    return AuditRecord(
        at=at,
        actor=actor,
        source=source,
        action=action,
        revision=state.revision + 1,
        window_id=window.id,
        detail=detail,
    )


def record_opening(state: MaintenanceState, window: MaintenanceWindow, *, source: str) -> AuditRecord:
    """Return the record of a window that its owner opens in the commit that follows ``state``."""
    covered = "the mode's default" if window.operations is None else ", ".join(sorted(window.operations))
    ends = "no timeout" if window.ends_at is None else f"until {window.ends_at:%Y-%m-%dT%H:%M:%SZ} at the latest"
    detail = f"{window.mode}: {window.reason} (covers {covered}; {ends})"
    return record_command(
        "window.enabled", state, window, at=window.starts_at, actor=window.owner, source=source, detail=detail
    )
