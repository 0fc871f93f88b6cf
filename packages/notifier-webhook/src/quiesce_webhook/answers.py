"""What a receiver's answer means: taken, later, never this one, or never again."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from quiesce import DeliveryError

LONGEST_WAIT_SECONDS = 86_400.0
"""No receiver may put a notice off for longer than it would be tried."""
NEVER_THIS_ONE = frozenset({400, 413, 422})
"""The receiver does not understand this body; the next one may be another matter."""


def check_answer(status: int, *, retry_after: str | None, now: datetime) -> None:
    """Return if the notice was taken: any 2xx, whatever else the answer holds.

    Raises:
        DeliveryError: it was not. 410 disables the webhook; a redirect is a failure like any other.
    """
    if 200 <= status < 300:
        return
    problem = f"the webhook's receiver answered {status}"
    if status == 410:
        raise DeliveryError(f"{problem}: it wants no more", disables=True)
    if 300 <= status < 400:
        problem += ": redirects are not followed"
    raise DeliveryError(
        problem, retry_after_seconds=wait_of(retry_after, now=now), is_permanent=status in NEVER_THIS_ONE
    )


def wait_of(retry_after: str | None, *, now: datetime) -> float | None:
    """Return the seconds that ``Retry-After`` (RFC 9110) asks for, a day at most; ``None``: nothing sensible."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if re.fullmatch(r"[0-9]{1,12}", text):
        return min(float(text), LONGEST_WAIT_SECONDS)
    try:
        at = parsedate_to_datetime(text[:100])
        seconds = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds()
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT_SECONDS)
