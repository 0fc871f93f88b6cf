"""Tells whoever wants to know when what this process applies has changed."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ..model import EffectiveMaintenance
from .replica import Snapshot

Listener = Callable[[EffectiveMaintenance], None]
"""Called with what is in force; must return at once."""

logger = logging.getLogger("quiesce")


class Listeners:
    """Called on the agent's thread, each once for every change, in the order in which they were added."""

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()
        self._told: EffectiveMaintenance | None = None

    def add(self, listener: Listener) -> None:
        """Tell this one as well, from the next change on."""
        self._listeners = (*self._listeners, listener)

    def tell(self, snapshot: Snapshot) -> None:
        """Tell of this snapshot, if other windows are in force than at the last call."""
        if snapshot.effective is self._told:
            return
        self._told = snapshot.effective
        for listener in self._listeners:
            try:
                listener(snapshot.effective)
            except Exception:
                # An adapter's or the application's own; the agent must live on.
                logger.exception("a listener failed")
