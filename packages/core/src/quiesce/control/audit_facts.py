"""What an audit record says beside its author's words: before and after, result, and the machine."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..model import AuditRecord, CallerKind, CountKey, MaintenanceState, Outcome
from ..model.plan_codec import schedule_members, time_text, window_members

_OURS = frozenset({"id", "created_in", "hooks_run", "raised", "occurrences", "is_exhausted"})
"""Members that are the product's own notes, and none of an operator's business."""


def with_facts(
    records: Iterable[AuditRecord], *, before: MaintenanceState, after: MaintenanceState
) -> tuple[AuditRecord, ...]:
    """Return the records of one commit with what is known of each.

    What changed of a window or schedule stands in the first record about it, of the sessions in the first about them.
    """
    machine = os.uname().nodename
    told: set[str] = set()
    found = []
    for record in records:
        about = record.window_id or ("sessions" if record.action.startswith("sessions.") else "")
        was, is_ = ("", "") if not about or about in told else _difference(about, before, after)
        told.add(about)
        found.append(
            replace(record, result=record.result or "done", origin=record.origin or machine, before=was, after=is_)
        )
    return tuple(found)


def describe_counts(counts: Mapping[CountKey, int], *, window_id: str) -> str:
    """Return whom a window let through and whom it refused, as one text; empty: nobody."""
    sums = Counter[str]()
    for key, count in counts.items():
        if key.window_id != window_id:
            continue
        if key.outcome is Outcome.REFUSED:
            sums["refused"] += count
        elif key.outcome is Outcome.BYPASSED:
            sums["let through with a pass" if key.caller is CallerKind.PASS else "let through as administrators"] += (
                count
            )
    return ", ".join(f"{count} {what}" for what, count in sorted(sums.items()))


def _difference(about: str, before: MaintenanceState, after: MaintenanceState) -> tuple[str, str]:
    was, is_ = _members(about, before), _members(about, after)
    if was == is_:
        return "", ""
    names = [name for name in {**was, **is_} if name not in _OURS and was.get(name) != is_.get(name)]
    return _text(was, names), _text(is_, names)


def _members(about: str, state: MaintenanceState) -> Mapping[str, Any]:
    if about == "sessions":
        epoch = state.sessions
        ended = "" if epoch.valid_after is None else time_text(epoch.valid_after)
        return {"generation": epoch.generation, "valid_after": ended, "users": len(epoch.users)}
    # Not state.find: it makes every window that the schedules are still to bring.
    window = next((window for window in state.windows if window.id == about), None)
    if window is not None:
        return window_members(window)
    schedule = state.find_schedule(about)
    return {} if schedule is None else schedule_members(schedule)


def _text(members: Mapping[str, Any], names: Iterable[str]) -> str:
    chosen = {name: members[name] for name in names if name in members}
    return json.dumps(chosen, ensure_ascii=False, separators=(",", ":"), default=str)[:4000] if chosen else ""
