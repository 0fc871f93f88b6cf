"""Reads the audit trail and the events of one window, in bounded memory however long they are."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from ..model import AuditRecord, EventKind, MaintenanceEvent, Mode, ReportEntry, SessionPolicy

if TYPE_CHECKING:
    from ..stores import Store

MOST_ENTRIES = 500
"""How many lines of the beginning, and how many of the end, a timeline keeps."""

_LONGEST_DETAIL = 2_000
_MOST_PEOPLE = 200
_MOST_FAILURES = 200
_EVENT_PAGE = 1_000
_OPENING = re.compile(r"(?:from \S+: )?(normal|emergency|test): (.*) \(covers .*; sessions: (\w+)\)", re.DOTALL)
_OK = re.compile(r"(?:^|; )[^;:]{1,200}: ok in [0-9.]+ s")
_OPENED = frozenset({"window.enabled", "window.started"})
_PLANNED = frozenset({"window.enabled", "window.scheduled"})
_JOBS = frozenset({"jobs.stopped", "jobs.restored"})


@dataclass(slots=True)
class Trail:
    """What the trail says of one window.

    Attributes:
        entries: how many records there were.
        opened_at, ended_at, ended_by, owner, mode, reason, policy: as far as the trail tells.
    """

    entries: int = 0
    opened_at: datetime | None = None
    ended_at: datetime | None = None
    ended_by: str = ""
    owner: str = ""
    mode: Mode | None = None
    reason: str = ""
    policy: SessionPolicy | None = None
    people: dict[str, None] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    _head: list[ReportEntry] = field(default_factory=list)
    _tail: deque[ReportEntry] = field(default_factory=lambda: deque(maxlen=MOST_ENTRIES))

    @property
    def timeline(self) -> tuple[ReportEntry, ...]:
        """The beginning and the end; all of it, unless it is long."""
        return (*self._head, *self._tail)

    @property
    def omitted(self) -> int:
        """How many lines between them were left out."""
        return self.entries - len(self._head) - len(self._tail)

    def add(self, record: AuditRecord, event: MaintenanceEvent | None) -> None:
        """Take in one record, and the event that it tells of if there is one."""
        at = record.at if event is None else event.at
        entry = ReportEntry(
            at=at,
            action=record.action,
            actor=record.actor,
            source=record.source,
            detail=record.detail[:_LONGEST_DETAIL],
        )
        self.entries += 1
        if len(self._head) < MOST_ENTRIES:
            self._head.append(entry)
        else:
            self._tail.append(entry)
        if not record.actor.startswith("worker:") and len(self.people) < _MOST_PEOPLE:
            self.people.setdefault(record.actor)
        self._take_facts(record, event, at=at)
        self._take_failures(record)

    def _take_facts(self, record: AuditRecord, event: MaintenanceEvent | None, *, at: datetime) -> None:
        if event is not None:
            self.mode, self.reason = _mode(event.mode) or self.mode, event.reason
        said = _OPENING.match(record.detail)
        if said is not None:
            self.mode = self.mode or _mode(said[1])
            self.reason = self.reason or said[2]
            self.policy = next((policy for policy in SessionPolicy if policy == said[3]), self.policy)
        if record.action in _PLANNED:
            self.owner = self.owner or record.actor
        if record.action in _OPENED:
            self.opened_at = at if self.opened_at is None else min(at, self.opened_at)
        if record.action == "window.ended":
            self.ended_at, self.ended_by = at, record.actor

    def _take_failures(self, record: AuditRecord) -> None:
        detail, failed = record.detail, ""
        if record.action.startswith("hook."):
            rest = _OK.sub("", detail).strip("; ")
            is_fine = not rest or detail == "no plugin implements it" or rest.startswith(("everyone's", "user "))
            failed = "" if is_fine else detail
        elif record.action in _JOBS:
            failed = detail.partition("; ")[2]
        elif record.action == "window.holder_lost":
            failed = f"its holder was lost: {detail}"
        if failed and len(self.failures) < _MOST_FAILURES:
            self.failures.append(f"{record.action}: {failed}")


def read_events(store: Store) -> Iterator[MaintenanceEvent]:
    """Yield every event that the store still has, the oldest first."""
    after = ""
    while page := store.events(after=after, limit=_EVENT_PAGE):
        yield from page
        after = page[-1].id


def read_trail(records: Iterable[AuditRecord], events: Iterable[MaintenanceEvent], *, into: Trail) -> None:
    """Read the records of a window, and its events, which know better when something became true.

    Args:
        records: of the audit trail, the oldest first.
        events: of the same window.
        into: what it is read into; holds what was read before an error.
    """
    told = {(event.revision, event.kind): event for event in events}
    for record in records:
        kind = _KINDS.get(record.action)
        into.add(record, None if kind is None else told.get((record.revision, kind)))


def _mode(name: str) -> Mode | None:
    return next((mode for mode in Mode if mode == name), None)


_KINDS = {f"window.{kind}": kind for kind in EventKind} | {"window.enabled": EventKind.STARTED}
