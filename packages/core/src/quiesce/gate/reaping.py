"""Taking workers off the list that are gone (protocol rule 6)."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from ..clock import Clock
from ..model import WorkerInfo
from ..stores.base import Store
from .processes import is_gone, this_machine

_CONFIRM_SECONDS = 5.0
"""How long a worker is watched before its silence counts: the store's clock may have been stepped forward."""

logger = logging.getLogger("quiesce")


class Reaper:
    """Judges the workers of which a heartbeat says that they are silent.

    One of this machine is gone when its process is. One elsewhere is given up after ``gone_after`` seconds of silence,
    if this process has watched it for a while as well.
    """

    def __init__(self, store: Store, *, clock: Clock, gone_after: float) -> None:
        self._store = store
        self._clock = clock
        self._gone_after = gone_after
        self._suspected_since: dict[str, float] = {}

    def reap(self, silent: Iterable[tuple[WorkerInfo, float]]) -> None:
        """Take off the list who is gone.

        Raises:
            StoreError: the store does not answer.
        """
        now = self._clock.monotonic()
        suspected: dict[str, float] = {}
        for worker, seconds in silent:
            if is_gone(worker, machine=this_machine()):
                logger.warning("worker %s (pid %d) is gone", worker.id, worker.pid)
                self._store.deregister(worker.id)
            elif seconds >= self._gone_after:
                since = suspected[worker.id] = self._suspected_since.get(worker.id, now)
                if now - since >= _CONFIRM_SECONDS:
                    logger.warning("worker %s of %s was not heard of for %.0f s", worker.id, worker.host, seconds)
                    self._store.deregister(worker.id)
        self._suspected_since = suspected
