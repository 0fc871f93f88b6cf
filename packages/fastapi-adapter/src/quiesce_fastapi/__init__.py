"""Quiesce for FastAPI, Starlette and any ASGI application."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING:
    from .extension import init_app
    from .middleware import MaintenanceModeMiddleware

__all__ = ["MaintenanceModeMiddleware", "__version__", "init_app"]

_ROOMS = {"MaintenanceModeMiddleware": ".middleware", "init_app": ".extension"}

if not TYPE_CHECKING:  # a type checker is to find names that are not there

    def __getattr__(name: str) -> object:
        # The core imports every installed plugin; an application of another framework must not pay 15 MB for this one.
        if name not in _ROOMS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_ROOMS[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
