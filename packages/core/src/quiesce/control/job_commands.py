"""The commands on the jobs of queues: end them, with a ledger, and put them back once maintenance is over."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ..model import (
    JobAnswer,
    JobCounts,
    JobHold,
    JobRecord,
    JobRestoreReport,
    JobStop,
    JobStopReport,
    LedgerEntry,
    MaintenanceState,
    MaintenanceWindow,
    NoOpenWindowError,
    WindowOpenError,
    effective,
)
from .job_answers import ask_for_counts, failures, records_in
from .job_ledger import JobLedger, Line
from .job_sources import read_sources, refuses_jobs, write_held
from .journal import Journal
from .runtime import Runtime
from .validation import check_actor, check_duration
from .writing import CommandWriter

STOP_MARGIN_SECONDS = 30.0
"""How much longer than the grace period a plugin may take to end its jobs."""


class JobCommands:
    """Carries out commands for one runtime."""

    def __init__(self, runtime: Runtime, *, writer: CommandWriter) -> None:
        self._runtime = runtime
        self._writer = writer
        self._ledger = JobLedger(runtime.store.items)

    def queues(self) -> tuple[JobAnswer, ...]:
        """Ask every plugin of this process for its jobs; of those that it has not, nothing is known."""
        answers = ask_for_counts(self._runtime.plugins)
        here = {answer.plugin for answer in answers}
        return (
            *answers,
            *(
                JobAnswer(plugin=plugin, problem="the workers have this plugin, this process has not")
                for plugin in read_sources(self._runtime.store.items).expected
                if plugin not in here
            ),
        )

    def stop_all(
        self, *, window_id: str | None, grace: timedelta | float | None, actor: str, source: str
    ) -> JobStopReport:
        """Hold new work back, end what runs, count what is left, and write the ledger."""
        actor = check_actor(actor)
        grace_seconds = self._grace_seconds(grace)
        windows = self._closed_windows()
        window = _choose(windows, window_id)
        self._note("jobs.stopping", window, actor=actor, source=source, detail=f"grace period {grace_seconds:g} s")
        plugins = self._runtime.plugins
        if plugins.implements("hold_jobs"):
            write_held(self._runtime.store.items)
        ids = frozenset(each.id for each in windows)
        hold = JobHold(is_on=True, window_ids=ids, reason=window.reason)
        timeout = self._runtime.settings.hook_timeout.total_seconds()
        held = failures(plugins.hold_jobs(hold, timeout_seconds=timeout), "hold_jobs")
        problems = [f"{plugin}: new jobs could not be held back: {error}" for plugin, error in held.items()]
        stop = JobStop(window_id=window.id, grace_seconds=grace_seconds, reason=window.reason)
        records: list[JobRecord] = []
        for result in plugins.stop_jobs(stop, timeout_seconds=grace_seconds + STOP_MARGIN_SECONDS):
            found, problem = records_in(result)
            records += found
            problems += [problem] * bool(problem)
        self._ledger.add(window.id, records)
        counts: list[JobCounts] = []
        for answer in self.queues():
            counts += answer.counts
            problems += [f"{answer.plugin}: {answer.problem}"] * bool(answer.problem)
        self._note("jobs.stopped", window, actor=actor, source=source, detail=_describe(records, problems))
        return JobStopReport(
            window_id=window.id, records=tuple(records), counts=tuple(counts), problems=tuple(problems)
        )

    def ledger(self, *, window_id: str | None) -> tuple[LedgerEntry, ...]:
        """Return the entries of one window, or of all, the newest first."""
        return tuple(line.entry for line in self._ledger.lines(window_id))

    def restore(self, *, window_id: str, actor: str, source: str) -> JobRestoreReport:
        """Put back each restorable job of the window's ledger, once."""
        actor = check_actor(actor)
        still_closed = self._closed_windows()
        if still_closed:
            first = still_closed[0]
            raise WindowOpenError(
                f"jobs are put back when maintenance is over: window {first.id} refuses new ones", first.id
            )
        lines = [line for line in self._ledger.lines(window_id) if _is_to_be_restored(line)]
        timeout = self._runtime.settings.hook_timeout.total_seconds()
        claimed, left = self._claim(reversed(lines), patience=timeout + STOP_MARGIN_SECONDS)
        restored: list[JobRecord] = []
        problems: list[str] = []
        if claimed:
            results = self._runtime.plugins.restore_jobs(
                [line.entry.record for line in claimed], timeout_seconds=timeout
            )
            put_back: dict[tuple[str, str], str] = {}
            for result in results:
                records, problem = records_in(result)
                problems += [problem] * bool(problem)
                put_back |= {(record.source, record.id): record.put_back_as for record in records}
            # A plugin that was left behind may still be at it: its claims stay, and another try comes after them.
            is_pending = any(not result.ok and result.seconds >= timeout for result in results)
            for line in claimed:
                record = line.entry.record
                as_ = put_back.get((record.source, record.id), "")
                if as_ or not is_pending:
                    record = self._ledger.settle(line, put_back_as=as_).record
                (restored if as_ else left).append(record)
            detail = f"{len(restored)} put back, {len(left)} not"
            self._note("jobs.restored", window_id, actor=actor, source=source, detail="; ".join([detail, *problems]))
        return JobRestoreReport(
            window_id=window_id, restored=tuple(restored), left=tuple(left), problems=tuple(problems)
        )

    def _claim(self, lines: Iterable[Line], *, patience: float) -> tuple[list[Line], list[JobRecord]]:
        """Claim what nobody is at; a claim that is older than any plugin may take is of somebody who died."""
        me = os.urandom(8).hex()
        claimed: list[Line] = []
        left: list[JobRecord] = []
        for line in lines:
            mine = None if line.entry.is_claimed and not line.age > patience else self._ledger.claim(line, by=me)
            if mine is None:
                left.append(line.entry.record)
            else:
                claimed.append(mine)
        return claimed, left

    def _grace_seconds(self, grace: timedelta | float | None) -> float:
        if grace is None:
            return self._runtime.settings.job_grace_period.total_seconds()
        if grace == timedelta(0) or (grace == 0 and not isinstance(grace, bool)):
            return 0.0
        return (check_duration("grace", grace) or timedelta(0)).total_seconds()

    def _closed_windows(self) -> tuple[MaintenanceWindow, ...]:
        state = self._runtime.committer.load()
        return refuses_jobs(effective(state, self._runtime.clock.now()).windows)

    def _note(self, action: str, window: MaintenanceWindow | str, *, actor: str, source: str, detail: str) -> None:
        window_id = window if isinstance(window, str) else window.id

        def change(state: MaintenanceState, _: datetime, journal: Journal) -> MaintenanceState:
            journal.note(action, window_id=window_id, detail=detail[:1000])
            return replace(state)

        self._writer.commit(change, actor=actor, source=source)


def _choose(windows: Sequence[MaintenanceWindow], window_id: str | None) -> MaintenanceWindow:
    if not windows:
        raise NoOpenWindowError("no window is open that refuses new jobs, so others would begin: open one first")
    if window_id is None:
        return windows[0]
    for window in windows:
        if window.id == window_id:
            return window
    raise NoOpenWindowError(f"window {window_id!r:.80} is not open, or does not refuse new jobs")


def _is_to_be_restored(line: Line) -> bool:
    return line.entry.record.is_restorable and not line.entry.record.put_back_as


def _describe(records: Iterable[JobRecord], problems: Iterable[str]) -> str:
    fates = Counter(str(record.fate) for record in records)
    said = ", ".join(f"{count} {fate}" for fate, count in sorted(fates.items())) or "no job ran"
    return "; ".join([said, *problems])
