"""Finds the token in a request, and what a JWT says of its own age; believes nothing and never raises."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from .cookie_session import STAMP

_LONGEST = 8192
_LONGEST_KEY = 128
_NOT_READABLE = (ValueError, OverflowError, OSError, RecursionError)


@dataclass(frozen=True, slots=True)
class Age:
    """What a token says of when it was made, unverified.

    One that lies fails at the application's own check of its signature.

    Attributes:
        stamp: the generation in it; ``None``: it names none.
        issued_at: its ``iat`` (RFC 7519, UTC); ``None``: it names none.
    """

    stamp: int | None = None
    issued_at: datetime | None = None


def bearer_token(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the token of the first ``Authorization: Bearer`` (RFC 6750), which is the one that frameworks read."""
    for name, value in headers:
        if name == b"authorization":
            scheme, _, token = value.strip().partition(b" ")
            return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else None
    return None


def key_of(token: str) -> str:
    """Return what tells a token from all others: its end, where the signature of a JWT is; the whole would be dear."""
    return token[-_LONGEST_KEY:]


def age_of(token: str) -> Age:
    """Return what stands in the claims of a JWT; nothing for an opaque token, or one over 8 kB."""
    parts = token.split(".", 3) if len(token) <= _LONGEST else []
    if len(parts) != 3:
        return Age()
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        if not isinstance(claims, dict):
            return Age()
        stamp, iat = claims.get(STAMP), claims.get("iat")
        at = datetime.fromtimestamp(iat, UTC) if isinstance(iat, (int, float)) else None
        return Age(stamp if type(stamp) is int else None, at)
    except _NOT_READABLE:
        return Age()
