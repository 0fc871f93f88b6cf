"""The control plane: commands, the verdict, and what follows from them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .emergency import EmergencyMaintenanceHandler
    from .plan_fields import PlanFields
    from .schedule import Agenda, MaintenanceSchedule
    from .service import EnhancedMaintenanceModeService
    from .sessions import MaintenanceSessionManager
    from .status import MaintenanceStatus

__all__ = [
    "Agenda",
    "EmergencyMaintenanceHandler",
    "EnhancedMaintenanceModeService",
    "MaintenanceSchedule",
    "MaintenanceSessionManager",
    "MaintenanceStatus",
    "PlanFields",
]

_ROOMS = {
    "Agenda": ".schedule",
    "EmergencyMaintenanceHandler": ".emergency",
    "EnhancedMaintenanceModeService": ".service",
    "MaintenanceSchedule": ".schedule",
    "MaintenanceSessionManager": ".sessions",
    "MaintenanceStatus": ".status",
    "PlanFields": ".plan_fields",
}

if not TYPE_CHECKING:  # a type checker is to find names that are not there

    def __getattr__(name: str) -> object:
        # Who plans no windows needs no calendar.
        if name not in _ROOMS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_ROOMS[name], __name__), name)
