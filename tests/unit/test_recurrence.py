"""Rules and local times: the days on which the clocks change, rules that never fire, and what is not taken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quiesce.control.recurrence import OCCURRENCES_AHEAD, check_rule, check_zone, coming_occurrences, to_instant
from quiesce.control.refilling import fill
from quiesce.model import InvalidValueError, Mode, Schedule

BERLIN = ZoneInfo("Europe/Berlin")
RULES = (
    *("FREQ=DAILY", "FREQ=DAILY;INTERVAL=3", "FREQ=WEEKLY", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH;WKST=SU"),
    *("FREQ=MONTHLY;BYDAY=-1SU", "FREQ=DAILY;COUNT=90"),
)


def local(text: str) -> datetime:
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def a_schedule(rule: str, first: str, zone: str = "Europe/Berlin", **changes: object) -> Schedule:
    plan = {"id": "s", "mode": Mode.NORMAL, "reason": "r", "owner": "o", "length": timedelta(hours=1)} | changes
    return Schedule(**plan, rule=check_rule(rule), zone=zone, first=local(first))  # type: ignore[arg-type] # as given


def starts(rule: str, first: str, *, after: str, zone: str = "Europe/Berlin", count: int = 4) -> list[str]:
    found, _ = coming_occurrences(a_schedule(rule, first, zone), after=utc(after))
    return [f"{start:%Y-%m-%dT%H:%M}" for start in found[:count]]


def test_a_local_time_stays_when_the_clocks_change() -> None:
    """Who plans 02:00 every night means 02:00 on the wall, in winter and in summer."""
    found = starts("FREQ=DAILY", "2027-03-26T01:30", after="2027-03-26T00:00")

    assert found == ["2027-03-26T00:30", "2027-03-27T00:30", "2027-03-28T00:30", "2027-03-28T23:30"]


def test_a_time_that_the_clocks_skip_is_left_out() -> None:
    """RFC 5545 §3.3.10: such an instance is ignored; 02:30 does not exist in Berlin on 28 March 2027."""
    found = starts("FREQ=DAILY", "2027-03-26T02:30", after="2027-03-26T00:00")

    assert found == ["2027-03-26T01:30", "2027-03-27T01:30", "2027-03-29T00:30", "2027-03-30T00:30"]


def test_a_skipped_time_is_not_counted() -> None:
    """RFC 5545 §3.3.10: it MUST NOT be counted as part of the recurrence set."""
    found, is_exhausted = coming_occurrences(
        a_schedule("FREQ=DAILY;COUNT=3", "2027-03-27T02:30"), after=utc("2027-03-01")
    )

    assert [f"{start:%d}" for start in found] == ["27", "29", "30"]
    assert is_exhausted


def test_a_time_that_comes_twice_happens_once_and_first() -> None:
    """RFC 5545 §3.3.5: 02:30 on 31 October 2027 in Berlin means the one in summer time."""
    found = starts("FREQ=DAILY", "2027-10-30T02:30", after="2027-10-30T00:00")

    assert found == ["2027-10-30T00:30", "2027-10-31T00:30", "2027-11-01T01:30", "2027-11-02T01:30"]


def test_weekdays_are_those_of_the_zone() -> None:
    """Sunday 01:00 in Auckland is Saturday in UTC."""
    found = starts("FREQ=WEEKLY;BYDAY=SU", "2027-06-06T01:00", after="2027-06-01T00:00", zone="Pacific/Auckland")

    assert found[:2] == ["2027-06-05T13:00", "2027-06-12T13:00"]


def test_until_is_the_last_start() -> None:
    """RFC 5545 §3.3.10: UNTIL bounds the rule inclusively."""
    found, is_exhausted = coming_occurrences(
        a_schedule("RRULE:FREQ=DAILY;UNTIL=20270103T010000Z", "2027-01-01T02:00"), after=utc("2026-12-01")
    )

    assert [f"{start:%d}" for start in found] == ["01", "02", "03"]
    assert is_exhausted


def test_a_one_time_in_the_gap_is_an_error_and_one_in_the_fold_the_first() -> None:
    """Whoever types a time that does not exist must choose another, not learn afterwards which one was taken."""
    with pytest.raises(InvalidValueError, match="does not exist in Europe/Berlin"):
        to_instant("start", local("2027-03-28T02:30"), BERLIN)

    assert to_instant("start", local("2027-10-31T02:30"), BERLIN) == utc("2027-10-31T00:30")
    assert to_instant("start", local("2027-10-31T03:00"), BERLIN) == utc("2027-10-31T02:00")


@pytest.mark.parametrize(
    "rule",
    [
        *("", "FREQ", "FREQ=", "FREQ=HOURLY", "FREQ=SECONDLY", "FREQ=NEVER", "BYDAY=SU", "FREQ=DAILY;FREQ=DAILY"),
        *("FREQ=DAILY;COUNT=0", "FREQ=DAILY;COUNT=-1", "FREQ=DAILY;COUNT=x", "FREQ=DAILY;INTERVAL=0"),
        *("FREQ=DAILY;INTERVAL=99999", "FREQ=DAILY;COUNT=2;UNTIL=20300101T000000Z", "FREQ=DAILY;X=1"),
        *("FREQ=DAILY;BYSECOND=1", "FREQ=DAILY;BYEASTER=1", "FREQ=DAILY\nEXDATE:20270101T000000", "FREQ=DAILY;"),
        *("FREQ=DAILY;BYMONTH=13", "FREQ=DAILY;BYMONTH=-1", "FREQ=MONTHLY;BYMONTHDAY=0", "FREQ=MONTHLY;BYMONTHDAY=-32"),
        *("FREQ=YEARLY;BYYEARDAY=367", "FREQ=YEARLY;BYWEEKNO=54", "FREQ=DAILY;BYHOUR=24", "FREQ=DAILY;BYMINUTE=-1"),
        *("FREQ=DAILY;BYMONTH=1,,2", "FREQ=MONTHLY;BYDAY=54MO", "FREQ=MONTHLY;BYDAY=MO(1)", "FREQ=MONTHLY;BYDAY=0MO"),
        *("FREQ=DAILY;WKST=1MO", "FREQ=DAILY;BYSETPOS=400", "FREQ=DAILY;BYMONTH=٣"),
        "FREQ=DAILY;BYMINUTE=" + ",".join(map(str, range(60))),
        "FREQ=DAILY;BYDAY=" + "MO," * 500,
    ],
)
def test_a_rule_that_is_not_taken_names_its_field(rule: str) -> None:
    """A typo must not become another schedule than was meant, nor keep a worker busy for minutes."""
    with pytest.raises(InvalidValueError) as caught:
        check_rule(rule)

    assert caught.value.field == "rrule"
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("rule", ["FREQ=MONTHLY;BYDAY=53MO;BYMONTH=12", "FREQ=DAILY;UNTIL=20300101"])
def test_what_only_the_library_finds_wrong_is_an_error_too(rule: str) -> None:
    """Whichever part finds the fault, the operator reads a sentence."""
    with pytest.raises(InvalidValueError, match="rrule"):
        coming_occurrences(a_schedule(rule, "2027-01-01T02:00"), after=utc("2027-01-01"))


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=31",
        "FREQ=DAILY;BYSETPOS=2",
        "FREQ=WEEKLY;BYMONTH=2;BYMONTHDAY=30",
    ],
)
def test_a_rule_that_never_fires_is_found_out(rule: str) -> None:
    """Looking for it until the year 9999 would take minutes."""
    found, is_exhausted = coming_occurrences(a_schedule(rule, "2027-01-01T02:00"), after=utc("2027-01-01"))

    assert found == ()
    assert not is_exhausted


def test_a_rare_day_is_found() -> None:
    """29 February is up to eight years away, and not never."""
    found = starts("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "2097-01-01T02:00", after="2097-01-01T00:00", zone="UTC")

    assert found == ["2104-02-29T02:00"]


@pytest.mark.parametrize("zone", ["", "Nowhere/Town", "../../etc/passwd", "/etc/localtime", "Europe", "Z" * 200, 7])
def test_an_unknown_zone_is_an_error(zone: object) -> None:
    """A zone is looked up in files; nothing but its name may come in."""
    with pytest.raises(InvalidValueError, match="zone"):
        check_zone(zone)


def test_what_began_while_nobody_knew_it_is_open() -> None:
    """All processes were down for longer than the known windows reach; the first one back must still close the gate."""
    schedule = fill(a_schedule("FREQ=DAILY", "2027-01-10T02:30", "UTC"), now=utc("2027-01-01"))

    back = fill(schedule, now=utc("2027-06-01T03:00"))

    assert schedule.occurrences[-1] < utc("2027-05-01")
    assert utc("2027-06-01T02:30") in back.occurrences
    assert utc("2027-05-31T02:30") not in back.occurrences


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH",
        "FREQ=DAILY;INTERVAL=5;BYHOUR=2,14",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
        "FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO",
        "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13",
    ],
)
def test_from_wherever_one_looks_the_next_start_is_the_next(rule: str) -> None:
    """Looking from each start in turn finds the very ones that one look from the beginning finds."""
    schedule = a_schedule(rule, "2027-01-10T02:30", "UTC")
    whole, _ = coming_occurrences(schedule, after=utc("2027-01-01"))

    for number, start in enumerate(whole):
        found, _ = coming_occurrences(schedule, after=start)
        assert found[:1] == whole[number + 1 : number + 2] or number + 1 == len(whole)
        assert all(later > start for later in found)


def test_the_calendar_is_the_one_of_the_year() -> None:
    """Friday the 13th comes when the calendar of that year says, with its weeks and leap days."""
    found = starts("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "2027-01-01T02:00", after="2027-01-01T00:00", zone="UTC")

    assert [start[:10] for start in found] == ["2027-08-13", "2028-10-13", "2029-04-13", "2029-07-13"]


def test_a_rule_of_long_ago_is_not_gone_through_from_its_start() -> None:
    """A worker works this out beside its requests."""
    for rule in ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH", "FREQ=DAILY;INTERVAL=3"):
        old = a_schedule(rule, "1900-01-01T02:00", "UTC")
        near, _ = coming_occurrences(old, after=utc("1900-03-01"))
        weeks = timedelta(days=42 * 1500)

        far, _ = coming_occurrences(old, after=utc("1900-03-01") + weeks)

        assert far == tuple(start + weeks for start in near)


@settings(max_examples=40)
@given(
    rule=st.sampled_from(RULES),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    steps=st.lists(st.integers(1, 15), min_size=1, max_size=12),
)
def test_refilling_bit_by_bit_gives_what_one_look_gives(rule: str, zone: str, steps: list[int]) -> None:
    """No start is lost or doubled, however the moments of refilling fall."""
    schedule = a_schedule(rule, "2027-01-10T02:30", zone)
    now = utc("2027-01-01")
    whole, _ = coming_occurrences(schedule, after=now, known=OCCURRENCES_AHEAD - 400)

    refilled = fill(schedule, now=now)
    for days in steps:
        now += timedelta(days=days)
        refilled = fill(refilled, now=now)

    assert refilled.occurrences == whole[: len(refilled.occurrences)]
    coming = [start for start in refilled.occurrences if start > now]
    assert refilled.is_exhausted or len(coming) >= OCCURRENCES_AHEAD // 2
