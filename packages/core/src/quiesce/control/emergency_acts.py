"""The steps of an emergency besides refusing requests: what each does, and how it knows that it is done.

Each may be begun again at any time by another process that leads now, and so is idempotent. A new step is a function
here, and a line in ``STEPS``.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING

from ..model import (
    EmergencyStep,
    JobFate,
    LedgerEntry,
    MaintenanceWindow,
    OperationType,
    SessionPolicy,
    StepStatus,
    WorkerReport,
)
from .job_commands import JobCommands
from .job_sources import describe_unquiet, read_sources
from .notifications import NotificationDesk
from .outbox_told import find_start, who_was_told
from .proof import listed_workers
from .quiescence import worker_name
from .session_index import SessionIndex
from .writing import CommandWriter

if TYPE_CHECKING:
    from .runtime import Runtime

_LOOK_SECONDS = (0.02, 0.5)
"""Between two looks at what others do: at first, and at most."""
_ACKNOWLEDGED_WITHIN = 2.0
_REVOKED_WITHIN = 5.0
_CLOSED_WITHIN = 5.0
_TOLD_WITHIN = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one attempt.

    Attributes:
        count: what it was about; ``None``: not known.
        detail: in words.
        problems: what failed or is not known; with one, it is tried again.
        is_skipped: whether there was nothing to do.
    """

    count: int | None = None
    detail: str = ""
    problems: tuple[str, ...] = ()
    is_skipped: bool = False

    @property
    def status(self) -> StepStatus:
        """What the step is then."""
        if self.problems:
            return StepStatus.FAILED
        return StepStatus.SKIPPED if self.is_skipped else StepStatus.DONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What a step is given.

    Attributes:
        runtime: of this process.
        window: the emergency's, as it was when the step began.
        step: as it was noted when this attempt began.
        runner: who carries it out.
        over: set when the emergency is, or this process ends.
    """

    runtime: Runtime
    window: MaintenanceWindow
    step: EmergencyStep
    runner: str
    over: Event

    def until(self, is_done: Callable[[], bool], *, seconds: float) -> bool:
        """Look again and again; return whether it was so in the end."""
        deadline = time.monotonic() + seconds
        pause, longest = _LOOK_SECONDS
        while not (found := is_done()) and time.monotonic() < deadline and not self.over.is_set():
            self.over.wait(min(pause, max(0.0, deadline - time.monotonic())))
            pause = min(2 * pause, longest)
        return found

    def silent_workers(self) -> tuple[int, tuple[str, ...]]:
        """Wait for the workers to acknowledge the window; return how many are listed, and who has not, by name."""
        listed: list[WorkerReport] = []

        def have_all() -> bool:
            listed[:] = listed_workers(self.runtime)
            return all(map(self.is_applied_by, listed))

        self.until(have_all, seconds=_ACKNOWLEDGED_WITHIN)
        return len(listed), tuple(worker_name(report) for report in listed if not self.is_applied_by(report))

    def is_applied_by(self, report: WorkerReport) -> bool:
        """Whether a worker has acknowledged the window."""
        return report.acknowledgement is not None and self.window.id in report.acknowledgement.windows


def block(attempt: Attempt) -> Outcome:
    """Wait until every worker has said that it refuses; it does so from its first look on, whatever becomes of this."""
    listed, silent = attempt.silent_workers()
    if not listed:
        return Outcome(is_skipped=True, detail="no worker is listed; one that starts refuses from its first request on")
    return Outcome(
        count=listed - len(silent),
        detail=f"{listed - len(silent)} of {listed} workers refuse",
        problems=tuple(f"{name} has not acknowledged the emergency" for name in silent),
    )


def sessions(attempt: Attempt) -> Outcome:
    """Look that sessions were ended with the window's own commit, and how many there may have been."""
    window = attempt.window
    if window.session_policy is SessionPolicy.KEEP:
        return Outcome(is_skipped=True, detail="the window keeps sessions")
    if window.session_policy is SessionPolicy.SUSPEND:
        return Outcome(is_skipped=True, detail="the window ends none; they do not count until it is over")

    def were_ended() -> bool:
        found = attempt.runtime.committer.load().find(window.id)
        return found is not None and found.has_revoked_sessions

    # What a command opens has ended them already; the start of a planned window is noted by the leading worker.
    if not attempt.until(were_ended, seconds=_REVOKED_WITHIN):
        return Outcome(problems=("no worker has noted the start of the window, by which sessions end for good",))
    epoch = attempt.runtime.committer.load().sessions
    count = None
    if epoch.window_id == window.id:  # else others have been ended since, and nobody can tell whose count it is
        count = SessionIndex(attempt.runtime.store.items).count_ended(epoch, now=attempt.runtime.clock.now())
    number = "their number is not known" if count is None else f"about {count} were active within a day"
    return Outcome(count=count, detail=f"all but those of admins are over; {number}")


def jobs(attempt: Attempt) -> Outcome:
    """End the jobs of all queues within the grace period, and wait for tracked ones, which nobody can end by force."""
    runtime, window = attempt.runtime, attempt.window
    if not window.covers(OperationType.JOB_CREATION):
        return Outcome(is_skipped=True, detail="the window does not refuse new jobs, so none is ended")
    grace = grace_left(attempt.step, now=runtime.clock.now(), grace=runtime.settings.job_grace_period)
    deadline = time.monotonic() + grace.total_seconds()
    plugins = runtime.plugins
    has_queues = bool(
        plugins.implements("stop_jobs")
        or plugins.implements("job_counts")
        or read_sources(runtime.store.items).expected
    )
    _, silent = attempt.silent_workers()
    tracked = _tracked(runtime)
    if not has_queues and not tracked and not silent:
        return Outcome(is_skipped=True, detail="there is no plugin for a job queue, and no tracked job runs")
    problems = [f"{name} has not told its tracked jobs" for name in silent]
    ended: tuple[LedgerEntry, ...] = ()
    if has_queues:
        commands = JobCommands(runtime, writer=CommandWriter(runtime))
        report = commands.stop_all(window_id=window.id, grace=grace, actor=attempt.runner, source="agent")
        problems += report.problems
        problems += [why for counts in report.counts if (why := describe_unquiet(counts))]
        ended = tuple(e for e in commands.ledger(window_id=window.id) if e.record.fate is not JobFate.RUNNING)
    attempt.until(lambda: not _tracked(runtime), seconds=max(0.0, deadline - time.monotonic()))
    left = _tracked(runtime)
    problems += [
        f"{count} tracked {kind} still run, and cannot be ended by force" for kind, count in sorted(left.items())
    ]
    fates = Counter(str(entry.record.fate) for entry in ended)
    said = [f"{count} {fate}" for fate, count in sorted(fates.items())]
    if tracked:
        said.append(f"{max(0, tracked.total() - left.total())} tracked ended by themselves")
    return Outcome(
        count=len(ended) + max(0, tracked.total() - left.total()),
        detail=", ".join(said) or "no job ran",
        problems=tuple(problems),
    )


def websockets(attempt: Attempt) -> Outcome:
    """Watch the workers close what is open; which are admins' only the workers can tell."""
    found: list[tuple[str, int | None]] = []
    most_seen = 0

    def are_closed() -> bool:
        nonlocal most_seen
        found[:] = [
            (worker_name(report), _open_websockets(attempt, report)) for report in listed_workers(attempt.runtime)
        ]
        most_seen = max(most_seen, sum(count or 0 for _, count in found))
        return all(count == 0 for _, count in found)

    attempt.until(are_closed, seconds=_CLOSED_WITHIN)
    if not found:
        return Outcome(is_skipped=True, detail="no worker is listed")
    problems = tuple(_describe_open(name, count) for name, count in found if count != 0)
    # Those that were closed before the first look are in nobody's count.
    count = most_seen - sum(count or 0 for _, count in found) if most_seen else None
    detail = "none is open that the emergency refuses" if not problems else "not all are closed"
    return Outcome(count=count, detail=detail, problems=problems)


def logging(attempt: Attempt) -> Outcome:
    """Wait until every worker applies the window; it raises its log level before it says so."""
    listed, silent = attempt.silent_workers()
    if not listed:
        return Outcome(is_skipped=True, detail="no worker is listed")
    return Outcome(
        count=listed - len(silent),
        detail=f"{listed - len(silent)} of {listed} workers log everything, with the emergency in each line",
        problems=tuple(f"{name} has not acknowledged the emergency" for name in silent),
    )


def notifications(attempt: Attempt) -> Outcome:
    """Wait until every notifier has told of the start; where no worker sends, this process does."""
    runtime, store = attempt.runtime, attempt.runtime.store
    if not runtime.stored.settings().notifications_enabled:
        return Outcome(is_skipped=True, detail="MAINTENANCE_NOTIFICATIONS_ENABLED is false")
    names = runtime.plugins.implements("notify")
    if not names:
        return Outcome(is_skipped=True, detail="there is no notifier")
    if runtime.agent is None:
        tried = NotificationDesk(runtime, writer=CommandWriter(runtime)).deliver(within_seconds=_TOLD_WITHIN)
        # A worker that knows where to send will do it when one comes; an emergency cannot wait for that.
        names = tuple(name for name in names if name not in tried or not tried[name].is_unset)
    start = find_start(store, attempt.window.id)
    if start is None:
        return Outcome(problems=("the start of the window is not noted",))
    attempt.until(lambda: not who_was_told(store, names, start)[1], seconds=_TOLD_WITHIN)
    told, problems = who_was_told(store, names, start)
    if not told and not problems:
        return Outcome(is_skipped=True, detail="no notifier is set up, or they came later")
    detail = f"told by {', '.join(told)}" if told else "no notifier has told it"
    return Outcome(count=len(told), detail=detail, problems=problems)


@dataclass(frozen=True, slots=True)
class StepKind:
    """One step: its name, what it does, and how rarely it is tried again in the end."""

    name: str
    act: Callable[[Attempt], Outcome]
    longest_pause_seconds: float


STEPS: Sequence[StepKind] = (
    StepKind("block", block, 15.0),
    StepKind("sessions", sessions, 15.0),
    StepKind("jobs", jobs, 300.0),
    StepKind("websockets", websockets, 15.0),
    StepKind("logging", logging, 15.0),
    StepKind("notifications", notifications, 60.0),
)
"""In the order in which they are told; all are begun at once."""


def grace_left(step: EmergencyStep, *, now: datetime, grace: timedelta) -> timedelta:
    """Return how long jobs may still take; the period counts from the first attempt, and is given once."""
    if step.attempts <= 1 or step.started_at is None:
        return grace
    return min(max(step.started_at + grace - now, timedelta(0)), grace)


def _tracked(runtime: Runtime) -> Counter[str]:
    running: Counter[str] = Counter()
    for report in listed_workers(runtime):
        if report.acknowledgement is not None:
            running.update({kind: count for kind, count in report.acknowledgement.jobs.items() if count > 0})
    return running


def _open_websockets(attempt: Attempt, report: WorkerReport) -> int | None:
    if not attempt.is_applied_by(report) or report.acknowledgement is None:
        return None
    return report.acknowledgement.websockets


def _describe_open(name: str, count: int | None) -> str:
    return f"{name}: not known" if count is None else f"{name}: {count} still open"
