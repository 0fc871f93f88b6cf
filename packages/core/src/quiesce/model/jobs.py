"""Background jobs as queues tell of them: how many there are, what is asked of a queue, and what became of each job."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCounts:
    """How many jobs one source has; ``None`` is not known, and not known is never taken for none.

    Attributes:
        source: the queue system, and where it needs telling apart which: ``rq``, ``celery``, ``celery:reports``.
        running: being worked on.
        reserved: taken by a worker that has not begun them; they may begin although new work is held back.
        queued: waiting where nobody has taken them.
        detail: why something is not known, or what else an operator should know.
    """

    source: str
    running: int | None
    reserved: int | None
    queued: int | None
    detail: str = ""

    @property
    def is_quiet(self) -> bool:
        """Whether it is known that nothing runs and nothing is about to."""
        return self.running == 0 and self.reserved == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobHold:
    """New work is to be held back, or let go again.

    Attributes:
        is_on: held back; ``False``: let go.
        window_ids: the open windows that refuse new jobs; none when it is let go.
        reason: of the strictest of them.
    """

    is_on: bool
    window_ids: frozenset[str] = frozenset()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStop:
    """What runs is to end.

    Attributes:
        window_id: the window for which; the ledger is kept under it.
        grace_seconds: how long jobs may take to end by themselves once they are asked; then they are terminated.
        reason: of that window.
    """

    window_id: str
    grace_seconds: float
    reason: str = ""


class JobFate(StrEnum):
    """How a job that was to end came to its end."""

    FINISHED = "finished"
    """It ran to its own end within the grace period."""
    STOPPED = "stopped"
    """It ended unfinished because it was asked to."""
    TERMINATED = "terminated"
    """It was ended by force."""
    LOST = "lost"
    """It ended, or may have, and nobody can say how; it is not put back by itself."""
    RUNNING = "running"
    """It could not be ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """One line of the ledger.

    Attributes:
        source: as in ``JobCounts``.
        id: the queue system's own id of the job.
        queue: which queue it came from.
        name: what it does: a function's or task's name.
        fate: how it ended.
        put_back_as: the id under which it was put back; empty: it was not.
        detail: what else there is to say.
        user: for whom it ran, if that is known.
        is_restorable: whether ``restore_jobs`` can put it back.
    """

    source: str
    id: str
    queue: str
    name: str
    fate: JobFate
    put_back_as: str = ""
    detail: str = ""
    user: str = ""
    is_restorable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAnswer:
    """What the leading worker last heard of one plugin's job sources.

    Attributes:
        plugin: its name.
        held_for: the windows for which new work was held back before the counts were taken.
        counts: one for each source; none: the plugin has none.
        problem: why nothing is known; empty: it answered.
        age: seconds since then, by the store's own clock.
    """

    plugin: str
    held_for: frozenset[str] = frozenset()
    counts: tuple[JobCounts, ...] = ()
    problem: str = ""
    age: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """A job that was ended, and for which window.

    Attributes:
        window_id: that window.
        record: the job and its fate.
        is_claimed: whether somebody is putting it back at this moment, or died over it.
    """

    window_id: str
    record: JobRecord
    is_claimed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStopReport:
    """What came of stopping all jobs.

    Attributes:
        window_id: the window for which.
        records: each job that ran or was reserved, with its fate.
        counts: what is left, counted afterwards.
        problems: what failed or is not known, each naming its plugin.
    """

    window_id: str
    records: tuple[JobRecord, ...]
    counts: tuple[JobCounts, ...]
    problems: tuple[str, ...]

    @property
    def is_quiet(self) -> bool:
        """Whether it is known that nothing runs any more and nothing is about to."""
        return not self.problems and all(count.is_quiet for count in self.counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRestoreReport:
    """What came of putting jobs back.

    Attributes:
        window_id: the window for which they were ended.
        restored: the jobs that were put back now.
        left: restorable jobs that were not: they failed, or somebody else is at them.
        problems: what failed, each naming its plugin.
    """

    window_id: str
    restored: tuple[JobRecord, ...]
    left: tuple[JobRecord, ...]
    problems: tuple[str, ...]
