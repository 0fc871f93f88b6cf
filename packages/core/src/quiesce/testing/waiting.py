"""Waiting for a condition with a deadline, instead of sleeping and hoping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_STEP_SECONDS = 0.005


def eventually(condition: Callable[[], T], *, within: float = 10.0) -> T:
    """Call ``condition`` until it returns something true, and return that.

    Args:
        condition: asked again and again; what it raises is not caught.
        within: seconds after which it has failed.

    Raises:
        AssertionError: it was not true in time; shows its last answer.
    """
    deadline = time.monotonic() + within
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {within:g} s; the last answer was {answer!r}")
        time.sleep(_STEP_SECONDS)
