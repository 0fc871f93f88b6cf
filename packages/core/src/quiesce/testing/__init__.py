"""Contract suites that plugin authors subclass."""

from __future__ import annotations

from .classifier import ClassifierContract
from .clock import FakeClock
from .store import StoreContract
from .waiting import eventually

__all__ = ["ClassifierContract", "FakeClock", "StoreContract", "eventually"]
