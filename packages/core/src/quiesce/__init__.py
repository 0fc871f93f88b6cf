"""Quiesce: maintenance mode that proves when the system is quiet."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING:
    from .clock import Clock, SystemClock
    from .control import Agenda, EnhancedMaintenanceModeService, MaintenanceSchedule, MaintenanceStatus, PlanFields
    from .gate import Caller, Gate, Guard, MaintenanceOperationClassifier, current_caller, operation
    from .gate.marks import operation_of
    from .model import (
        WEBSOCKET,
        AmbiguousWindowError,
        BoardError,
        ConflictError,
        Decision,
        EventKind,
        Heartbeat,
        IdTakenError,
        InvalidValueError,
        Lease,
        MaintenanceEvent,
        MaintenanceState,
        MaintenanceWindow,
        Mode,
        NoOpenWindowError,
        NoSuchWindowError,
        NotQuiescedError,
        OperationRefusedError,
        OperationType,
        Outcome,
        PluginError,
        Principal,
        QuiesceError,
        QuiescenceReport,
        RequestInfo,
        RevisionConflictError,
        Schedule,
        SettingsError,
        StoreCorruptError,
        StoreError,
        StoreUnreachableError,
        StoreURLError,
        UnknownWorkerError,
        WindowOpenError,
        effective,
    )
    from .plugins import hookimpl
    from .settings import Settings
    from .stores import Change, Store, open_store
    from .web import LONGEST_BODY, ApiRequest, ApiResponse, MaintenanceStatusAPI, Refusals, Route

__all__ = [
    "LONGEST_BODY",
    "WEBSOCKET",
    "Agenda",
    "AmbiguousWindowError",
    "ApiRequest",
    "ApiResponse",
    "BoardError",
    "Caller",
    "Change",
    "Clock",
    "ConflictError",
    "Decision",
    "EnhancedMaintenanceModeService",
    "EventKind",
    "Gate",
    "Guard",
    "Heartbeat",
    "IdTakenError",
    "InvalidValueError",
    "Lease",
    "MaintenanceEvent",
    "MaintenanceOperationClassifier",
    "MaintenanceSchedule",
    "MaintenanceState",
    "MaintenanceStatus",
    "MaintenanceStatusAPI",
    "MaintenanceWindow",
    "Mode",
    "NoOpenWindowError",
    "NoSuchWindowError",
    "NotQuiescedError",
    "OperationRefusedError",
    "OperationType",
    "Outcome",
    "PlanFields",
    "PluginError",
    "Principal",
    "QuiesceError",
    "QuiescenceReport",
    "Refusals",
    "RequestInfo",
    "RevisionConflictError",
    "Route",
    "Schedule",
    "Settings",
    "SettingsError",
    "Store",
    "StoreCorruptError",
    "StoreError",
    "StoreURLError",
    "StoreUnreachableError",
    "SystemClock",
    "UnknownWorkerError",
    "WindowOpenError",
    "__version__",
    "current_caller",
    "effective",
    "hookimpl",
    "open_store",
    "operation",
    "operation_of",
]

_ROOMS = {
    "LONGEST_BODY": ".web",
    "WEBSOCKET": ".model",
    "Agenda": ".control",
    "AmbiguousWindowError": ".model",
    "ApiRequest": ".web",
    "ApiResponse": ".web",
    "BoardError": ".model",
    "Caller": ".gate",
    "Change": ".stores",
    "Clock": ".clock",
    "ConflictError": ".model",
    "Decision": ".model",
    "EnhancedMaintenanceModeService": ".control",
    "EventKind": ".model",
    "Gate": ".gate",
    "Guard": ".gate",
    "Heartbeat": ".model",
    "IdTakenError": ".model",
    "InvalidValueError": ".model",
    "Lease": ".model",
    "MaintenanceEvent": ".model",
    "MaintenanceOperationClassifier": ".gate",
    "MaintenanceSchedule": ".control",
    "MaintenanceState": ".model",
    "MaintenanceStatus": ".control",
    "MaintenanceStatusAPI": ".web",
    "MaintenanceWindow": ".model",
    "Mode": ".model",
    "NoOpenWindowError": ".model",
    "NoSuchWindowError": ".model",
    "NotQuiescedError": ".model",
    "OperationRefusedError": ".model",
    "OperationType": ".model",
    "Outcome": ".model",
    "PlanFields": ".control",
    "PluginError": ".model",
    "Principal": ".model",
    "QuiesceError": ".model",
    "QuiescenceReport": ".model",
    "Refusals": ".web",
    "RequestInfo": ".model",
    "RevisionConflictError": ".model",
    "Route": ".web",
    "Schedule": ".model",
    "Settings": ".settings",
    "SettingsError": ".model",
    "Store": ".stores",
    "StoreCorruptError": ".model",
    "StoreError": ".model",
    "StoreURLError": ".model",
    "StoreUnreachableError": ".model",
    "SystemClock": ".clock",
    "UnknownWorkerError": ".model",
    "WindowOpenError": ".model",
    "current_caller": ".gate",
    "effective": ".model",
    "hookimpl": ".plugins",
    "open_store": ".stores",
    "operation": ".gate",
    "operation_of": ".gate.marks",
}

if not TYPE_CHECKING:  # a type checker is to find names that are not there

    def __getattr__(name: str) -> object:
        # A command, a plugin and a worker each need a part of this, and wait for no other's nor hold it in memory.
        if name not in _ROOMS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(_ROOMS[name], __name__), name)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
