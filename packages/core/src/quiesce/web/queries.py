"""Reading numbers from the query of a request."""

from __future__ import annotations

from ..model import InvalidValueError
from .routing import Call


def read_number(call: Call, name: str, *, default: int, least: int, most: int, what: str) -> int:
    """Return the whole number that a parameter holds.

    Raises:
        InvalidValueError: it holds something else, or a number that is out of range.
    """
    given = call.request.query.get(name, str(default))
    if not (given.isascii() and given.isdigit() and len(given) <= 8 and least <= int(given) <= most):
        raise InvalidValueError(name, f"must be {what} from {least} to {most}")
    return int(given)
