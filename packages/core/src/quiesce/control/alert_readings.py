"""Gathering what alerts are judged by, each as a finding."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ..model import AlertRule, Outcome, QuiescenceReport
from .alert_rules import CLEAR_SECONDS, Finding, Verdict
from .outbox_notes import read_places
from .quiescence import worker_name

if TYPE_CHECKING:
    from ..model import CountKey
    from ..stores import Store
    from .outbox_rules import Place

_MOST_NAMED = 2


def refused_by_window(counts: Mapping[CountKey, int], window_ids: Collection[str]) -> dict[str, int]:
    """Return how many requests each of the windows has refused."""
    refused = dict.fromkeys(window_ids, 0)
    for key, count in counts.items():
        if key.outcome is Outcome.REFUSED and key.window_id in refused:
            refused[key.window_id] += count
    return refused


def find_unconfirmed(
    report: QuiescenceReport, since: Mapping[str, float], *, after_seconds: float, seconds: float
) -> Finding:
    """Judge the workers under open windows: bad if one and the same is unconfirmed for so long.

    Args:
        report: of now.
        since: since when each unconfirmed worker was that at every look.
        after_seconds: how long a worker may be so.
        seconds: the time of this look.
    """
    late = [worker for worker in report.workers if seconds - since.get(worker.worker.id, seconds) >= after_seconds]
    late = [worker for worker in late if worker.worker.id in since]
    if not late:
        verdict = Verdict.UNCLEAR if report.unconfirmed else Verdict.GOOD
        return Finding(rule=AlertRule.WORKERS_UNCONFIRMED, verdict=verdict, detail="every worker is confirmed")
    why = [
        next((each for each in report.obstacles if each.startswith(worker_name(worker))), worker_name(worker))
        for worker in late[:_MOST_NAMED]
    ]
    more = [f"and {len(late) - _MOST_NAMED} more"] if len(late) > _MOST_NAMED else []
    detail = f"{len(late)} of {len(report.workers)} workers: {'; '.join((*why, *more))}"
    return Finding(rule=AlertRule.WORKERS_UNCONFIRMED, verdict=Verdict.BAD, detail=detail)


def find_stuck(
    store: Store, notifiers: Collection[str], *, off_after_seconds: float, after_seconds: float
) -> Iterator[Finding]:
    """Judge each notifier that has a place in the store: what waits longest, and whether it is switched off.

    Those that were never told where to send are no fault while another one is: nobody misses them.

    Args:
        store: with the places and the events.
        notifiers: those of this process.
        off_after_seconds: how long one may be switched off.
        after_seconds: how long a notice may wait; and for how long nobody may be told.

    Raises:
        StoreError: the store does not answer, or cannot be read.
    """
    places = {name: found[0] for name, found in read_places(store.items).items() if name in notifiers}
    for name, place in sorted(places.items()):
        yield _find_one(store, name, place, off_after_seconds=off_after_seconds, after_seconds=after_seconds)
    if places:
        nobody = all(place.unset for place in places.values())
        yield Finding(
            rule=AlertRule.OUTBOX_STUCK,
            verdict=Verdict.BAD if nobody else Verdict.GOOD,
            detail=f"nobody is told: none of {', '.join(sorted(places))} is set up" if nobody else "somebody is told",
            open_after_seconds=after_seconds,
        )


def find_stale(outage: tuple[float, float], *, after_seconds: float, seconds: float, at: datetime) -> Finding:
    """Judge the last time that the leading worker was without its store, which is over by now.

    Args:
        outage: when it began and ended, in seconds.
        after_seconds: how long it may last.
        seconds: the time of this look.
        at: the same by the wall clock (UTC).
    """
    began, ended = outage
    lasted, ago = ended - began, seconds - ended
    is_bad = lasted >= after_seconds and 0 <= ago < CLEAR_SECONDS
    return Finding(
        rule=AlertRule.STORE_STALE,
        verdict=Verdict.BAD if is_bad else Verdict.GOOD,
        detail=f"the store did not answer for {lasted:.0f} s, and is back" if is_bad else "the store answers",
        since=at - timedelta(seconds=seconds - began) if is_bad else None,
    )


def _find_one(store: Store, name: str, place: Place, *, off_after_seconds: float, after_seconds: float) -> Finding:
    if place.is_off:
        return Finding(
            rule=AlertRule.OUTBOX_STUCK,
            subject=name,
            verdict=Verdict.BAD,
            detail=f"{name} is switched off: {place.problem}",
            mark="off",
            open_after_seconds=off_after_seconds,
        )
    waiting = store.events(after=place.cursor, limit=1)
    if not waiting:
        return Finding(
            rule=AlertRule.OUTBOX_STUCK, subject=name, verdict=Verdict.GOOD, detail=f"{name} has told everything"
        )
    event = waiting[0]
    why = f"failed {place.failures} times: {place.problem}" if place.failures else "has not told it"
    return Finding(
        rule=AlertRule.OUTBOX_STUCK,
        subject=name,
        verdict=Verdict.BAD,
        detail=f"{name} {why}; event {event.id} ({event.kind}) waits since {event.at:%Y-%m-%dT%H:%M:%SZ}",
        since=place.failing_since,
        mark=event.id,
        open_after_seconds=after_seconds,
    )
