"""How values are written on the command line."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import click

LONGEST = timedelta(days=366)

_SECONDS = re.compile(r"[0-9]{1,8}")
_UNITS = re.compile(
    r"(?=[0-9])(?:(?P<days>[0-9]{1,8})d)?(?:(?P<hours>[0-9]{1,8})h)?"
    r"(?:(?P<minutes>[0-9]{1,8})m)?(?:(?P<seconds>[0-9]{1,8})s)?"
)


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions of click
    """A span of whole seconds up to 366 days: ``90``, ``90s``, ``45m``, ``2h``, ``1h30m``, ``1d``.

    Args:
        may_be_zero: whether ``0`` is taken too.
    """

    name = "duration"

    def __init__(self, *, may_be_zero: bool = False) -> None:
        self._may_be_zero = may_be_zero

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the span, or fail with the forms that are taken."""
        if isinstance(value, timedelta):
            return value
        span = _parse(value)
        if span is None:
            self.fail(f"{value!r:.80} is no duration; write it as 90, 90s, 45m, 2h, 1h30m or 1d", param, ctx)
        if span > LONGEST or (not span and not self._may_be_zero):
            least = "0" if self._may_be_zero else "1 second"
            self.fail(f"{value!r:.80} is not between {least} and 366 days", param, ctx)
        return span


def _parse(text: str) -> timedelta | None:
    if _SECONDS.fullmatch(text):
        return timedelta(seconds=int(text))
    found = _UNITS.fullmatch(text)
    if found is None:
        return None
    return timedelta(**{unit: int(count) for unit, count in found.groupdict(default="0").items()})
