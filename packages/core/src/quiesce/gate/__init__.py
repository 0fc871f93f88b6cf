"""The data plane: what happens to every request; no I/O."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .agent import Agent
    from .board import CAPACITY_BYTES, Board
    from .classifier import MaintenanceOperationClassifier
    from .gate import Gate
    from .guard import Caller, Guard, current_caller
    from .marks import operation
    from .passes import PASS_COOKIE, PASS_HEADER
    from .paths import normalise
    from .policy import Policy
    from .processes import is_gone, this_machine
    from .pulse import HEARTBEAT_SECONDS, LEASE_SECONDS
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

_ROOMS = {
    "CAPACITY_BYTES": ".board",
    "HEARTBEAT_SECONDS": ".pulse",
    "LEASE_SECONDS": ".pulse",
    "PASS_COOKIE": ".passes",
    "PASS_HEADER": ".passes",
    "Agent": ".agent",
    "Board": ".board",
    "Caller": ".guard",
    "Gate": ".gate",
    "Guard": ".guard",
    "MaintenanceOperationClassifier": ".classifier",
    "Policy": ".policy",
    "Snapshot": ".replica",
    "current_caller": ".guard",
    "is_gone": ".processes",
    "normalise": ".paths",
    "operation": ".marks",
    "reseed": ".reseeding",
    "this_machine": ".processes",
}

if not TYPE_CHECKING:  # a type checker is to find names that are not there

    def __getattr__(name: str) -> object:
        # A command needs the board and no gate.
        if name not in _ROOMS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_ROOMS[name], __name__), name)
