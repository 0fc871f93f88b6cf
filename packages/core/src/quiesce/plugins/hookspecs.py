"""Every hook, with its contract.

A plugin is a module (or an object) whose functions carry ``@hookimpl`` and the name of a hook; it is found through the
entry-point group ``quiesce``. A hook may take fewer arguments than its spec names. All hooks are synchronous.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

from ..model import MaintenanceState, MaintenanceWindow, OperationType, RequestInfo

if TYPE_CHECKING:
    from ..stores.base import Store

PROJECT = "quiesce"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin as the implementation of the hook of its name."""


@hookspec(firstresult=True)
def classify_operation(request: RequestInfo) -> OperationType | str | None:
    """Say which type of operation a request is.

    When: once for each method and path, at the first such request and again when it has left the bounded cache;
        after the operator's rules and the marks of views, before the guide's endpoints. Be pure and quick: no I/O.
    Thread: whichever serves the request, on ASGI the event loop's; several at once.
    Return: a built-in type, one that ``operation_types`` declares, or the name of one. ``None``: no opinion.
    Stops: at the first plugin, in order of entry-point names, that does not return ``None``.
    Raises: counts as no opinion and is logged once with the plugin's name; the next plugin is asked.
    """


@hookspec
def operation_types() -> Iterable[OperationType] | None:
    """Declare the types of operation that this plugin adds.

    When: once, when the process starts.
    Thread: the one that starts the application.
    Return: the types; each name is new, or defined exactly as everywhere else. ``None``: no types.
    Stops: never, every plugin is asked.
    Raises: the process does not start; the error names the plugin and its distribution.
    """


@hookspec
def on_activate(window: MaintenanceWindow, state: MaintenanceState) -> None:
    """Act on a window that has opened.

    When: after the commit, when the window is open: once in the cluster, by its leading agent; again after the leader
        died halfway, so be idempotent (``window.id`` identifies it).
    Thread: one of its own, for this call; it may block for ``MAINTENANCE_HOOK_TIMEOUT`` at most.
    Return: nothing; ``None`` or any other value is ignored.
    Stops: never, every plugin is called, in parallel.
    Raises: recorded as this plugin's failure; neither the window nor another plugin is affected. So is a time-out.
    """


@hookspec
def on_deactivate(window: MaintenanceWindow, state: MaintenanceState) -> None:
    """Act on a window that is over, ended by an operator or by its timeout.

    When: after the commit or the timeout: once in the cluster, by its leading agent; again after the leader died
        halfway, so be idempotent (``window.id`` identifies it).
    Thread: one of its own, for this call; it may block for ``MAINTENANCE_HOOK_TIMEOUT`` at most.
    Return: nothing; ``None`` or any other value is ignored.
    Stops: never, every plugin is called, in parallel.
    Raises: recorded as this plugin's failure; neither the window nor another plugin is affected. So is a time-out.
    """


@hookspec(firstresult=True)
def open_store(url: str) -> Store | None:
    """Open a store of a kind that the core does not know.

    When: at start and in each command, for an address whose scheme is not built in.
    Thread: the caller's.
    Return: a ``Store`` that passes ``quiesce.testing.StoreContract``. ``None``: this scheme is not mine.
    Stops: at the first plugin, in order of entry-point names, that does not return ``None``.
    Raises: ``StoreURLError`` and its kin go to the caller as they are, all else as ``PluginError``.
    """
