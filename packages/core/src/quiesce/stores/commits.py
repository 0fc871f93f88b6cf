"""What every store asks of a commit before it writes, and of an event's id before it looks for it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence

from ..model import AuditRecord, InvalidValueError, MaintenanceEvent, MaintenanceState

AUDIT_PAGE = 1_000
"""How many records of the audit trail are read at once."""


def check_commit(state: MaintenanceState, *, expected_revision: int, events: Sequence[MaintenanceEvent] = ()) -> None:
    """Raise ``InvalidValueError`` unless the state's revision grows and the events are numbered within it."""
    if not 0 <= expected_revision < state.revision < 2**63:
        raise InvalidValueError("revision", f"{state.revision} does not follow {expected_revision}")
    for number, event in enumerate(events):
        if (event.revision, event.number) != (state.revision, number):
            raise InvalidValueError("events", f"{event.id} is not event {number} of revision {state.revision}")


def follows(state: MaintenanceState, stored_id: str) -> bool:
    """Whether a state may take the place of the one that this commit made; a state without commits is not judged."""
    return not state.commits or not stored_id or stored_id in state.commits


def names_window(window_id: str) -> bytes:
    """Return what the bytes of every audit record about this window hold, and almost no other's."""
    return b'"window_id":' + json.dumps(window_id, ensure_ascii=False).encode("utf-8", "surrogatepass")


def droppable(records: Iterable[AuditRecord], *, through: int) -> int:
    """Return how many records at the old end go when all up to this number are dropped."""
    return sum(1 for _ in itertools.takewhile(lambda record: record.number <= through, records))


def events_after(event_id: str) -> tuple[int, int]:
    """Return revision and number behind which events are asked for; from before all for an empty id.

    Raises:
        InvalidValueError: it is no id of an event.
    """
    if not event_id:
        return 0, -1
    revision, _, number = event_id.partition("-")
    if not all(part.isascii() and part.isdigit() and len(part) < 19 for part in (revision, number)):
        raise InvalidValueError("after", f"{event_id!r:.80} is no event id such as 12-0")
    return int(revision), int(number)
