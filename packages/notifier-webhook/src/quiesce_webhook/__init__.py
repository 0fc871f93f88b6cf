"""Quiesce notifier for webhooks: signed as Standard Webhooks are, or in the shapes of Slack and Microsoft Teams."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__
from .hooks import notify

if TYPE_CHECKING:
    from .webhook import Webhook

__all__ = ["Webhook", "__version__", "notify"]

_ROOMS = {"Webhook": ".webhook"}

if not TYPE_CHECKING:  # a type checker is to find names that are not there

    def __getattr__(name: str) -> object:
        # The core imports every installed plugin; a worker that sends nothing must not pay for an HTTP client.
        if name not in _ROOMS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_ROOMS[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
