"""Local times and recurrence rules (RFC 5545) to instants; only who plans windows needs this, and python-dateutil.

A rule's local time that a change of clocks skips is left out, as RFC 5545 §3.3.10 demands; of one that occurs twice the
first is meant (§3.3.5).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import MAXYEAR, UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ..model import InvalidValueError, Schedule

OCCURRENCES_AHEAD = 32
"""How many coming windows of a schedule are worked out."""
LONGEST_RULE = 500

_HORIZON = timedelta(days=366 * 10)
_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_PARTS = frozenset(
    {"FREQ", "UNTIL", "COUNT", "INTERVAL", "WKST"}
    | {"BYDAY", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYMONTH", "BYSETPOS", "BYHOUR", "BYMINUTE"}
)
_LIMITS = {
    "BYMONTH": (1, 12),
    "BYHOUR": (0, 23),
    "BYMINUTE": (0, 59),
    "BYMONTHDAY": (1, 31),
    "BYYEARDAY": (1, 366),
    "BYWEEKNO": (1, 53),
    "BYSETPOS": (1, 366),
}
_FROM_THE_END = frozenset({"BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYSETPOS"})
_NUMBER = re.compile(r"[0-9]{1,3}")
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_DAY = re.compile(rf"(?:[+-]?(?:0?[1-9]|[1-4][0-9]|5[0-3]))?(?:{'|'.join(_WEEKDAYS)})")
_CYCLE_YEARS = 400
_MOST_STARTS_A_DAY = 24


def check_zone(name: object) -> ZoneInfo:
    """Return the IANA time zone of this name."""
    if not isinstance(name, str) or len(name) > 100:
        raise InvalidValueError("zone", f"{name!r:.80} is no time zone")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise InvalidValueError("zone", f"{name!r:.80} is no IANA time zone such as Europe/Berlin") from exc


def to_instant(field: str, local: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant (UTC) of a local time; of one that occurs twice the first.

    Raises:
        InvalidValueError: the clocks skip that time in that zone.
    """
    instant = _instant(local, zone)
    if instant is None:
        raise InvalidValueError(field, f"{local:%Y-%m-%d %H:%M} does not exist in {zone.key}: the clocks skip it")
    return instant


def check_rule(rule: object) -> str:
    """Return the rule in capitals and without its name, once everything that can be judged without dates is right."""
    if not isinstance(rule, str) or len(rule) > LONGEST_RULE:
        raise InvalidValueError("rrule", f"is no text of at most {LONGEST_RULE} characters")
    parts = _split(rule)
    if parts.get("FREQ") not in _FREQUENCIES:
        raise InvalidValueError("rrule", f"FREQ must be one of {', '.join(_FREQUENCIES)}")
    for name in ("COUNT", "INTERVAL"):
        if name in parts and not (parts[name].isascii() and parts[name].isdigit() and 0 < int(parts[name][:6]) < 10000):
            raise InvalidValueError("rrule", f"{name} must be from 1 to 9999")
    if "COUNT" in parts and "UNTIL" in parts:
        raise InvalidValueError("rrule", "COUNT and UNTIL exclude each other")
    _check_values(parts)
    starts = (parts.get("BYHOUR", "").count(",") + 1) * (parts.get("BYMINUTE", "").count(",") + 1)
    if starts > _MOST_STARTS_A_DAY:
        raise InvalidValueError("rrule", f"gives more than {_MOST_STARTS_A_DAY} starts a day")
    return ";".join(f"{name}={value}" for name, value in parts.items())


def _check_values(parts: dict[str, str]) -> None:
    """Raise for what no calendar has: python-dateutil would look for a 13th month until the year 9999."""
    for name, (least, most) in _LIMITS.items():
        for value in parts[name].split(",") if name in parts else ():
            digits = value[1:] if name in _FROM_THE_END and value[:1] in {"+", "-"} else value
            if not _NUMBER.fullmatch(digits) or not least <= int(digits) <= most:
                raise InvalidValueError("rrule", f"{name}: {value!r:.80} is not from {least} to {most}")
    for value in parts["BYDAY"].split(",") if "BYDAY" in parts else ():
        if not _DAY.fullmatch(value):
            raise InvalidValueError("rrule", f"BYDAY: {value!r:.80} is no day such as SU or -1FR")
    if parts.get("WKST", "MO") not in _WEEKDAYS:
        raise InvalidValueError("rrule", f"WKST must be one of {', '.join(_WEEKDAYS)}")


def coming_occurrences(schedule: Schedule, *, after: datetime, known: int = 0) -> tuple[tuple[datetime, ...], bool]:
    """Return the next starts (UTC) that come after ``after``, and whether there are none behind them.

    Args:
        schedule: whose rule is read.
        after: the last start that is known, or the present.
        known: how many are known already.

    Raises:
        InvalidValueError: the rule cannot be read.
    """
    wanted = max(OCCURRENCES_AHEAD - known, 0)
    horizon = after + _HORIZON
    starts = (start for start in _starts(schedule, after=after, horizon=horizon) if start > after)
    try:
        found = tuple(itertools.islice(starts, wanted + 1))
    except (IndexError, ValueError, OverflowError) as exc:
        # Some rules, such as BYDAY=53MO in a month, come to grief only as python-dateutil goes through them.
        raise InvalidValueError("rrule", f"cannot be worked out: {exc}"[:300]) from exc
    is_bounded = "COUNT=" in schedule.rule or ("UNTIL=" in schedule.rule and _until(schedule) <= horizon)
    return found[:wanted], len(found) <= wanted and is_bounded


def _starts(schedule: Schedule, *, after: datetime, horizon: datetime) -> Iterator[datetime]:
    zone = check_zone(schedule.zone)
    parts = _split(schedule.rule)
    count = int(parts.pop("COUNT", "0"))
    first = schedule.first if count else _skip_ahead(schedule.first, parts, after=after)
    until = min(_until(schedule), horizon) if parts.pop("UNTIL", "") else horizon
    # python-dateutil looks for what never comes true until the year 9999, so it is asked about a time just before that:
    # the calendar repeats itself every 400 years, weekdays included.
    shift = (MAXYEAR - first.year) // _CYCLE_YEARS * _CYCLE_YEARS
    rule = _parse(";".join(f"{name}={value}" for name, value in parts.items()), _moved(first, shift))
    instants = (_instant(_moved(start, -shift), zone) for start in rule)
    existing = itertools.takewhile(lambda start: start <= until, (start for start in instants if start is not None))
    return itertools.islice(existing, count) if count else existing


def _moved(local: datetime, years: int) -> datetime:
    return local.replace(year=local.year + years)


def _skip_ahead(first: datetime, parts: dict[str, str], *, after: datetime) -> datetime:
    """Return a later start of the same rule, so that one of years ago is not gone through day by day."""
    days = {"DAILY": 1, "WEEKLY": 7}.get(parts["FREQ"], 0) * int(parts.get("INTERVAL", "1"))
    if not days:
        return first
    passed = (after.replace(tzinfo=None) - first).days // days
    return first + timedelta(days=days * max(passed - 1, 0))


def _parse(rule: str, first: datetime) -> Iterator[datetime]:
    try:
        from dateutil.rrule import rrulestr  # noqa: PLC0415 - an extra, which only who plans recurring windows needs
    except ImportError as exc:
        raise InvalidValueError("rrule", "needs python-dateutil: pip install 'quiesce[schedule]'") from exc
    try:
        return iter(rrulestr(f"RRULE:{rule}", dtstart=first))
    except (ValueError, TypeError, OverflowError) as exc:
        raise InvalidValueError("rrule", f"cannot be read: {exc}"[:300]) from exc


def _until(schedule: Schedule) -> datetime:
    text = _split(schedule.rule)["UNTIL"]
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as exc:
        raise InvalidValueError("rrule", "UNTIL must be in UTC, such as 20271231T230000Z") from exc


def _split(rule: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in rule.strip().upper().removeprefix("RRULE:").split(";"):
        name, equals, value = part.partition("=")
        if name not in _PARTS or not equals or not value or not value.isprintable():
            raise InvalidValueError("rrule", f"{part!r:.80} is no part of a rule such as FREQ=WEEKLY;BYDAY=SU")
        if name in parts:
            raise InvalidValueError("rrule", f"{name} stands there twice")
        parts[name] = value
    return parts


def _instant(local: datetime, zone: ZoneInfo) -> datetime | None:
    instant = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return instant if instant.astimezone(zone).replace(tzinfo=None) == local else None
