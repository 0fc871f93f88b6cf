"""Quiesce for Flask, and for any WSGI application."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING:
    from .extension import MaintenanceExtension, get_service, init_app
    from .identifying import FlaskIdentify, Identify
    from .middleware import MaintenanceModeMiddleware
    from .stored_sessions import RedisClient, StoredSessions

__all__ = [
    "FlaskIdentify",
    "Identify",
    "MaintenanceExtension",
    "MaintenanceModeMiddleware",
    "RedisClient",
    "StoredSessions",
    "__version__",
    "get_service",
    "init_app",
]

_ROOMS = {
    "FlaskIdentify": ".identifying",
    "Identify": ".identifying",
    "MaintenanceExtension": ".extension",
    "MaintenanceModeMiddleware": ".middleware",
    "RedisClient": ".stored_sessions",
    "StoredSessions": ".stored_sessions",
    "get_service": ".extension",
    "init_app": ".extension",
}

if not TYPE_CHECKING:  # a type checker is to find names that are not there

    def __getattr__(name: str) -> object:
        # The core imports every installed plugin; an application of another framework must not pay 15 MB for this one.
        if name not in _ROOMS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_ROOMS[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
