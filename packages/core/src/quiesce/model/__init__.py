"""The frozen values that every room speaks."""

from __future__ import annotations

from .decisions import Decision, Outcome
from .errors import (
    AmbiguousWindowError,
    BoardError,
    ConflictError,
    InvalidValueError,
    NoOpenWindowError,
    NotQuiescedError,
    OperationRefusedError,
    PluginError,
    QuiesceError,
    RevisionConflictError,
    SettingsError,
    StoreCorruptError,
    StoreError,
    StoreUnreachableError,
    StoreURLError,
    UnknownWorkerError,
    WindowOpenError,
)
from .modes import Mode
from .operations import BUILTIN_OPERATIONS, OperationType
from .records import AuditRecord, CountKey
from .requests import WEBSOCKET, Principal, RequestInfo
from .rules import Rule, RuleKind
from .state import EffectiveMaintenance, MaintenanceState, effective
from .windows import MaintenanceWindow
from .workers import Acknowledgement, QuiescenceReport, RequestInFlight, WorkerInfo, WorkerReport

__all__ = [
    "BUILTIN_OPERATIONS",
    "WEBSOCKET",
    "Acknowledgement",
    "AmbiguousWindowError",
    "AuditRecord",
    "BoardError",
    "ConflictError",
    "CountKey",
    "Decision",
    "EffectiveMaintenance",
    "InvalidValueError",
    "MaintenanceState",
    "MaintenanceWindow",
    "Mode",
    "NoOpenWindowError",
    "NotQuiescedError",
    "OperationRefusedError",
    "OperationType",
    "Outcome",
    "PluginError",
    "Principal",
    "QuiesceError",
    "QuiescenceReport",
    "RequestInFlight",
    "RequestInfo",
    "RevisionConflictError",
    "Rule",
    "RuleKind",
    "SettingsError",
    "StoreCorruptError",
    "StoreError",
    "StoreURLError",
    "StoreUnreachableError",
    "UnknownWorkerError",
    "WindowOpenError",
    "WorkerInfo",
    "WorkerReport",
    "effective",
]
