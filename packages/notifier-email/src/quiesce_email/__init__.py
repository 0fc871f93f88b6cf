"""Quiesce by e-mail: operators and users are told of what happens to maintenance windows, over SMTP."""

from __future__ import annotations

from ._version import __version__
from .hooks import notify

__all__ = ["__version__", "notify"]
