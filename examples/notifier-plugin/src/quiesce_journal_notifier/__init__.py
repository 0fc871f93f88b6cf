"""Appends every event as a line of JSON to the file that ``JOURNAL_FILE`` names."""

from __future__ import annotations

import json
import os

from quiesce import DeliveryError, MaintenanceEvent, Notice, hookimpl


@hookimpl
def notify(event: MaintenanceEvent, notice: Notice) -> None:
    """Write one line; a repeat has the same ``id``."""
    path = os.environ.get("JOURNAL_FILE")
    if not path:
        raise DeliveryError("JOURNAL_FILE is not set", is_unconfigured=True)
    line = {
        "id": notice.id,
        "at": event.at.isoformat(),
        "kind": event.kind,
        "mode": event.mode,
        "reason": event.reason,
        "audience": notice.audience,
        "is_test": notice.is_test,
    }
    with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123 - an append of one line
        file.write(json.dumps(line) + "\n")
