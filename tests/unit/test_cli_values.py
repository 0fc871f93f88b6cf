"""What is written on the command line and what is printed from it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.cli.terminal import escape, format_instant, format_span
from quiesce.cli.values import Duration


@pytest.fixture
def two_hours_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose clock shows two hours more than UTC."""
    monkeypatch.setenv("TZ", "EET-2")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("45m", 2700),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1d", 86400),
        ("1d2h3m4s", 93784),
        ("366d", 31622400),
    ],
)
def test_durations_that_are_taken(text: str, seconds: int) -> None:
    """The forms that the help promises mean what they say."""
    assert Duration().convert(text, None, None) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-5",
        "+5",
        "1.5h",
        "1e3",
        "5x",
        "h",
        "30m1h",
        "1h1h",
        "1 h",
        "1H",
        "\u0663",
        "\uff11\uff10",
        "0x10",
        "inf",
        "nan",
        "\n5",
        "5\n",
    ],
)
def test_anything_else_is_refused_with_the_forms(text: str) -> None:
    """A duration that is guessed at ends maintenance at a time that nobody meant."""
    with pytest.raises(click.BadParameter, match="90, 90s, 45m, 2h, 1h30m or 1d"):
        Duration().convert(text, None, None)


@pytest.mark.parametrize("text", ["0", "0s", "0h0m", "367d", "31622401", "99999999d", "366d1s"])
def test_durations_out_of_range_are_refused(text: str) -> None:
    """Nothing overflows, and a window of no length is a slip."""
    with pytest.raises(click.BadParameter, match="not between"):
        Duration().convert(text, None, None)


def test_zero_is_a_time_to_wait() -> None:
    """``wait --timeout 0`` looks once."""
    assert Duration(may_be_zero=True).convert("0", None, None) == timedelta(0)


@given(st.integers(1, 31622400))
def test_a_span_is_printed_as_it_is_read(seconds: int) -> None:
    """What a command prints can be pasted into the next one."""
    span = timedelta(seconds=seconds)

    assert Duration().convert(format_span(span), None, None) == span


@given(st.text(alphabet=st.characters()))
def test_escaped_text_cannot_steer_a_terminal(text: str) -> None:
    """A stored reason reaches the terminal of every operator who looks."""
    shown = escape(text)

    assert shown.isprintable()
    assert "".join(c for c in text if c.isprintable()) in shown or shown != text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Änderung: 数据库 🚧", "Änderung: 数据库 🚧"),
        ("\x1b]0;x\x07", r"\x1b]0;x\x07"),
        ("a\r\nb", r"a\r\nb"),
        ("\u202eevil", r"\u202eevil"),
        ("\x9b31m", r"\x9b31m"),
        ("\udc80", r"\udc80"),
    ],
)
def test_escape_spares_what_people_write(text: str, shown: str) -> None:
    """Letters of any script stay; control characters, bidi overrides and broken bytes show."""
    assert escape(text) == shown


def test_times_are_shown_in_both_zones(two_hours_east: None) -> None:
    """Operators compare with logs in UTC and with the clock on the wall."""
    assert format_instant(datetime(2026, 5, 4, 10, 0, tzinfo=UTC)) == "2026-05-04 10:00:00 UTC (12:00:00 EET)"
    assert (
        format_instant(datetime(2026, 5, 4, 23, 0, tzinfo=UTC)) == "2026-05-04 23:00:00 UTC (2026-05-05 01:00:00 EET)"
    )
