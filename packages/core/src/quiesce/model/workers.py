"""What workers report, and the verdict drawn from all reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from .jobs import JobCounts
from .windows import MaintenanceWindow


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """One process that serves the application.

    Attributes:
        id: unique among all workers, ever.
        host: name of its machine.
        pid: process id there.
        machine: boot id and pid name space; only within the same one can ``pid`` be looked up.
        process_started: the kernel's start time of the process in clock ticks, so that a reused pid does not
            deceive; 0: unknown.
        framework: what it runs (``flask``, ``fastapi``, …).
        started_at: when it registered (UTC).
    """

    id: str
    host: str
    pid: int
    machine: str
    process_started: int
    framework: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class RequestInFlight:
    """One request that has not ended, with its age in seconds."""

    method: str
    path: str
    age: float


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What a worker applies, and what it still runs that this refuses (protocol rule 3).

    Attributes:
        revision: the revision that this process applies.
        windows: ids of the enforced windows that were open by its own clock when it counted.
        in_flight: requests that the windows refuse but that began before, by operation type.
        bypassing: requests of admins and bypass passes in flight; shown, not waited for.
        oldest: the oldest of ``in_flight``.
        is_stale: whether the process has lost touch with the store.
        jobs: tracked jobs that run, by kind.
        websockets: open WebSockets among ``in_flight`` that an emergency refuses; ``None``: not told.
    """

    revision: int
    windows: frozenset[str] = frozenset()
    in_flight: Mapping[str, int] = field(default_factory=dict)
    bypassing: int = 0
    oldest: RequestInFlight | None = None
    is_stale: bool = False
    jobs: Mapping[str, int] = field(default_factory=dict)
    websockets: int | None = None


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """A worker's last word, and how long ago it came.

    Attributes:
        heartbeat_age: seconds since the store last heard from it, by the store's own clock.
    """

    worker: WorkerInfo
    acknowledgement: Acknowledgement | None
    heartbeat_age: float


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What the store answers to a worker's report.

    Attributes:
        revision: the committed revision.
        commit_id: of the committed state.
        is_leader: whether this worker holds the leader's lease now.
        silent: other workers that were not heard of for a while, with the seconds of their silence; the longest first.
    """

    revision: int
    commit_id: str = ""
    is_leader: bool = False
    silent: tuple[tuple[WorkerInfo, float], ...] = ()


@dataclass(frozen=True, slots=True)
class QuiescenceReport:
    """Whether the system is quiet, and if not, why not; true at ``at`` and computed anew each time.

    Attributes:
        revision: the revision that was asked about.
        at: when it was computed (UTC).
        workers: every listed worker's report.
        confirmed: ids of workers that acknowledged and run nothing that is refused.
        unconfirmed: ids of workers of which that is not known; never counted as quiet.
        in_flight: refused requests still running, by type, over all workers.
        jobs: tracked jobs that run, by kind, over all workers; those that the windows refuse are in flight too.
        quiesced: whether nothing refused runs anywhere, confirmed by every listed worker.
        windows: the windows that refuse something, which it is about.
        obstacles: what stands in the way, in words, each naming its worker.
        job_counts: what each job queue has, as last heard of; none where no plugin counts jobs.
        holds_until: when the verdict ends by itself (UTC): the first enforced window's end; ``None``: no end known.
    """

    revision: int
    at: datetime
    workers: tuple[WorkerReport, ...]
    confirmed: tuple[str, ...]
    unconfirmed: tuple[str, ...]
    in_flight: Mapping[str, int]
    quiesced: bool
    obstacles: tuple[str, ...]
    windows: tuple[MaintenanceWindow, ...] = ()
    jobs: Mapping[str, int] = field(default_factory=dict)
    holds_until: datetime | None = None
    job_counts: tuple[JobCounts, ...] = ()
