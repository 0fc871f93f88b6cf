"""The frozen values that every room speaks."""

from __future__ import annotations

from .alerts import Alert, AlertRule
from .audit_chain import AuditChain, ChainLink, is_keyed
from .audit_head import GENESIS, NO_HEAD, AuditHead
from .configuration import ConfiguredSetting, KeyRotation, SettingSource
from .decisions import Decision, Outcome
from .emergency import CheckKind, EmergencyProgress, EmergencyRecovery, EmergencyStep, RecoveryCheck, StepStatus
from .errors import (
    AmbiguousWindowError,
    BoardError,
    ConflictError,
    DeliveryError,
    IdTakenError,
    InvalidValueError,
    MissingExtraError,
    NoOpenWindowError,
    NoSuchOperatorError,
    NoSuchPassError,
    NoSuchWindowError,
    NotQuiescedError,
    NotRecoveredError,
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
from .events import EventKind, MaintenanceEvent
from .jobs import (
    JobAnswer,
    JobCounts,
    JobFate,
    JobHold,
    JobRecord,
    JobRestoreReport,
    JobStop,
    JobStopReport,
    LedgerEntry,
)
from .leases import Lease
from .lineage import merged, stamped
from .modes import Mode
from .notices import Audience, Notice
from .notifications import DeadNotice, NotifierStatus, NotifierTest
from .operations import BUILTIN_OPERATIONS, OperationType
from .operators import Operator, ProofKind, ProofOutcome, ProofVerdict
from .passes import BypassPass
from .records import AuditRecord, CallerKind, CountKey
from .reports import IncidentReport, ReportCount, ReportEntry, ReportHeading
from .requests import WEBSOCKET, Principal, RequestInfo
from .rules import Rule, RuleKind
from .schedules import Schedule
from .session_reports import ActiveSession, SessionDeletion, SessionHealth, SessionStats
from .sessions import SessionEpoch, SessionInvalidation, SessionPolicy, SessionVerdict, UserRevocation
from .state import MOST_COMMITS, EffectiveMaintenance, MaintenanceState, effective
from .windows import MaintenanceWindow
from .workers import Acknowledgement, Heartbeat, QuiescenceReport, RequestInFlight, WorkerInfo, WorkerReport

__all__ = [
    "BUILTIN_OPERATIONS",
    "GENESIS",
    "MOST_COMMITS",
    "NO_HEAD",
    "WEBSOCKET",
    "Acknowledgement",
    "ActiveSession",
    "Alert",
    "AlertRule",
    "AmbiguousWindowError",
    "Audience",
    "AuditChain",
    "AuditHead",
    "AuditRecord",
    "BoardError",
    "BypassPass",
    "CallerKind",
    "ChainLink",
    "CheckKind",
    "ConfiguredSetting",
    "ConflictError",
    "CountKey",
    "DeadNotice",
    "Decision",
    "DeliveryError",
    "EffectiveMaintenance",
    "EmergencyProgress",
    "EmergencyRecovery",
    "EmergencyStep",
    "EventKind",
    "Heartbeat",
    "IdTakenError",
    "IncidentReport",
    "InvalidValueError",
    "JobAnswer",
    "JobCounts",
    "JobFate",
    "JobHold",
    "JobRecord",
    "JobRestoreReport",
    "JobStop",
    "JobStopReport",
    "KeyRotation",
    "Lease",
    "LedgerEntry",
    "MaintenanceEvent",
    "MaintenanceState",
    "MaintenanceWindow",
    "MissingExtraError",
    "Mode",
    "NoOpenWindowError",
    "NoSuchOperatorError",
    "NoSuchPassError",
    "NoSuchWindowError",
    "NotQuiescedError",
    "NotRecoveredError",
    "Notice",
    "NotifierStatus",
    "NotifierTest",
    "OperationRefusedError",
    "OperationType",
    "Operator",
    "Outcome",
    "PluginError",
    "Principal",
    "ProofKind",
    "ProofOutcome",
    "ProofVerdict",
    "QuiesceError",
    "QuiescenceReport",
    "RecoveryCheck",
    "ReportCount",
    "ReportEntry",
    "ReportHeading",
    "RequestInFlight",
    "RequestInfo",
    "RevisionConflictError",
    "Rule",
    "RuleKind",
    "Schedule",
    "SessionDeletion",
    "SessionEpoch",
    "SessionHealth",
    "SessionInvalidation",
    "SessionPolicy",
    "SessionStats",
    "SessionVerdict",
    "SettingSource",
    "SettingsError",
    "StepStatus",
    "StoreCorruptError",
    "StoreError",
    "StoreURLError",
    "StoreUnreachableError",
    "UnknownWorkerError",
    "UserRevocation",
    "WindowOpenError",
    "WorkerInfo",
    "WorkerReport",
    "effective",
    "is_keyed",
    "merged",
    "stamped",
]
