"""The rules of the outbox: whose turn it is, when a failed notice is tried again, and when it is given up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..model import Audience, DeliveryError, EventKind, MaintenanceEvent, MaintenanceState, Mode, Notice

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 900.0
GIVE_UP_AFTER = timedelta(hours=24)
"""From the first failure; what a receiver asks for with ``retry_after_seconds`` ends with it too."""
LONGEST_PROBLEM = 500

_LAST_NUMBER = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far one notifier is, and who sends for it.

    Attributes:
        cursor: id of the event up to which it is done.
        since: up to which it was told nothing: it came later, or notices were off.
        unset: why the last event was not told, by a worker that was not told where to send; empty: it was.
        attempts: at the next event; also those that a killed process did not live to judge.
        failures: of them, those that failed and were counted.
        failing_since: when the first of them failed.
        retry_at: not before.
        pause_seconds: what ``retry_at`` was made of; a wall clock that was set back shows by it.
        problem: of the last failure.
        is_off: whether the receiver wants no more.
        resend: how often an operator has asked for what was given up, and it was not done yet.
        claimed_by: who sends; empty: nobody.
        claim_seconds: so long after the last change the claim holds, by the store's clock.
        beat: grows with each change, so that no two are alike.
    """

    cursor: str
    since: str = ""
    unset: str = ""
    attempts: int = 0
    failures: int = 0
    failing_since: datetime | None = None
    retry_at: datetime | None = None
    pause_seconds: float = 0.0
    problem: str = ""
    is_off: bool = False
    resend: int = 0
    claimed_by: str = ""
    claim_seconds: float = 0.0
    beat: int = 0

    def is_claimed(self, *, age_seconds: float) -> bool:
        """Whether somebody's claim holds, if this was put so long ago; an age that is no number says nothing."""
        return bool(self.claimed_by) and not age_seconds >= self.claim_seconds

    def is_due(self, now: datetime) -> bool:
        """Whether something may be sent now."""
        if self.is_off:
            return False
        if self.retry_at is None:
            return True
        left = (self.retry_at - now).total_seconds()
        return left <= 0 or left > self.pause_seconds


def reached(place: Place, cursor: str) -> Place:
    """Return the place behind what was delivered, or given up; what comes next has not failed yet."""
    if cursor == place.cursor:
        return place
    return replace(
        place,
        cursor=cursor,
        attempts=0,
        failures=0,
        failing_since=None,
        retry_at=None,
        pause_seconds=0.0,
        problem="",
    )


def failed(
    place: Place, *, error: BaseException | None, problem: str, now: datetime, jitter: float
) -> tuple[Place, bool]:
    """Return the place after a failure, and whether the notice is to be given up.

    Args:
        place: as it was.
        error: what the notifier raised; ``None``: it was not in time, or not even called.
        problem: the same in words.
        now: by the wall clock.
        jitter: from 0 to 1, so that many notifiers do not come back at the same moment.
    """
    refusal = error if isinstance(error, DeliveryError) else None
    since = now if place.failing_since is None else min(place.failing_since, now)
    pause = min(FIRST_PAUSE_SECONDS * 2.0 ** min(place.failures, 16), LONGEST_PAUSE_SECONDS) * (1 - jitter / 2)
    asked = None if refusal is None else refusal.retry_after_seconds
    left = (since + GIVE_UP_AFTER - now).total_seconds()
    if asked is not None and asked > pause:  # not so for NaN
        pause = min(asked, max(left, 0.0))
    after = replace(
        place,
        failures=place.failures + 1,
        failing_since=since,
        retry_at=now + timedelta(seconds=pause),
        pause_seconds=pause,
        problem=problem[:LONGEST_PROBLEM],
    )
    if refusal is not None and refusal.disables:
        return replace(after, is_off=True, retry_at=None, pause_seconds=0.0), False
    return after, left <= 0 or (refusal is not None and refusal.is_permanent)


def wiped(place: Place) -> Place:
    """Return the place after an operator said to try again: switched on, due at once, what was given up included."""
    return replace(
        place,
        failures=0,
        failing_since=None,
        retry_at=None,
        pause_seconds=0.0,
        problem="",
        is_off=False,
        resend=place.resend + 1,
    )


def end_of(revision: int) -> str:
    """Return a cursor behind every event of this revision, and before those of the next one."""
    return f"{revision}-{_LAST_NUMBER}"


def position_of(event_id: str) -> tuple[int, int]:
    """Return where an event, or a cursor, stands among others."""
    revision, _, number = event_id.partition("-")
    return (int(revision), int(number)) if event_id else (-1, -1)


def make_notice(event: MaintenanceEvent, state: MaintenanceState, *, service_name: str, attempt: int) -> Notice:
    """Return what is told of an event.

    Users hear of it only if the window or schedule that it is about is known, and says so; never of a test or an alert.
    """
    window = state.find(event.window_id) if event.window_id else None
    schedule = state.find_schedule(event.window_id) if event.window_id and window is None else None
    plan = window or schedule
    is_test = event.mode == Mode.TEST or (plan is not None and plan.mode is Mode.TEST)
    is_public = plan is not None and plan.notify_users and not is_test and event.alert is None
    return Notice(
        event=event,
        service_name=service_name,
        window=window,
        audience=Audience.EVERYONE if is_public else Audience.OPERATORS,
        is_test=is_test,
        attempt=attempt,
    )


def make_test_notice(*, service_name: str, revision: int, actor: str, now: datetime) -> Notice:
    """Return a notice by which an operator tries a notifier."""
    event = MaintenanceEvent(
        kind=EventKind.STARTED,
        at=now,
        revision=revision,
        number=int(now.timestamp() * 1000),
        mode=str(Mode.TEST),
        reason="A test of this notifier; nothing has happened.",
        actor=actor,
        detail="test",
    )
    return Notice(event=event, service_name=service_name, window=None, audience=Audience.OPERATORS, is_test=True)
