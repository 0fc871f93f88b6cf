"""The data plane: what happens to every request; no I/O."""

from __future__ import annotations

from .agent import HEARTBEAT_SECONDS, LEASE_SECONDS, Agent
from .board import CAPACITY_BYTES, Board
from .classifier import MaintenanceOperationClassifier
from .gate import Gate
from .guard import Caller, Guard, current_caller
from .marks import operation
from .passes import PASS_COOKIE, PASS_HEADER
from .paths import normalise
from .policy import Policy
from .processes import is_gone, this_machine
from .replica import Snapshot
from .reseeding import reseed

__all__ = [
    "CAPACITY_BYTES",
    "HEARTBEAT_SECONDS",
    "LEASE_SECONDS",
    "PASS_COOKIE",
    "PASS_HEADER",
    "Agent",
    "Board",
    "Caller",
    "Gate",
    "Guard",
    "MaintenanceOperationClassifier",
    "Policy",
    "Snapshot",
    "current_caller",
    "is_gone",
    "normalise",
    "operation",
    "reseed",
    "this_machine",
]
