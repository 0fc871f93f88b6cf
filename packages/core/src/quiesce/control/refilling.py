"""Working out the coming windows of a schedule before they run out."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from ..model import Schedule

REFILL_BELOW = 16
"""A schedule with fewer coming windows than this gets new ones."""


def is_refill_due(schedule: Schedule, *, now: datetime) -> bool:
    """Whether the rule has to be asked for more windows."""
    return not schedule.is_exhausted and sum(start > now for start in schedule.occurrences) < REFILL_BELOW


def fill(schedule: Schedule, *, now: datetime) -> Schedule:
    """Return the schedule with its coming windows worked out again.

    Raises:
        InvalidValueError: the rule cannot be read here.
    """
    if not is_refill_due(schedule, now=now):
        return schedule
    from .recurrence import coming_occurrences  # noqa: PLC0415 - time zones, for the few processes that plan

    coming = [start for start in schedule.occurrences if start > now]
    known = max(schedule.occurrences, default=None)
    # What should have begun while nobody was there to work it out is open now.
    after = now if known is None else max(known, now - schedule.length)
    more, is_exhausted = coming_occurrences(schedule, after=after, known=len(coming))
    return replace(schedule, occurrences=(*schedule.occurrences, *more), is_exhausted=is_exhausted)
