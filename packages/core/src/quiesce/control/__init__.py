"""The control plane: commands, the verdict, and what follows from them."""

from __future__ import annotations

from .service import EnhancedMaintenanceModeService
from .status import MaintenanceStatus

__all__ = ["EnhancedMaintenanceModeService", "MaintenanceStatus"]
