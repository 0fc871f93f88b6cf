"""Counts on their way to the store: logged once, numbered in batches, added once."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping

from ..logs import log_blocked, log_would_block
from ..model import CountKey
from .tally import Tallied

logger = logging.getLogger("quiesce")


class OutgoingCounts:
    """A batch keeps its number and its contents until the store has it; what comes meanwhile waits for the next."""

    def __init__(self, *, test_log_level: int) -> None:
        self._test_log_level = test_log_level
        self._waiting: Counter[CountKey] = Counter()
        self._batch: Counter[CountKey] = Counter()
        self._number = 0

    def add(self, tallied: Tallied) -> None:
        """Log what was refused or would have been, and take the counts."""
        for decision, path, user in tallied.samples:
            if decision.is_allowed:
                log_would_block(decision, endpoint=path, level=self._test_log_level)
            else:
                log_blocked(decision, endpoint=path, user=user or "anonymous")
        if tallied.unlogged:
            logger.info("[MAINTENANCE] Operation blocked: %d more, counted but not listed", tallied.unlogged)
        self._waiting.update(tallied.counts)

    def next_batch(self) -> tuple[int, Mapping[CountKey, int]]:
        """Return the number and contents of the batch to send; the same again until ``confirm``."""
        if not self._batch and self._waiting:
            self._number += 1
            self._batch, self._waiting = self._waiting, Counter()
        return self._number, self._batch

    def confirm(self) -> None:
        """Forget the batch: the store has it."""
        self._batch = Counter()
