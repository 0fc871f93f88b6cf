"""Jobs that the application runs by itself (threads, cron, consumers): counted over all workers, asked to stop.

A job is guarded at its entry as a request is, so what a window refuses does not begin, and what began before is waited
for. Each worker tells how many it runs with its acknowledgement; a worker that dies takes its jobs off the count.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import weakref
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ..model import (
    JobAnswer,
    JobRestoreReport,
    JobStopReport,
    LedgerEntry,
    MaintenanceWindow,
    Mode,
    OperationType,
    StoreError,
)
from .runtime import Runtime
from .validation import check_job_kind

if TYPE_CHECKING:
    from ..gate import Guard
    from .job_commands import JobCommands
    from .writing import CommandWriter

_FRESH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job that runs in this process.

    Attributes:
        kind: what it does, e.g. ``export``.
        user: for whom; empty: nobody in particular.
        started_at: when (UTC).
    """

    kind: str
    user: str
    started_at: datetime


class Registry:
    """The jobs that run in this process; a forked child begins with none."""

    def __init__(self) -> None:
        self._running: dict[int, RunningJob] = {}
        self._tokens = itertools.count(1)
        _registries.add(self)

    def add(self, job: RunningJob) -> int:
        """Take a job in; return what to remove it by."""
        token = next(self._tokens)
        self._running[token] = job
        return token

    def remove(self, token: int) -> None:
        """Take a job out; a second call does nothing."""
        self._running.pop(token, None)

    def jobs(self) -> list[RunningJob]:
        """Return the jobs, the oldest first."""
        return list(self._running.copy().values())

    def clear(self) -> None:
        """Take all jobs out."""
        self._running.clear()


class JobTracker:
    """Tracks jobs, and commands those of queues; reached as ``service.jobs``."""

    def __init__(
        self, runtime: Runtime, *, guard: Callable[[OperationType | str], Guard], writer: CommandWriter
    ) -> None:
        self._runtime = runtime
        self._writer = writer
        self._guard = guard
        self._registry = Registry()
        self._total = (float("-inf"), 0)

    def track(
        self, kind: str, *, user: str = "", operation: OperationType | str = OperationType.JOB_CREATION
    ) -> TrackedJob:
        """Return a context manager (``with``, ``async with``) for one run of a job.

        Args:
            kind: what it does; 1 to 64 letters, digits, ``-``, ``_``, ``.`` or ``:``.
            user: for whom.
            operation: the type by which windows refuse it.

        Raises:
            InvalidValueError: the kind or the type is not valid.
            OperationRefusedError: on entering, when an open window refuses such an operation.
        """
        kind = check_job_kind(kind)
        clock = self._runtime.clock
        return TrackedJob(self._registry, self._guard(operation), begin=lambda: RunningJob(kind, user, clock.now()))

    def stopping(self) -> bool:
        """Whether running jobs are asked to come to an end now: an emergency is on. Cheap; ask between two steps."""
        return self._emergency() is not None

    def grace_left(self) -> timedelta | None:
        """Return how long a job may still take to stop, or ``None`` when none is asked to.

        ``EMERGENCY_MODE_JOB_GRACE_PERIOD`` after the emergency began it is zero.
        """
        window = self._emergency()
        if window is None:
            return None
        until = window.starts_at + self._runtime.settings.job_grace_period
        return max(until - self._runtime.clock.now(), timedelta(0))

    def running(self) -> tuple[RunningJob, ...]:
        """Return the jobs of this process, the oldest first."""
        return tuple(self._registry.jobs())

    def counts_here(self) -> Mapping[str, int]:
        """Return how many jobs of each kind this process runs."""
        return Counter(job.kind for job in self._registry.jobs())

    def counts(self) -> Mapping[str, int]:
        """Return how many jobs of each kind all workers run, by their last heartbeats.

        Raises:
            StoreError: the store does not answer; nothing is known then.
        """
        found: Counter[str] = Counter()
        for report in self._runtime.store.workers():
            if report.acknowledgement is not None:
                found.update(report.acknowledgement.jobs)
        return found

    def total_lately(self) -> int:
        """Return how many jobs all workers run, not older than a second; the last known number without the store.

        At most one question a second reaches the store, however often the public status is asked for.
        """
        now = self._runtime.clock.monotonic()
        asked_at, total = self._total
        if now - asked_at >= _FRESH_SECONDS:
            self._total = (now, total)  # first, so that others do not ask meanwhile
            with contextlib.suppress(StoreError):
                total = sum(self.counts().values())
                self._total = (now, total)
        return total

    def queues(self) -> tuple[JobAnswer, ...]:
        """Ask every plugin of this process how many jobs its queues have; takes up to two seconds.

        Raises:
            StoreError: the store does not answer.
        """
        return self._commands.queues()

    def stop_all(
        self,
        *,
        window_id: str | None = None,
        grace: timedelta | float | None = None,
        actor: str,
        source: str = "api",
    ) -> JobStopReport:
        """Hold new jobs back in every queue, ask those that run to end, terminate the rest, and write the ledger.

        Blocks for the grace period at most, and about a minute more when queues do not answer.

        Args:
            window_id: for which window; ``None``: the strictest open one that refuses new jobs.
            grace: how long jobs may take to end, as a span or in seconds; ``None``:
                ``EMERGENCY_MODE_JOB_GRACE_PERIOD``.
            actor: who asks.
            source: through what.

        Raises:
            InvalidValueError: something asked for is not valid; nothing changed.
            NoOpenWindowError: no window is open that refuses new jobs, or not the one named.
            StoreError: the store does not answer; whether jobs were ended is then not known.
        """
        return self._commands.stop_all(window_id=window_id, grace=grace, actor=actor, source=source)

    def ledger(self, *, window_id: str | None = None) -> tuple[LedgerEntry, ...]:
        """Return the jobs that were ended, for one window or for all, the newest first.

        Raises:
            StoreError: the store does not answer.
        """
        return self._commands.ledger(window_id=window_id)

    def restore(self, *, window_id: str, actor: str, source: str = "api") -> JobRestoreReport:
        """Put the restorable jobs of a window's ledger back, each once, however often this is called.

        Raises:
            WindowOpenError: a window is open that refuses new jobs; nothing changed.
            StoreError: the store does not answer; calling again finishes what was begun.
        """
        return self._commands.restore(window_id=window_id, actor=actor, source=source)

    @property
    def _commands(self) -> JobCommands:
        from .job_commands import JobCommands  # noqa: PLC0415 - few processes command queues

        return JobCommands(self._runtime, writer=self._writer)

    def _emergency(self) -> MaintenanceWindow | None:
        gate = self._runtime.gate
        judged = (gate.renew() if gate.has_news else gate.snapshot).effective
        if judged.mode is not Mode.EMERGENCY or not self._runtime.settings.enabled:
            return None
        return judged.windows[0]


class TrackedJob:
    """One run of a job; made by ``service.jobs.track``, to be entered once."""

    def __init__(self, registry: Registry, guard: Guard, *, begin: Callable[[], RunningJob]) -> None:
        self._registry = registry
        self._guard = guard
        self._begin = begin
        self._token = 0

    def __enter__(self) -> Self:
        self._guard.__enter__()
        self._token = self._registry.add(self._begin())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._registry.remove(self._token)
        self._guard.__exit__(kind, error, traceback)

    async def __aenter__(self) -> Self:
        await self._guard.__aenter__()
        self._token = self._registry.add(self._begin())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._registry.remove(self._token)
        await self._guard.__aexit__(kind, error, traceback)


_registries: weakref.WeakSet[Registry] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for registry in list(_registries):
        registry.clear()


os.register_at_fork(after_in_child=_after_fork_in_child)
