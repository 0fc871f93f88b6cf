"""What Redis keeps as bytes, read as what it stands for."""

from __future__ import annotations

from ..model import StoreCorruptError


def text(stored: bytes) -> str:
    """Return ASCII text."""
    return stored.decode("ascii", "replace")


def number(stored: bytes | int) -> int:
    """Return a whole number.

    Raises:
        StoreCorruptError: it is none.
    """
    try:
        return int(stored)
    except ValueError as exc:
        raise StoreCorruptError(f"stored number cannot be read: {stored!r:.80}") from exc
