"""Notifiers as operators see them: how far each is, trying them, and sending from a command."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from ..model import (
    ConflictError,
    DeadNotice,
    MaintenanceState,
    NotifierStatus,
    NotifierTest,
    QuiesceError,
    StoreUnreachableError,
)
from .outbox import HOOK
from .outbox_delivery import Delivered, Delivery, DeliveryEnd
from .outbox_notes import read_attended, read_dead, read_places, write_dead, write_place
from .outbox_rules import Place, end_of, make_test_notice, position_of, wiped
from .proof import listed_workers
from .quiescence import LATE_SECONDS
from .report_trail import read_events
from .validation import check_actor

if TYPE_CHECKING:
    from .journal import Journal
    from .runtime import Runtime
    from .writing import CommandWriter

_TRIES = 20
_SPARE_SECONDS = 0.2
"""Of the time that a command has: to note what became of its last notice."""


class NotificationDesk:
    """What there is to know and to do about notifiers.

    Args:
        runtime: of this process.
        writer: for the audit trail.
    """

    def __init__(self, runtime: Runtime, *, writer: CommandWriter) -> None:
        self._runtime = runtime
        self._writer = writer

    def list(self) -> tuple[NotifierStatus, ...]:
        """Return every notifier that the store or this process knows, in order of names.

        Raises:
            StoreError: the store does not answer, or cannot be read.
        """
        items = self._runtime.store.items
        places, attended, dead = read_places(items), self._attended(), read_dead(items)
        told = [(event.revision, event.number) for event in read_events(self._runtime.store)] if places else []
        names = sorted({*places, *self._runtime.plugins.implements(HOOK)})
        return tuple(
            _status(
                name,
                places.get(name),
                told,
                is_attended=name in attended,
                dead=tuple(each for each in dead if each.notifier == name),
            )
            for name in names
        )

    def retry(self, notifier: str, *, actor: str, source: str = "api") -> NotifierStatus:
        """Have what failed tried again at once: switch the notifier on, and send what was given up once more.

        Raises:
            ConflictError: no such notifier is known.
            StoreError: the store does not answer.
        """
        actor = check_actor(actor)
        items = self._runtime.store.items
        dead = [each for each in read_dead(items) if each.notifier == notifier and not each.is_due]
        write_dead(items, [replace(each, is_due=True) for each in dead])
        for _ in range(_TRIES):
            found = read_places(items).get(notifier)
            if found is None:
                raise ConflictError(f"no notifier {notifier!r:.80} has sent anything yet")
            place, _, body = found
            if write_place(items, notifier, wiped(place), expected=body) is not None:
                break
        else:
            raise StoreUnreachableError(f"the place of notifier {notifier} changes too fast to be written")

        def note(state: MaintenanceState, _: datetime, journal: Journal) -> MaintenanceState:
            journal.note("notifications.retried", detail=f"{notifier}: {len(dead)} that were given up are sent again")
            return replace(state)  # a revision of its own, by which the leading worker looks at once

        self._writer.commit(note, actor=actor, source=source)
        return next(each for each in self.list() if each.name == notifier)

    def test(self, notifier: str, *, actor: str) -> NotifierTest:
        """Have one notifier of this process send a notice that is marked as a test, to operators.

        Raises:
            ConflictError: this process has no such notifier, or nobody is to be notified.
            StoreError: the store does not answer.
        """
        actor = check_actor(actor)
        runtime = self._runtime
        settings = runtime.stored.settings()
        if not settings.notifications_enabled:
            raise ConflictError("MAINTENANCE_NOTIFICATIONS_ENABLED is false, so nothing is sent")
        if notifier not in runtime.plugins.implements(HOOK):
            raise ConflictError(f"no plugin {notifier!r:.80} that notifies is installed here")
        notice = make_test_notice(
            service_name=runtime.settings.service_name,
            revision=runtime.store.revision(),
            actor=actor,
            now=runtime.clock.now(),
        )
        seconds = runtime.settings.hook_timeout.total_seconds()
        result = runtime.plugins.notify(notice, settings=settings, timeout_seconds=seconds, only=notifier)
        return NotifierTest(
            notifier=notifier, is_ok=result.ok, seconds=result.seconds, problem="" if result.ok else result.error or ""
        )

    def deliver(self, *, within_seconds: float) -> dict[str, Delivered]:
        """Tell what has happened, where no worker does; what fails, or takes longer, is left as it was.

        For programs that run no worker: a command calls it before it ends. A process that has loaded no plugins loads
        only the notifiers that the store knows; for one that is new it begins with what was committed here.

        Returns:
            What became of each notifier, by name; those that a worker looks after are not among them.

        Raises:
            PluginError: a plugin cannot be loaded.
            StoreError: the store does not answer.
        """
        runtime = self._runtime
        if not runtime.stored.settings().notifications_enabled:
            return {}
        deadline = time.monotonic() + within_seconds
        attended = self._attended()
        known = read_places(runtime.store.items).keys() - attended
        if not known and not runtime.has_plugins:
            return {}
        plugins = runtime.plugins_named(known)
        left = sorted(frozenset(plugins.implements(HOOK)) - attended)
        first = runtime.committer.told_after
        first_cursor = end_of(runtime.store.revision() if first is None else first)
        ended: dict[str, Delivered] = {}
        stopping = threading.Event()
        longest = runtime.settings.hook_timeout.total_seconds()

        def serve(name: str) -> None:
            delivery = Delivery(
                name,
                plugins=plugins,
                store=runtime.store,
                clock=runtime.clock,
                service_name=runtime.settings.service_name,
                settings=runtime.stored.settings,
                seconds_left=lambda: min(longest, deadline - _SPARE_SECONDS - time.monotonic()),
                counts_failures=False,
            )
            try:
                ended[name] = delivery.run(first_cursor=first_cursor, stopping=stopping)
            except QuiesceError as exc:
                ended[name] = Delivered(end=DeliveryEnd.FAILED, problem=str(exc))

        threads = [threading.Thread(target=serve, args=(name,), daemon=True) for name in left]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        stopping.set()
        return dict(ended)

    def _attended(self) -> frozenset[str]:
        """Return the notifiers that a worker looks after which was heard of lately."""
        workers = listed_workers(self._runtime)
        if not any(0 <= report.heartbeat_age <= LATE_SECONDS for report in workers):
            return frozenset()
        return read_attended(self._runtime.store.items)


def _status(
    name: str,
    found: tuple[Place, float, bytes] | None,
    told: Sequence[tuple[int, int]],
    *,
    is_attended: bool,
    dead: tuple[DeadNotice, ...],
) -> NotifierStatus:
    if found is None:
        return NotifierStatus(name=name, cursor=None, is_attended=is_attended, dead=dead)
    place, age, _ = found
    cursor = position_of(place.cursor)
    return NotifierStatus(
        name=name,
        cursor=place.cursor,
        waiting=sum(position > cursor for position in told),
        attempts=place.attempts,
        failing_since=place.failing_since,
        next_try_at=place.retry_at,
        problem=place.problem or place.unset,
        is_off=place.is_off,
        is_sending=place.is_claimed(age_seconds=age),
        is_attended=is_attended,
        dead=dead,
    )
