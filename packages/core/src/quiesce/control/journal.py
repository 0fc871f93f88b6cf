"""What one commit writes besides the state: audit records, and the events that people and programs are told of."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from ..model import (
    Alert,
    AuditHead,
    AuditRecord,
    EventKind,
    MaintenanceEvent,
    MaintenanceState,
    MaintenanceWindow,
    Schedule,
)


class Journal:
    """Collects for the commit that follows ``state``; one actor, one source, one time.

    Attributes:
        records: for the audit trail.
        events: each of them is in the audit trail too.
        dropped: the last record of the trail that is dropped from its old end with this commit, if one is.
    """

    def __init__(self, state: MaintenanceState, *, at: datetime, actor: str, source: str) -> None:
        self.records: list[AuditRecord] = []
        self.events: list[MaintenanceEvent] = []
        self.dropped: AuditRecord | None = None
        self._revision = state.revision + 1
        self._at = at
        self._actor = actor
        self._source = source

    def note(
        self,
        action: str,
        *,
        window_id: str | None = None,
        detail: str = "",
        at: datetime | None = None,
        result: str = "done",
    ) -> None:
        """Write an audit record that is no event; its result may be ``failed`` or ``refused`` instead."""
        self.records.append(
            AuditRecord(
                at=at or self._at,
                actor=self._actor,
                source=self._source,
                action=action,
                revision=self._revision,
                window_id=window_id,
                detail=detail,
                result=result,
            )
        )

    def dropped_from(self, head: AuditHead) -> AuditHead:
        """Return the anchors with what is dropped."""
        if self.dropped is None:
            return head
        return replace(head, dropped_number=self.dropped.number, dropped_hash=self.dropped.hash)

    def tell(
        self,
        kind: EventKind,
        about: MaintenanceWindow | Schedule,
        *,
        action: str = "",
        detail: str = "",
        at: datetime | None = None,
    ) -> None:
        """Raise an event and write its audit record, whose action is ``window.KIND`` unless it has another name."""
        self.note(action or f"window.{kind}", window_id=about.id, detail=detail)
        self.events.append(
            MaintenanceEvent(
                kind=kind,
                at=at or self._at,
                revision=self._revision,
                number=len(self.events),
                window_id=about.id,
                mode=str(about.mode),
                reason=about.reason,
                actor=self._actor,
                detail=detail,
            )
        )

    def tell_of_alert(self, kind: EventKind, alert: Alert, *, window: MaintenanceWindow | None, detail: str) -> None:
        """Raise an event about an alert and write its audit record, ``alert.opened`` or ``alert.closed``."""
        action = "alert.opened" if kind is EventKind.ALERT_OPENED else "alert.closed"
        self.note(action, window_id=alert.window_id or None, detail=f"{alert.name}: {detail}")
        self.events.append(
            MaintenanceEvent(
                kind=kind,
                at=self._at,
                revision=self._revision,
                number=len(self.events),
                window_id=alert.window_id,
                mode="" if window is None else str(window.mode),
                reason="" if window is None else window.reason,
                actor=self._actor,
                detail=detail,
                alert=alert,
            )
        )


def describe_opening(window: MaintenanceWindow) -> str:
    """Return what the audit trail says of a window that was opened or planned."""
    covered = "the mode's default" if window.operations is None else ", ".join(sorted(window.operations))
    if window.allowed_operations:
        covered += f" but {', '.join(sorted(window.allowed_operations))}"
    ends = "no timeout" if window.ends_at is None else f"until {window.ends_at:%Y-%m-%dT%H:%M:%SZ} at the latest"
    return f"{window.mode}: {window.reason} (covers {covered}; {ends}; sessions: {window.session_policy})"
