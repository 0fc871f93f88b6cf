"""Who has been told of an event, for those who must know: an emergency's step, and the report on a window."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from ..model import DeadNotice, EventKind, MaintenanceEvent
from .outbox_notes import read_dead, read_places
from .outbox_rules import Place, position_of
from .report_trail import read_events

if TYPE_CHECKING:
    from ..stores import Store


def find_start(store: Store, window_id: str) -> MaintenanceEvent | None:
    """Return the event of a window's start; ``None``: it is not noted, or not kept any more."""
    events = read_events(store)
    return next((each for each in events if each.window_id == window_id and each.kind is EventKind.STARTED), None)


def who_was_told(
    store: Store, names: Collection[str], event: MaintenanceEvent
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the notifiers that have told of the event, and why others have not.

    Those that came later, and those that nobody has set up, are neither.

    Raises:
        StoreError: the store does not answer, or cannot be read.
    """
    places, dead = read_places(store.items), read_dead(store.items)
    told, problems = [], []
    for name in sorted(names):
        place = places[name][0] if name in places else None
        if place is not None and (position_of(event.id) <= position_of(place.since) or place.unset):
            continue
        why = _why_not(place, event, [each for each in dead if each.notifier == name])
        if why:
            problems.append(f"{name}: {why}")
        else:
            told.append(name)
    return tuple(told), tuple(problems)


def tell_of_telling(store: Store, events: Sequence[MaintenanceEvent]) -> tuple[str, ...]:
    """Return for each notifier that the store knows a line on these events.

    Raises:
        StoreError: the store does not answer, or cannot be read.
    """
    places, dead = read_places(store.items), read_dead(store.items)
    lines = []
    for name in sorted(places):
        place = places[name][0]
        own = [each for each in dead if each.notifier == name]
        asked = [event for event in events if position_of(event.id) > position_of(place.since)]
        reasons = [(event, _why_not(place, event, own)) for event in asked]
        told = _kinds(event for event, why in reasons if not why)
        missed = "; ".join(f"not {event.kind}: {why}" for event, why in reasons if why)
        if asked:
            lines.append(
                "; ".join(part for part in (f"{name}: {told}" if told else f"{name}: nothing", missed) if part)
            )
    return tuple(lines)


def _why_not(place: Place | None, event: MaintenanceEvent, dead: Iterable[DeadNotice]) -> str:
    if place is None:
        return "no worker has seen it yet"
    given_up = next((each for each in dead if each.event.id == event.id), None)
    if given_up is not None:
        return f"given up after {given_up.attempts} tries: {given_up.problem}"
    if position_of(event.id) <= position_of(place.cursor):
        return f"is not set up: {place.unset}" if place.unset else ""
    if place.is_off:
        return f"is switched off: {place.problem}"
    if place.failures:
        return f"failed {place.failures} times: {place.problem}"
    return "has not told it yet"


def _kinds(events: Iterable[MaintenanceEvent]) -> str:
    return ", ".join(str(event.kind) for event in events)
