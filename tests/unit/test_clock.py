"""The clocks by which decisions are made."""

from __future__ import annotations

import pytest

from quiesce import Clock, SystemClock
from quiesce.clock import monotonic_reading
from quiesce.testing import FakeClock


@pytest.mark.parametrize("make", [SystemClock, FakeClock])
def test_a_reading_for_the_hot_path_is_the_clocks_own(make: type[Clock]) -> None:
    """A gate that read another clock than its agent would see leases lapse, or never lapse."""
    clock = make()
    read, argument = monotonic_reading(clock)

    before, found, after = clock.monotonic(), read(argument), clock.monotonic()

    assert before <= found <= after


def test_a_reading_follows_a_clock_that_is_moved() -> None:
    """Tests step their clock after the gate was made."""
    clock = FakeClock()
    read, argument = monotonic_reading(clock)
    before = read(argument)

    clock.advance(5)

    assert read(argument) - before == 5
