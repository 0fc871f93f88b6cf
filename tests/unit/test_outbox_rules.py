"""When a failed notice is tried again, when it is given up, and whom it is for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce import Audience, DeliveryError, EventKind, MaintenanceEvent, MaintenanceState, MaintenanceWindow
from quiesce.control.outbox_rules import (
    GIVE_UP_AFTER,
    LONGEST_PAUSE_SECONDS,
    Place,
    end_of,
    failed,
    make_notice,
    position_of,
    reached,
    wiped,
)
from quiesce.model import Mode
from quiesce.testing.clock import NOON

PLACE = Place(cursor="3-0", attempts=1)


def event(**facts: object) -> MaintenanceEvent:
    known = {"kind": EventKind.STARTED, "at": NOON, "revision": 4, "number": 0, "window_id": "w", "mode": "normal"}
    return MaintenanceEvent(**known | facts)  # type: ignore[arg-type]  # the facts are a test's own


def window(**facts: object) -> MaintenanceWindow:
    known = {"id": "w", "mode": Mode.NORMAL, "reason": "r", "owner": "ann", "starts_at": NOON}
    return MaintenanceWindow(**known | facts)  # type: ignore[arg-type]  # the facts are a test's own


def fail(place: Place, error: BaseException | None = None, *, after: float = 0.0, jitter: float = 0.0) -> Place:
    return failed(place, error=error, problem="no", now=NOON + timedelta(seconds=after), jitter=jitter)[0]


def test_pauses_double_up_to_a_quarter_of_an_hour() -> None:
    """A dead receiver costs little, one that is back soon is told soon."""
    place, pauses = PLACE, []
    for _ in range(12):
        place = fail(place)
        pauses.append(place.pause_seconds)

    assert pauses[:5] == [1, 2, 4, 8, 16]
    assert pauses[-1] == LONGEST_PAUSE_SECONDS


@given(jitter=st.floats(0, 1), failures=st.integers(0, 1000))
def test_jitter_spreads_the_pauses_within_bounds(jitter: float, failures: int) -> None:
    """Never so soon that it hammers, never later than the longest pause."""
    place = fail(replace(PLACE, failures=failures), jitter=jitter)

    assert 0.5 <= place.pause_seconds <= LONGEST_PAUSE_SECONDS
    assert place.retry_at == NOON + timedelta(seconds=place.pause_seconds)


def test_receiver_that_names_a_time_is_left_alone_until_then() -> None:
    """A rate limit that is ignored becomes a ban; a shorter wish does not undo the backoff."""
    assert fail(PLACE, DeliveryError("busy", retry_after_seconds=120)).pause_seconds == 120
    assert fail(replace(PLACE, failures=9), DeliveryError("busy", retry_after_seconds=1)).pause_seconds == 512


@pytest.mark.parametrize("seconds", [float("inf"), 1e12])
def test_receiver_cannot_postpone_beyond_the_day(seconds: float) -> None:
    """Its answer is hostile input."""
    place = fail(PLACE, DeliveryError("busy", retry_after_seconds=seconds))

    assert place.retry_at == NOON + GIVE_UP_AFTER


def test_nonsense_from_a_receiver_is_no_pause() -> None:
    """A number that is none, or lies in the past, leaves the usual backoff."""
    assert fail(PLACE, DeliveryError("?", retry_after_seconds=float("nan"))).pause_seconds == 1
    assert fail(PLACE, DeliveryError("?", retry_after_seconds=-5)).pause_seconds == 1


def test_notice_is_given_up_a_day_after_its_first_failure() -> None:
    """Not before, and not by the number of tries."""
    place = fail(PLACE)

    just_before = NOON + GIVE_UP_AFTER - timedelta(seconds=1)
    assert failed(place, error=None, problem="no", now=just_before, jitter=0)[1] is False
    assert failed(place, error=None, problem="no", now=NOON + GIVE_UP_AFTER, jitter=0)[1] is True


def test_permanent_refusal_is_given_up_at_once() -> None:
    """Else one notice that is too large keeps all others for a day."""
    assert failed(PLACE, error=DeliveryError("gone", is_permanent=True), problem="", now=NOON, jitter=0)[1] is True


def test_receiver_that_wants_no_more_is_switched_off_until_an_operator_says_so() -> None:
    """It keeps its place; nothing of it is given up."""
    place, is_given_up = failed(PLACE, error=DeliveryError("410", disables=True), problem="410", now=NOON, jitter=0)

    assert (place.is_off, is_given_up, place.cursor) == (True, False, "3-0")
    assert not place.is_due(NOON + timedelta(days=9))
    assert wiped(place).is_due(NOON)
    assert wiped(wiped(place)).resend == 2


def test_clock_that_was_set_back_delays_no_retry() -> None:
    """A retry that is farther away than its own pause was set by another clock."""
    place = fail(PLACE)

    assert not place.is_due(NOON)
    assert place.is_due(NOON + timedelta(seconds=1))
    assert place.is_due(NOON - timedelta(hours=3))


def test_what_comes_next_has_not_failed_yet() -> None:
    """One notice's failures do not shorten the next one's day."""
    place = reached(fail(PLACE), "4-0")

    assert place == Place(cursor="4-0")
    assert reached(fail(PLACE), "3-0") == fail(PLACE)


@pytest.mark.parametrize("age", [0.0, 5.9])
def test_claim_holds_until_it_lapses(age: float) -> None:
    """Two never send at once; an age that is not known is not taken for a lapse."""
    place = Place(cursor="", claimed_by="x", claim_seconds=6.0)

    assert place.is_claimed(age_seconds=age)
    assert place.is_claimed(age_seconds=float("nan"))
    assert not place.is_claimed(age_seconds=6.0)
    assert not Place(cursor="").is_claimed(age_seconds=age)


def test_end_of_a_revision_stands_behind_its_events_and_before_the_next() -> None:
    """A new notifier misses nothing of what comes, and is told nothing of what was."""
    assert position_of("7-500") < position_of(end_of(7)) < position_of("8-0")
    assert position_of("") < position_of("0-0")


@pytest.mark.parametrize(
    ("known", "told", "audience", "is_test"),
    [
        (window(), event(), Audience.EVERYONE, False),
        (window(notify_users=False), event(), Audience.OPERATORS, False),
        (window(mode=Mode.TEST), event(mode="test"), Audience.OPERATORS, True),
        (None, event(), Audience.OPERATORS, False),
        (None, event(mode="test"), Audience.OPERATORS, True),
        (None, event(kind=EventKind.STORE_RESEEDED, window_id="", mode=""), Audience.OPERATORS, False),
    ],
)
def test_users_hear_only_of_windows_that_are_known_to_be_for_them(
    known: MaintenanceWindow | None, told: MaintenanceEvent, audience: Audience, *, is_test: bool
) -> None:
    """Whether a window that is forgotten was to be kept from users is not known; so it is kept from them."""
    state = MaintenanceState(9, () if known is None else (known,))

    notice = make_notice(told, state, service_name="shop", attempt=2)

    assert (notice.audience, notice.is_test, notice.window) == (audience, is_test, known)
    assert (notice.id, notice.attempt) == (f"shop-{told.id}", 2)
