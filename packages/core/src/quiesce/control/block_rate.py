"""How many requests are refused within a minute, and whether that is an alert. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..model import AlertRule
from .alert_rules import Finding, Verdict

CALM_SECONDS = 120.0
"""So long the rate must be below half the bound before that alert closes."""
MINUTE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Sample:
    """How many requests each window had refused at a time; one that is missing was not open yet."""

    seconds: float
    refused: Mapping[str, int]


def with_sample(samples: tuple[Sample, ...], sample: Sample) -> tuple[Sample, ...]:
    """Return the samples of the last minute with this one, and the one before them, from which they are counted."""
    recent = tuple(each for each in samples if sample.seconds - each.seconds < MINUTE_SECONDS)
    older = samples[: len(samples) - len(recent)]
    return (*older[-1:], *recent, sample)


def refused_per_minute(samples: tuple[Sample, ...]) -> tuple[float, bool]:
    """Return the rate, and whether it is that of a whole minute; if not, there were so many at least."""
    if not samples:
        return 0.0, False
    first, last = samples[0], samples[-1]
    grown = sum(_growth(first.refused.get(window_id, 0), count) for window_id, count in last.refused.items())
    span = last.seconds - first.seconds
    return (grown * MINUTE_SECONDS / span, True) if span >= MINUTE_SECONDS else (float(grown), False)


def find_block_rate(samples: tuple[Sample, ...], *, bound: int) -> Finding:
    """Judge the rate: bad at the bound, good below half of it, neither between them.

    Args:
        samples: of the windows that are open.
        bound: refused requests within a minute.
    """
    rate, is_whole = refused_per_minute(samples)
    verdict = Verdict.UNCLEAR
    if rate >= bound:
        verdict = Verdict.BAD
    elif is_whole and rate < bound / 2:
        verdict = Verdict.GOOD
    return Finding(
        rule=AlertRule.BLOCK_RATE,
        verdict=verdict,
        detail=f"{rate:.0f} requests were refused within a minute; the bound is {bound}",
        clear_after_seconds=CALM_SECONDS,
    )


def _growth(before: int, after: int) -> int:
    # A store that lost its counts begins anew; what it has now came since.
    return after - before if after >= before else after
