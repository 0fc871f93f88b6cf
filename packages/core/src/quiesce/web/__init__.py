"""HTTP without a framework: the API, the refusal, and who may command."""

from __future__ import annotations

from .api import MaintenanceStatusAPI
from .exchange import LONGEST_BODY, ApiRequest, ApiResponse
from .responses import Refusals
from .routing import HEALTH_PATH, PREFIX, Route

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
