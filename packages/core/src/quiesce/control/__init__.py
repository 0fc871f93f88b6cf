"""The control plane: commands, the verdict, and what follows from them."""

from __future__ import annotations

from .plan_fields import PlanFields
from .schedule import Agenda, MaintenanceSchedule
from .service import EnhancedMaintenanceModeService
from .sessions import MaintenanceSessionManager
from .status import MaintenanceStatus

__all__ = [
    "Agenda",
    "EnhancedMaintenanceModeService",
    "MaintenanceSchedule",
    "MaintenanceSessionManager",
    "MaintenanceStatus",
    "PlanFields",
]
