"""Quiesce for Flask, and for any WSGI application."""

from __future__ import annotations

from ._version import __version__
from .extension import MaintenanceExtension, get_service, init_app
from .identifying import FlaskIdentify, Identify
from .middleware import MaintenanceModeMiddleware

__all__ = [
    "FlaskIdentify",
    "Identify",
    "MaintenanceExtension",
    "MaintenanceModeMiddleware",
    "__version__",
    "get_service",
    "init_app",
]
