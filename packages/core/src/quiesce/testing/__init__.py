"""Contract suites that plugin authors subclass, a clock to move, and a way to wait."""

from __future__ import annotations

from .adapter import AdapterContract
from .adapter_client import AdapterClient, Answer
from .classifier import ClassifierContract
from .clock import FakeClock
from .job_queue import JobQueueContract
from .notifier import NotifierContract
from .store import StoreContract
from .waiting import eventually

__all__ = [
    "AdapterClient",
    "AdapterContract",
    "Answer",
    "ClassifierContract",
    "FakeClock",
    "JobQueueContract",
    "NotifierContract",
    "StoreContract",
    "eventually",
]
