"""HTTP without a framework: the API, the refusal, and who may command."""

from __future__ import annotations

from .api import HEALTH_PATH, PREFIX, MaintenanceStatusAPI, Route
from .exchange import LONGEST_BODY, ApiRequest, ApiResponse
from .responses import Refusals

__all__ = [
    "HEALTH_PATH",
    "LONGEST_BODY",
    "PREFIX",
    "ApiRequest",
    "ApiResponse",
    "MaintenanceStatusAPI",
    "Refusals",
    "Route",
]
