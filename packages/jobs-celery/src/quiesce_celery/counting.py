"""How many tasks Celery runs, has reserved and has waiting; what nobody can say is not known."""

from __future__ import annotations

from collections.abc import Iterable

from quiesce import JobCounts

from .broker import Broker
from .looking import SOURCE, Seen, count_waiting, look
from .notes import KNOWN_POOLS


def count(broker: Broker) -> JobCounts:
    """Return the counts."""
    seen = look(broker)
    return judge(seen, waiting=count_waiting(broker, seen))


def judge(seen: Seen, *, waiting: int) -> JobCounts:
    """Return the counts; pure.

    What runs is what the tasks' own processes wrote down, or what the workers' pools are at, whichever is more: Redis
    may have lost the one, and the other is a moment old.
    """
    unknown = _unknown(seen)
    running = sum(
        max(sum(1 for run in seen.runs if run.incarnation == worker.incarnation), worker.active)
        for worker in seen.workers
    )
    here = {worker.incarnation for worker in seen.workers}
    running += sum(1 for run in seen.runs if run.incarnation not in here)
    reserved = sum(worker.reserved for worker in seen.workers)
    late = sum(1 for run in seen.runs if run.is_late)
    queued = waiting + max(seen.unacknowledged - reserved - late, 0)
    notes = list(unknown)
    is_reserved_known = not unknown
    if not seen.hold:
        notes.append("work is not held back, so workers take new tasks at any time")
        is_reserved_known = False
    elif late_to_hold := sorted(worker.node for worker in seen.workers if worker.held != seen.hold):
        notes.append(f"workers that may still take a task: {few(late_to_hold)}")
        reserved = max(reserved, len(late_to_hold))
    return JobCounts(
        source=SOURCE,
        running=None if unknown else running,
        reserved=reserved if is_reserved_known else None,
        queued=queued,
        detail="; ".join(notes),
    )


def _unknown(seen: Seen) -> list[str]:
    """Return why it is not known what runs."""
    why = []
    if seen.silent:
        why.append(f"workers that fell silent: {few(sorted(worker.node for worker in seen.silent))}")
    if seen.strangers:
        names = sorted(seen.listed - {worker.node for worker in (*seen.workers, *seen.silent)})
        listed = f" ({few(names)})" if names else ""
        why.append(f"{seen.strangers} without quiesce_celery.init_app, or only just starting{listed}")
    if others := sorted(worker.node for worker in seen.workers if worker.pool not in KNOWN_POOLS):
        why.append(f"workers whose pool cannot be held: {few(others)}")
    return why


def few(names: Iterable[str], *, most: int = 3) -> str:
    """Return the first names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
