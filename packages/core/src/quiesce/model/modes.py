"""The three modes of maintenance, in order of strictness."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """How a window treats the operations it covers."""

    NORMAL = "normal"
    """Refuse what changes something; reading goes on."""
    EMERGENCY = "emergency"
    """Refuse everything but admins."""
    TEST = "test"
    """Judge live traffic as a normal window would, record the answers, refuse nothing."""

    @property
    def strictness(self) -> int:
        """Rank among the modes: emergency 2, normal 1, test 0."""
        return _STRICTNESS[self]

    @property
    def is_enforced(self) -> bool:
        """Whether a window of this mode refuses anything."""
        return self is not Mode.TEST


_STRICTNESS = {Mode.TEST: 0, Mode.NORMAL: 1, Mode.EMERGENCY: 2}
