"""Remembers in this process who has which notice, so that a repeat goes only to the others."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from enum import Enum

from quiesce import MaintenanceEvent, Notice

MOST_NOTICES = 16
"""Notices come in order, so only the latest are ever repeated."""


class Fate(Enum):
    """What became of a notice for one recipient; who has none is still to be served."""

    ACCEPTED = "accepted"
    REFUSED = "refused"


class Ledger:
    """The fates of the latest notices, and the right to send: one call at a time."""

    def __init__(self) -> None:
        self.sending = threading.Lock()
        self._fates: OrderedDict[tuple[str, MaintenanceEvent], dict[str, Fate]] = OrderedDict()

    def of(self, notice: Notice) -> dict[str, Fate]:
        """Return what is known of this notice, by address; to be written to only by who holds ``sending``."""
        # With the event itself: another store in the same process may give its events the same ids.
        key = (notice.id, notice.event)
        fates = self._fates.setdefault(key, {})
        self._fates.move_to_end(key)
        while len(self._fates) > MOST_NOTICES:
            self._fates.popitem(last=False)
        return fates


_ledgers: dict[int, Ledger] = {}


def ledger() -> Ledger:
    """Return that of this process; a lock that the parent held at the fork would never be let go."""
    return _ledgers.setdefault(os.getpid(), Ledger())
