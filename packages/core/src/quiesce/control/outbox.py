"""The outbox in the leading worker: tells every notifier what has happened, each on a thread of its own.

The events of the store are the outbox: what is committed is due. A notifier has a place in them, which the store keeps.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ..clock import Clock
from ..model import MaintenanceState
from .outbox_claim import CLAIM_SECONDS
from .outbox_delivery import Delivered, Delivery, DeliveryEnd
from .outbox_notes import write_attended
from .outbox_rules import end_of

if TYPE_CHECKING:
    from ..plugins import PluginManager
    from ..settings import Settings
    from ..stores import Store

HOOK = "notify"
ATTEND_SECONDS = 5.0
"""How often the leading worker says that it looks after its notifiers, and looks at each place in any case."""

_STOP_SECONDS = 2.0
_TROUBLE_SECONDS = 1.0

logger = logging.getLogger("quiesce")


@dataclass(slots=True)
class _Turn:
    """Where one notifier is, as this process knows."""

    done_revision: int = -1
    look_at: float = float("-inf")
    retry_at: datetime | None = None
    has_place: bool = False
    thread: threading.Thread | None = None


class Outbox:
    """Starts what is due on threads of its own; a notifier that hangs or fails holds up no other.

    Args:
        plugins: whose hooks tell people.
        store: with the events.
        clock: for what is due.
        service_name: told in each notice.
        hook_timeout_seconds: how long a notifier may take for one notice.
        settings: returns those in force; by them nobody may be told, and what happens meanwhile is never told then.
        claim_seconds: after which another process takes over from one that died.
    """

    def __init__(
        self,
        *,
        plugins: PluginManager,
        store: Store,
        clock: Clock,
        service_name: str,
        hook_timeout_seconds: float,
        settings: Callable[[], Settings],
        claim_seconds: float = CLAIM_SECONDS,
    ) -> None:
        self._plugins = plugins
        self._store = store
        self._clock = clock
        self._service_name = service_name
        self._hook_timeout_seconds = hook_timeout_seconds
        self._settings = settings
        self._claim_seconds = claim_seconds
        self._turns = {name: _Turn() for name in plugins.implements(HOOK)}
        self._attend_at = float("-inf")
        self._attending: threading.Thread | None = None
        self._stopping = threading.Event()

    def step(self, state: MaintenanceState) -> None:
        """Start what is due under this state, unless it is being done already; returns at once."""
        if not self._turns or self._stopping.is_set():
            return
        now, wall = self._clock.monotonic(), self._clock.now()
        if now >= self._attend_at and not _is_alive(self._attending):
            self._attend_at = now + ATTEND_SECONDS
            self._attending = self._start("quiesce-outbox", self._attend)
        for name, turn in self._turns.items():
            is_new = state.revision > turn.done_revision
            is_retried = turn.retry_at is not None and wall >= turn.retry_at
            if (is_new or is_retried or now >= turn.look_at) and not _is_alive(turn.thread):
                turn.thread = self._start(f"quiesce-outbox-{name}", self._serve, name, turn, state.revision)

    def stop(self) -> None:
        """Begin nothing more, and wait a little for what runs; the rest is for whoever leads next."""
        self._stopping.set()
        threads = [turn.thread for turn in self._turns.values() if turn.thread is not None]
        for thread in threads:
            thread.join(_STOP_SECONDS / len(threads))

    def _attend(self) -> None:
        write_attended(self._store.items, self._turns)

    def _serve(self, name: str, turn: _Turn, revision: int) -> None:
        turn.look_at = self._clock.monotonic() + _TROUBLE_SECONDS  # unless all goes well
        delivery = Delivery(
            name,
            plugins=self._plugins,
            store=self._store,
            clock=self._clock,
            service_name=self._service_name,
            settings=self._settings,
            seconds_left=lambda: self._hook_timeout_seconds,
            claim_seconds=self._claim_seconds,
        )
        if not self._settings().notifications_enabled:
            delivery.skip()
            became = Delivered(end=DeliveryEnd.DRAINED)
        else:
            # A place that was there and is gone was lost with the store: all that it has now happened since.
            first = "" if turn.has_place else end_of(revision)
            became = delivery.run(first_cursor=first, stopping=self._stopping)
        turn.has_place = True
        turn.retry_at = became.retry_at
        if became.end in (DeliveryEnd.DRAINED, DeliveryEnd.NOT_DUE, DeliveryEnd.FAILED):
            turn.done_revision = revision
            turn.look_at = self._clock.monotonic() + ATTEND_SECONDS

    def _start(self, name: str, act: Callable[..., None], *arguments: object) -> threading.Thread:
        def run() -> None:
            try:
                act(*arguments)
            except Exception as exc:  # noqa: BLE001 - a plugin's store may raise anything; what is due is tried again
                if not self._stopping.is_set():
                    logger.error("%s will try again: %s", name, exc)

        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        return thread


def _is_alive(thread: threading.Thread | None) -> bool:
    return thread is not None and thread.is_alive()
