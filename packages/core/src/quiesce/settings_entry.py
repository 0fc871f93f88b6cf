"""What is known of one setting, and how a time is described."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

YES_NO = "true or false"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        name: of the environment variable, and of the key in ``[tool.quiesce]``.
        attribute: of ``Settings``.
        default: as it would be written; empty: not set.
        meaning: one sentence for operators.
        expected: what a value must be, in words.
        read: turns a raw value into the one that ``Settings`` holds.
        is_confidential: whether the value is kept out of every message.
        is_storable: whether the store may keep it, for all processes: it is asked for at each use.
    """

    name: str
    attribute: str
    default: str
    meaning: str
    expected: str
    read: Callable[[object], object]
    is_confidential: bool = False
    is_storable: bool = False


def seconds_from(least: str) -> str:
    """Return what is expected of a number of seconds, in words."""
    return f"seconds, from {least} to 31622400 (366 days)"
