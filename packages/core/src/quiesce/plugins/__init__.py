"""Plugins: the hooks that they implement, and the manager that loads and calls them."""

from __future__ import annotations

from .hookspecs import hookimpl
from .manager import PluginManager
from .results import HookResult, PluginInfo

__all__ = ["HookResult", "PluginInfo", "PluginManager", "hookimpl"]
