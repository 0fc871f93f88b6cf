"""Tells when the holder of a window is lost: its renewals stand still while the store answers. No clocks compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..model import MaintenanceWindow

_GAP_SECONDS = 3.0
"""A longer pause between two looks counts as blindness: the store may have been away, and with it every renewal."""


class LeaseWatch:
    """Remembers when each lease was last seen to move, by this process's monotonic clock."""

    def __init__(self) -> None:
        self._moved: dict[str, tuple[int | None, float]] = {}
        self._looked_at = float("-inf")

    def look(self, windows: Iterable[MaintenanceWindow], renewals: Mapping[str, int], *, now: float) -> frozenset[str]:
        """Return the ids of those windows whose lease has lapsed.

        Args:
            windows: the open ones that have a lease.
            renewals: from the store, asked for a moment ago.
            now: monotonic time in seconds.
        """
        is_blind = now - self._looked_at > _GAP_SECONDS
        self._looked_at = now
        moved: dict[str, tuple[int | None, float]] = {}
        lapsed: set[str] = set()
        for window in windows:
            count = renewals.get(window.id)
            known = self._moved.get(window.id)
            moved[window.id] = known if known is not None and known[0] == count and not is_blind else (count, now)
            if window.lease is not None and now - moved[window.id][1] >= window.lease.seconds:
                lapsed.add(window.id)
        self._moved = moved
        return frozenset(lapsed)
