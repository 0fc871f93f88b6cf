"""The rules of alerts: what opens one, what keeps it open, and what closes it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce import Alert, AlertRule
from quiesce.control.alert_rules import (
    CLEAR_SECONDS,
    LONGEST_GAP_SECONDS,
    AlertChange,
    Finding,
    Memory,
    Verdict,
    applied,
    judge,
    lasting,
)
from quiesce.control.block_rate import CALM_SECONDS, Sample, find_block_rate, refused_per_minute, with_sample
from quiesce.testing.clock import NOON

STUCK = Finding(
    rule=AlertRule.OUTBOX_STUCK,
    subject="mail",
    verdict=Verdict.BAD,
    detail="it waits",
    mark="7-0",
    open_after_seconds=30,
)
FINE = replace(STUCK, verdict=Verdict.GOOD, detail="all is told", mark="")


class History:
    """Looks again and again, and carries out what is decided."""

    def __init__(self) -> None:
        self.memory, self.open, self.seconds = Memory(), (), 0.0  # type: tuple[Memory, tuple[Alert, ...], float]
        self.told: list[tuple[bool, float]] = []

    @property
    def names(self) -> list[str]:
        return [alert.name for alert in self.open]

    def look(self, *findings: Finding, after: float = 5.0, times: int = 1) -> tuple[AlertChange, ...]:
        changes: tuple[AlertChange, ...] = ()
        for _ in range(times):
            self.seconds += after
            at = NOON + timedelta(seconds=self.seconds)
            self.memory, asked = judge(
                self.memory, findings, open_alerts=self.open, window_id="w1", seconds=self.seconds, at=at
            )
            self.open, changes = applied(self.open, asked, most=8)
            self.told += [(change.opens, self.seconds) for change in changes]
        return changes


def rate_of(samples: tuple[Sample, ...], bound: int = 100) -> Verdict:
    return find_block_rate(samples, bound=bound).verdict


def sampled(*totals: int, every: float = 5.0, start: float = 0.0) -> tuple[Sample, ...]:
    samples: tuple[Sample, ...] = ()
    for number, total in enumerate(totals):
        samples = with_sample(samples, Sample(start + number * every, {"w1": total}))
    return samples


def test_alert_opens_once_its_cause_has_lasted_and_says_since_when() -> None:
    """A hiccup wakes nobody; whoever is woken is told when it began."""
    history = History()

    history.look(STUCK, times=6)
    before = history.open
    (change,) = history.look(STUCK)
    again = history.look(STUCK, times=20)

    assert before == ()
    assert (change.opens, change.alert.name, change.detail) == (True, "outbox_stuck:mail", "it waits")
    assert (change.alert.since, change.alert.opened_at) == (NOON + timedelta(seconds=5), NOON + timedelta(seconds=35))
    assert change.alert.window_id == "w1"
    assert again == ()
    assert len(history.told) == 1


def test_alert_closes_once_its_cause_has_been_gone_for_a_while() -> None:
    """What comes and goes is one alert, not twenty."""
    history = History()
    history.look(STUCK, times=7)

    for _ in range(5):
        history.look(FINE, times=5)
        history.look(STUCK)
    history.look(FINE, times=int(CLEAR_SECONDS / 5))
    before = history.told[:]
    (change,) = history.look(FINE)

    assert [opens for opens, _ in before] == [True]
    assert (change.opens, change.detail, history.names) == (False, "all is told", [])


def test_what_is_unclear_ends_what_lasted_either_way() -> None:
    """Between the bounds an alert neither opens nor closes."""
    history = History()
    unclear = replace(STUCK, verdict=Verdict.UNCLEAR, mark="")

    history.look(STUCK, times=6)
    history.look(unclear)
    history.look(STUCK, times=6)
    assert history.names == []
    history.look(STUCK)
    history.look(FINE, times=6)
    history.look(unclear)
    history.look(FINE, times=6)

    assert history.names == ["outbox_stuck:mail"]


def test_another_cause_of_the_same_alert_begins_anew() -> None:
    """A notifier that is busy, each time with another notice, is not stuck."""
    history = History()
    for number in range(50):
        history.look(replace(STUCK, mark=f"{number}-0"))

    assert history.told == []


def test_time_without_a_look_counts_for_nothing() -> None:
    """A worker that was stopped, or did not lead, does not know what was between."""
    history = History()
    history.look(STUCK)
    history.look(STUCK, after=LONGEST_GAP_SECONDS + 1)
    history.look(STUCK, times=5)
    assert history.names == []
    history.look(STUCK)
    assert history.names == ["outbox_stuck:mail"]

    history.look(FINE)
    history.look(FINE, after=LONGEST_GAP_SECONDS + 1)
    history.look(FINE, times=5)
    assert history.names == ["outbox_stuck:mail"]
    history.look(FINE)
    assert history.names == []


def test_new_leader_keeps_an_open_alert_and_closes_it_after_a_look_of_its_own() -> None:
    """It opens none a second time, and takes nobody's word that the cause is gone."""
    history = History()
    history.look(STUCK, times=7)

    history.memory = Memory()
    history.look(STUCK, times=10)
    history.memory = Memory()
    history.look(FINE, times=6)
    assert history.names == ["outbox_stuck:mail"]
    history.look(FINE)

    assert [opens for opens, _ in history.told] == [True, False]


def test_alert_is_closed_at_once_when_there_is_nothing_left_to_be_about() -> None:
    """With the window over, nobody waits for calm."""
    history = History()
    bad = Finding(rule=AlertRule.BLOCK_RATE, verdict=Verdict.BAD, detail="many")
    history.look(bad)

    (change,) = history.look(replace(bad, verdict=Verdict.MOOT, detail="no window"))

    assert (change.opens, change.detail) == (False, "no window")


def test_alert_that_nobody_looks_after_any_more_closes() -> None:
    """A notifier that was uninstalled would keep it open for ever."""
    history = History()
    history.look(STUCK, times=7)

    history.look(times=7)

    assert [opens for opens, _ in history.told] == [True, False]


def test_what_another_worker_did_is_not_done_again() -> None:
    """Two leaders may have decided on the same state; the second one's commit judges anew."""
    alert = Alert(rule=AlertRule.BLOCK_RATE, since=NOON, opened_at=NOON)
    later = replace(alert, opened_at=NOON + timedelta(hours=1))
    opening, closing = AlertChange(alert, opens=True, detail=""), AlertChange(alert, opens=False, detail="")

    assert applied((), [opening], most=8) == ((alert,), (opening,))
    assert applied((later,), [opening], most=8) == ((later,), ())
    assert applied((alert,), [closing], most=8) == ((), (closing,))
    assert applied((later,), [closing], most=8) == ((later,), ())
    assert applied((), [closing], most=8) == ((), ())


def test_no_more_alerts_are_open_than_fit() -> None:
    """They stand in the state, which has room for windows first."""
    made = [
        AlertChange(
            Alert(rule=AlertRule.OUTBOX_STUCK, subject=f"n{n}", since=NOON, opened_at=NOON), opens=True, detail=""
        )
        for n in range(20)
    ]

    alerts, done = applied((), made, most=8)

    assert (len(alerts), len(done)) == (8, 8)


@pytest.mark.parametrize(
    ("totals", "verdict"),
    [
        ([0] * 13, Verdict.GOOD),
        ([0, 99] + [99] * 11, Verdict.UNCLEAR),
        ([0, 100], Verdict.BAD),
        ([0, 50] + [50] * 11, Verdict.UNCLEAR),
        ([0, 49] + [49] * 11, Verdict.GOOD),
        ([0, 49], Verdict.UNCLEAR),
        ([5000], Verdict.UNCLEAR),
        ([5000] * 13, Verdict.GOOD),
        ([0, 100] + [100] * 12, Verdict.GOOD),
    ],
)
def test_rate_is_judged_by_what_was_refused_within_a_minute(totals: list[int], verdict: Verdict) -> None:
    """At the bound it is high, whole minute or not; low only if a whole minute says so; what came before counts not."""
    assert rate_of(sampled(*totals)) is verdict


def test_rate_after_a_pause_is_the_average_of_it() -> None:
    """Looks that were late must not make a quiet hour into a busy minute."""
    samples = (Sample(0, {"w1": 0}), Sample(600, {"w1": 500}))

    assert refused_per_minute(samples) == (50.0, True)


def test_counts_that_were_lost_begin_anew() -> None:
    """A store that was flushed counts from nothing; what it has now came since."""
    samples = (Sample(0, {"w1": 10_000}), Sample(60, {"w1": 40}))

    assert refused_per_minute(samples) == (40.0, True)


def test_window_that_ends_and_one_that_opens_do_not_blur_the_rate() -> None:
    """One that is open no more is not looked at; one that was not open before had refused nothing."""
    samples = (Sample(0, {"old": 10_000}), Sample(60, {"new": 30}))

    assert refused_per_minute(samples) == (30.0, True)


@given(growth=st.lists(st.integers(0, 40), min_size=1, max_size=60))
def test_rate_of_steady_looks_lies_near_what_was_refused(growth: list[int]) -> None:
    """Whatever the traffic: never more than in the last 65 seconds, and nothing of the last minute is lost."""
    samples: tuple[Sample, ...] = (Sample(0, {"w1": 0}),)
    total = 0
    for number, grown in enumerate(growth, start=1):
        total += grown
        samples = with_sample(samples, Sample(number * 5.0, {"w1": total}))

    rate, is_whole = refused_per_minute(samples)

    assert is_whole == (len(growth) >= 12)
    assert rate == pytest.approx(sum(growth[-12:]))
    assert len(samples) <= 14


def test_block_rate_flaps_into_one_alert() -> None:
    """Open at the bound, close after two minutes below half of it, and once each in between."""
    history = History()
    samples: tuple[Sample, ...] = (Sample(0.0, {"w1": 0}),)
    total = 0

    def traffic(per_look: int, times: int) -> None:
        nonlocal samples, total
        for _ in range(times):
            total += per_look
            samples = with_sample(samples, Sample(history.seconds + 5, {"w1": total}))
            history.look(find_block_rate(samples, bound=100))

    traffic(2, 40)
    assert history.told == []
    for _ in range(6):  # a wave every minute: above the bound, below it, never calm for two minutes
        traffic(20, 6)
        traffic(2, 12)
    opened = history.told[:]
    traffic(2, int(CALM_SECONDS / 5) + 12 + 1)

    assert [opens for opens, _ in opened] == [True]
    assert [opens for opens, _ in history.told] == [True, False]


def test_one_and_the_same_must_be_there_at_every_look() -> None:
    """Of workers that are each late for a moment none is."""
    since: dict[str, float] = {}
    for seconds, names in ((0, ["a", "b"]), (5, ["a"]), (10, ["a", "b"])):
        since = lasting(since, names, seconds=seconds, gap=False)
    after_a_gap: Any = lasting(since, ["a"], seconds=90, gap=True)

    assert since == {"a": 0, "b": 10}
    assert after_a_gap == {"a": 90}
