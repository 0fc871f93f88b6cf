"""How long the system has been quiet without a break, judged look by look."""

from __future__ import annotations

import pytest

from quiesce.cli.waiting import _Calm

LOOKS = [(n / 10, n / 10 + 0.01) for n in range(60)]


def first_enough(calm: _Calm, *, busy: frozenset[int] = frozenset(), unwatched: frozenset[int] = frozenset()) -> int:
    """The number of the look that ends the waiting; -1: none does."""
    for n, (asked_at, now) in enumerate(LOOKS):
        if n not in unwatched and calm.lasts(is_quiet=n not in busy, asked_at=asked_at, now=now):
            return n
    return -1


@pytest.mark.parametrize(
    ("busy", "unwatched", "expected"),
    [
        (set(), set(), 11),
        ({0, 1, 2}, set(), 14),
        ({8}, set(), 20),
        (set(), set(range(5, 30)), 41),
        (set(range(0, 60, 9)), set(), -1),
    ],
)
def test_a_second_of_quiet_has_no_break(busy: set[int], unwatched: set[int], expected: int) -> None:
    """A look that finds work, or a time in which nobody looked, begins it anew."""
    found = first_enough(_Calm(1.0), busy=frozenset(busy), unwatched=frozenset(unwatched))

    assert found == expected


def test_without_a_wanted_time_the_first_quiet_look_is_enough() -> None:
    """``wait`` as ever."""
    assert first_enough(_Calm(0.0), busy=frozenset({0})) == 1
