"""Sends what one notifier has still to tell, in order, under a claim on its place."""

from __future__ import annotations

import logging
import os
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from ..model import DeadNotice, DeliveryError, MaintenanceEvent, MaintenanceState
from .outbox_claim import CLAIM_SECONDS, Claim, ClaimLostError
from .outbox_notes import read_dead, read_places, remove_dead, write_dead
from .outbox_rules import LONGEST_PROBLEM, Place, end_of, failed, make_notice, reached

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..clock import Clock
    from ..plugins import HookResult, PluginManager
    from ..settings import Settings
    from ..stores import Store

_PAGE = 100

logger = logging.getLogger("quiesce")


class DeliveryEnd(StrEnum):
    """How a delivery ended."""

    DRAINED = "drained"
    """Nothing is left."""
    NOT_DUE = "not due"
    """It is switched off, or waits for its next try."""
    BUSY = "busy"
    """Somebody else sends."""
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What came of a delivery.

    Attributes:
        end: how it ended.
        count: how many notices went out.
        problem: why not more.
        retry_at: when to look again.
        is_unset: this process was not told where to send.
    """

    end: DeliveryEnd
    count: int = 0
    problem: str = ""
    retry_at: datetime | None = None
    is_unset: bool = False


class Delivery:
    """Sends for one notifier; safe to be run by several processes, of which one at a time does something.

    Args:
        name: of the plugin.
        plugins: with that plugin.
        store: with the events.
        clock: for pauses.
        service_name: told in each notice.
        settings: returns those in force; asked before each notice.
        seconds_left: how long the next call may take; nothing is begun when it is not above zero.
        counts_failures: whether a failure is the notifier's, and not only this process's attempt: else the place is
            left as it was found, but for what was delivered.
        claim_seconds: after which another may take over.
    """

    def __init__(
        self,
        name: str,
        *,
        plugins: PluginManager,
        store: Store,
        clock: Clock,
        service_name: str,
        settings: Callable[[], Settings],
        seconds_left: Callable[[], float],
        counts_failures: bool = True,
        claim_seconds: float = CLAIM_SECONDS,
    ) -> None:
        self._name = name
        self._plugins = plugins
        self._store = store
        self._clock = clock
        self._service_name = service_name
        self._settings = settings
        self._seconds_left = seconds_left
        self._counts_failures = counts_failures
        self._claim = Claim(store.items, name, holder=os.urandom(8).hex(), seconds=claim_seconds)
        self._cursor = ""
        self._count = 0
        self._unset: str | None = None  # not known

    def run(self, *, first_cursor: str, stopping: threading.Event) -> Delivered:
        """Send until nothing is left, something fails, or it is stopped.

        Args:
            first_cursor: where the notifier begins, if the store knows no place of it.
            stopping: looked at before each notice.

        Raises:
            StoreError: the store does not answer; whoever comes next finds out what was not told.
        """
        if self._is_idle():
            return Delivered(end=DeliveryEnd.DRAINED)
        seen: list[Place] = []
        if not self._claim.take(first_cursor=first_cursor, may=lambda place: self._may(place, seen)):
            place = seen[-1] if seen else None
            if place is None:
                return Delivered(end=DeliveryEnd.BUSY)
            return Delivered(end=DeliveryEnd.NOT_DUE, retry_at=place.retry_at, problem=place.problem)
        self._cursor = self._claim.place.cursor
        try:
            with self._claim.kept():
                outcome = self._again(stopping) or self._drain(stopping)
            self._claim.release(self._reach)
        except ClaimLostError as exc:
            logger.warning("%s; it goes on from there", exc)
            return Delivered(end=DeliveryEnd.BUSY, count=self._count)
        return replace(outcome, count=self._count, retry_at=self._claim.place.retry_at)

    def skip(self) -> None:
        """Move behind everything that has happened, without telling it."""
        revision = self._store.load().revision
        if self._claim.take(first_cursor=end_of(revision), may=lambda _: True):
            self._claim.release(lambda place: replace(reached(place, end_of(revision)), since=end_of(revision)))

    def _is_idle(self) -> bool:
        """Whether there is nothing to do; most looks find that, and take no claim for it."""
        found = read_places(self._store.items).get(self._name)
        if found is None or found[0].claimed_by or found[0].resend or found[0].problem:
            return False
        return not self._store.events(after=found[0].cursor, limit=1)

    def _may(self, place: Place, seen: list[Place]) -> bool:
        if place.is_due(self._clock.now()):
            return True
        seen.append(place)
        return False

    def _drain(self, stopping: threading.Event) -> Delivered:
        for event, state in self._events():
            if stopping.is_set() or self._seconds_left() <= 0:
                return Delivered(end=DeliveryEnd.STOPPED)
            # What was delivered before is noted with the next attempt: one write for each notice.
            place = self._claim.write(self._begin)
            if place.is_off:
                return Delivered(end=DeliveryEnd.NOT_DUE)
            result = self._send(event, state, attempt=place.attempts)
            if not result.ok and stopping.is_set():
                return Delivered(end=DeliveryEnd.STOPPED)  # for whoever comes next; this process ends without a word
            error = result.exception
            is_unset = isinstance(error, DeliveryError) and error.is_unconfigured
            if not result.ok and not self._counts_failures:
                # Where the workers have no settings either, nobody wants to be told of it by every command.
                is_news = not (is_unset and place.unset)
                problem = _problem_of(result) if is_news else ""
                return Delivered(end=DeliveryEnd.FAILED, problem=problem, is_unset=is_unset)
            if is_unset:
                self._unset = _problem_of(result)[:LONGEST_PROBLEM]
            elif result.ok:
                self._count, self._unset = self._count + 1, ""
            elif not self._note_failure(event, result):
                return Delivered(end=DeliveryEnd.FAILED, problem=_problem_of(result))
            self._cursor = event.id
        return Delivered(end=DeliveryEnd.DRAINED)

    def _begin(self, place: Place) -> Place:
        place = self._reach(place)
        return replace(place, attempts=place.attempts + 1)

    def _reach(self, place: Place) -> Place:
        return replace(reached(place, self._cursor), unset=place.unset if self._unset is None else self._unset)

    def _note_failure(self, event: MaintenanceEvent, result: HookResult) -> bool:
        """Note it; return whether the notice was given up, so that the next one has its turn."""
        problem = _problem_of(result)
        given_up = False
        now, jitter = self._clock.now(), random.random()  # noqa: S311 - it only spreads retries

        def change(place: Place) -> Place:
            nonlocal given_up
            place, given_up = failed(place, error=result.exception, problem=problem, now=now, jitter=jitter)
            return place

        place = self._claim.write(change)
        if not given_up:
            logger.warning("notifier %s: event %s was not delivered: %s", self._name, event.id, problem)
            return False
        # Kept before the place moves on: a process that dies between the two keeps it twice under one key.
        dead = DeadNotice(
            notifier=self._name,
            event=event,
            attempts=place.attempts,
            problem=problem[:LONGEST_PROBLEM],
            given_up_at=now,
        )
        write_dead(self._store.items, [dead])
        logger.error("notifier %s: event %s is given up: %s", self._name, event.id, problem)
        return True

    def _again(self, stopping: threading.Event) -> Delivered | None:
        """Send what was given up and is asked for again, the oldest first; it is given up anew if it fails."""
        asked = self._claim.place.resend
        if not self._counts_failures or not asked:
            return None
        for notice in read_dead(self._store.items):
            if notice.notifier != self._name or not notice.is_due:
                continue
            if stopping.is_set() or self._seconds_left() <= 0:
                return Delivered(end=DeliveryEnd.STOPPED)
            self._claim.write(lambda place: place)
            result = self._send(notice.event, self._store.load(), attempt=notice.attempts + 1)
            if result.ok:
                self._count += 1
                remove_dead(self._store.items, notice)
                continue
            problem = _problem_of(result)[:LONGEST_PROBLEM]
            again = replace(
                notice,
                attempts=notice.attempts + 1,
                problem=problem,
                given_up_at=self._clock.now(),
                is_due=False,
            )
            write_dead(self._store.items, [again])
        # What was asked for meanwhile is left for the next look.
        self._claim.write(lambda place: replace(place, resend=max(place.resend - asked, 0)), durable=True)
        return None

    def _events(self) -> Iterator[tuple[MaintenanceEvent, MaintenanceState]]:
        after = self._cursor
        while page := self._store.events(after=after, limit=_PAGE):
            state = self._store.load()
            for event in page:
                yield event, state
            after = page[-1].id

    def _send(self, event: MaintenanceEvent, state: MaintenanceState, *, attempt: int) -> HookResult:
        notice = make_notice(event, state, service_name=self._service_name, attempt=attempt)
        settings = self._settings()
        return self._plugins.notify(notice, settings=settings, timeout_seconds=self._seconds_left(), only=self._name)


def _problem_of(result: HookResult) -> str:
    error = result.exception
    return str(error) if isinstance(error, DeliveryError) else result.error or "it said nothing"
