"""What a process acknowledges: what it still runs that is refused under the state that it applies (protocol rule 3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeAlias

from ..model import WEBSOCKET, Acknowledgement, Decision, Mode, RequestInFlight
from .replica import Snapshot

Entry: TypeAlias = tuple[float, str, str, bool]
"""A request in flight: start (monotonic), method, path, bypass."""


def count_in_flight(
    entries: Iterable[Entry],
    snapshot: Snapshot,
    *,
    decide: Callable[[str, str], Decision],
    now: float,
    is_stale: bool,
) -> Acknowledgement:
    """Return the acknowledgement of this snapshot with what is in flight.

    Args:
        entries: read after the snapshot was taken.
        snapshot: what the process applies.
        decide: says what is decided on a method and a path under it.
        now: monotonic time.
        is_stale: whether the process has lost touch with the store.
    """
    counts: Counter[str] = Counter()
    bypassing = websockets = 0
    oldest: Entry | None = None
    for entry in entries:
        if entry[3]:
            bypassing += 1
            continue
        decision = decide(entry[1], entry[2])
        if decision.is_allowed:
            continue
        counts[decision.operation.name] += 1
        is_closed_by_emergency = decision.window is not None and decision.window.mode is Mode.EMERGENCY
        websockets += entry[1] == WEBSOCKET and is_closed_by_emergency
        if oldest is None or entry[0] < oldest[0]:
            oldest = entry
    return Acknowledgement(
        revision=snapshot.revision,
        windows=frozenset(window.id for window in snapshot.effective.enforced),
        in_flight=dict(counts),
        bypassing=bypassing,
        oldest=None if oldest is None else RequestInFlight(oldest[1], oldest[2], now - oldest[0]),
        is_stale=is_stale,
        websockets=websockets,
    )


def gist(acknowledgement: Acknowledgement) -> tuple[object, ...]:
    """Return what an operator waits for."""
    return acknowledgement.revision, acknowledgement.windows, acknowledgement.in_flight, acknowledgement.jobs
