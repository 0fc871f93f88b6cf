"""Quiesce for FastAPI, Starlette and any ASGI application."""

from __future__ import annotations

from ._version import __version__
from .extension import init_app
from .middleware import MaintenanceModeMiddleware

__all__ = ["MaintenanceModeMiddleware", "__version__", "init_app"]
