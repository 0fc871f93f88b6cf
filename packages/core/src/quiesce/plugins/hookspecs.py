"""Every hook, with its contract.

A plugin is a module (or an object) whose functions carry ``@hookimpl`` and the name of a hook; it is found through the
entry-point group ``quiesce``. A hook may take fewer arguments than its spec names. All hooks are synchronous.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pluggy

from ..model import (
    JobCounts,
    JobHold,
    JobRecord,
    JobStop,
    MaintenanceEvent,
    MaintenanceState,
    MaintenanceWindow,
    Notice,
    OperationType,
    RequestInfo,
    SessionInvalidation,
)
from ..settings import Settings

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


@hookspec
def on_session_invalidate(invalidation: SessionInvalidation) -> None:
    """Delete what is stored of sessions that are over.

    They do not count any more whatever this does: it only clears up.

    When: after the commit that ended them, once in the cluster, by its leading agent; again after the leader died
        halfway, so be idempotent. Of several revocations of everyone's sessions only the last is told.
    Thread: one of its own, for this call; it may block for an hour at most.
    Return: nothing; ``None`` or any other value is ignored.
    Stops: never, every plugin is called, in parallel.
    Raises: recorded as this plugin's failure, and tried again, later and later; the sessions are over all the same. So
        is a time-out.
    """


@hookspec
def notify(event: MaintenanceEvent, notice: Notice, settings: Settings) -> None:
    """Tell people of what happened.

    ``settings`` are those in force now: what the process was given, and for the rest what the store keeps.

    When: after the commit, once for each event and plugin and in the order of what happened: by the leading agent, or
        by a command before it ends. Again until it has returned, later and later for a day at most; and again after
        who sent it died halfway, so let receivers know it by ``notice.id``.
    Thread: one of its own for each plugin; it may block for ``MAINTENANCE_HOOK_TIMEOUT`` at most.
    Return: nothing once it is delivered; ``None`` or any other value is ignored.
    Stops: never, every plugin is called, each at its own pace.
    Raises: tried again, and the plugin's later notices wait for it; ``DeliveryError`` says when, or that it is of no
        use. So is a time-out.
    """


@hookspec
def job_counts() -> Iterable[JobCounts] | JobCounts | None:
    """Say how many jobs run, are reserved and wait.

    When: about once a second while a window refuses new jobs, and when an operator asks; by one process at a time.
    Thread: one of its own, for this call; it may block for 2 seconds, after which nothing is known of its source.
    Return: counts for each source, ``None`` in a count for what is not known. ``None``: this plugin has no source.
    Stops: never, every plugin is asked, in parallel.
    Raises: nothing is known of the source then, and so the system is not called quiet. So is a time-out.
        A plugin that counts jobs without ``hold_jobs`` is never called quiet: new ones may begin at any time.
    """


@hookspec
def hold_jobs(hold: JobHold) -> None:
    """Hold new work back, or let it go again.

    When: when the first window opens that refuses new jobs, when the last one is over, and again after the leader
        changed or ``job_counts`` knew something no more, so be idempotent; never before the commit.
    Thread: one of its own, for this call; it may block for ``MAINTENANCE_HOOK_TIMEOUT`` at most.
    Return: nothing once it is done; ``None`` or any other value is ignored.
    Stops: never, every plugin is called, in parallel.
    Raises: recorded as this plugin's failure, and tried again. So is a time-out.
    """


@hookspec
def stop_jobs(request: JobStop) -> Iterable[JobRecord] | None:
    """End the jobs that run: ask, wait for the grace period, terminate, verify.

    When: in an emergency, or when an operator asks; after ``hold_jobs``; again after the leader died halfway, so be
        idempotent.
    Thread: one of its own, for this call; it may block for the grace period and 30 seconds more.
    Return: a record for each job that ran or was reserved, with what became of it. ``None``: no job was there.
    Stops: never, every plugin is called, in parallel.
    Raises: recorded as this plugin's failure, and tried again. So is a time-out.
    """


@hookspec
def restore_jobs(ledger: Sequence[JobRecord]) -> Iterable[JobRecord] | None:
    """Put back the jobs that were ended, each once.

    When: when an operator asks for it after the window is over; again after a process died halfway, so be idempotent:
        give what is put back an id that follows from the record.
    Thread: one of its own, for this call; it may block for ``MAINTENANCE_HOOK_TIMEOUT`` at most.
    Return: the records of the plugin's own sources, with ``put_back_as`` set where it did. ``None``: none is its own.
    Stops: never, every plugin is called, in parallel.
    Raises: recorded as this plugin's failure; the records stay as they were, to be tried again. So is a time-out.
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
