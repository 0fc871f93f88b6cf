"""HTTP without a framework: the API, the refusal, and who may command."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .api import MaintenanceStatusAPI
    from .exchange import LONGEST_BODY, ApiRequest, ApiResponse
    from .responses import Refusals, token_refusal
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
    "token_refusal",
]

_ROOMS = {
    "HEALTH_PATH": ".routing",
    "LONGEST_BODY": ".exchange",
    "PREFIX": ".routing",
    "ApiRequest": ".exchange",
    "ApiResponse": ".exchange",
    "MaintenanceStatusAPI": ".api",
    "Refusals": ".responses",
    "Route": ".routing",
    "token_refusal": ".responses",
}

if not TYPE_CHECKING:  # a type checker is to find names that are not there

    def __getattr__(name: str) -> object:
        # A command shows documents, and serves nothing.
        if name not in _ROOMS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_ROOMS[name], __name__), name)
