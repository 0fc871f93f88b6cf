"""What a request was found to be, and the bounded memory of such findings."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from ..model import Mode, OperationType


@dataclass(frozen=True, slots=True)
class Classification:
    """The type of a request.

    Attributes:
        operation: the type; of several readings of a hostile path, the one that most modes refuse.
        rule: where the type comes from, in words an operator can look up.
        also: the types of the other readings; a window that names its own types looks at these too.
        is_fallback: whether nothing but the method spoke.
    """

    operation: OperationType
    rule: str
    also: tuple[OperationType, ...] = ()
    is_fallback: bool = False


def strictest(readings: Sequence[Classification]) -> Classification:
    """Return the reading that most modes refuse; among equals a specific type before a fallback, then the first."""
    if len(readings) == 1:
        return readings[0]
    chosen = max(readings, key=_strictness)
    others = {reading.operation: None for reading in readings if reading.operation != chosen.operation}
    return Classification(chosen.operation, chosen.rule, tuple(others), chosen.is_fallback)


def _strictness(reading: Classification) -> tuple[bool, bool, bool]:
    blocked_in = reading.operation.blocked_in
    return Mode.NORMAL in blocked_in, Mode.EMERGENCY in blocked_in, not reading.is_fallback


class ClassificationCache:
    """Remembers up to 2,048 classifications; reading takes no lock.

    Two generations take turns, so that a flood of paths that are asked for once costs no search for the oldest, and
    what is asked for often survives it.
    """

    __slots__ = ("_lock", "_old", "_young")

    _GENERATION = 1024
    _MAX_PATH = 512
    _MAX_METHOD = 32

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._young: dict[tuple[str, str], Classification] = {}
        self._old: dict[tuple[str, str], Classification] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, key: tuple[str, str]) -> Classification | None:
        """Return what is remembered of this method and path, or ``None``."""
        found = self._young.get(key)
        if found is not None:
            return found
        found = self._old.get(key)
        if found is not None:
            self.put(key, found)
        return found

    def put(self, key: tuple[str, str], classification: Classification) -> None:
        """Remember it, unless the path or the method is longer than any honest one."""
        method, path = key
        if len(path) > self._MAX_PATH or len(method) > self._MAX_METHOD:
            return
        with self._lock:
            if len(self._young) >= self._GENERATION and key not in self._young:
                self._old = self._young
                self._young = {}
            self._young[key] = classification
