"""From what plugins answer about their jobs to what is believed: anything else than counts and records is a fault."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ..model import JobAnswer, JobCounts, JobFate, JobRecord
from .job_codec import check_counts

if TYPE_CHECKING:
    from ..plugins import HookResult, PluginManager

COUNT_SECONDS = 2.0
"""How long a plugin may take to count its jobs."""
MOST_SOURCES = 100
MOST_RECORDS = 10_000
"""Of one plugin and one call."""

logger = logging.getLogger("quiesce")


def failures(results: Iterable[HookResult], hook: str) -> dict[str, str]:
    """Return what went wrong, by plugin, and log it."""
    failed = {result.plugin: result.error or "it failed" for result in results if not result.ok}
    for plugin, error in failed.items():
        logger.error("plugin %s: %s failed: %s", plugin, hook, error)
    return failed


def ask_for_counts(
    plugins: PluginManager,
    *,
    windows: frozenset[str] = frozenset(),
    held_plugins: frozenset[str] = frozenset(),
    cannot_hold: frozenset[str] = frozenset(),
) -> tuple[JobAnswer, ...]:
    """Ask every plugin for its jobs; one that says nothing usable is one of which nothing is known.

    Args:
        plugins: who is asked.
        windows: ids of those that refuse new jobs.
        held_plugins: plugins that hold new work back already.
        cannot_hold: plugins that know no way to hold new work back.
    """
    answers = []
    for result in plugins.job_counts(timeout_seconds=COUNT_SECONDS):
        counts: tuple[JobCounts, ...] = ()
        problem = ""
        if not result.ok:
            problem = f"it did not tell its jobs: {result.error}"
        else:
            try:
                counts = _counts_in(result.answer)
            except Exception as exc:  # noqa: BLE001 - a plugin's iterable runs here
                problem = f"job_counts answered what is no count: {exc!r:.200}"
        if not problem and counts and result.plugin in cannot_hold:
            problem = "it implements no hold_jobs, so new jobs may begin at any time"
        held = windows if result.plugin in held_plugins or result.plugin in cannot_hold else frozenset()
        answers.append(JobAnswer(plugin=result.plugin, held_for=held, counts=counts, problem=problem))
    return tuple(answers)


def records_in(result: HookResult) -> tuple[tuple[JobRecord, ...], str]:
    """Return the records in an answer to ``stop_jobs`` or ``restore_jobs``, and what is wrong with it, if anything."""
    if not result.ok:
        return (), f"{result.plugin}: {result.error}"
    if result.answer is None:
        return (), ""
    found: list[JobRecord] = []
    try:
        for record in _iterable(result.answer):
            if not isinstance(record, JobRecord) or not isinstance(record.fate, JobFate):
                return tuple(found), f"{result.plugin}: answered {record!r:.80}, which is no record of a job"
            if len(found) == MOST_RECORDS:
                return tuple(found), f"{result.plugin}: answered more than {MOST_RECORDS} records"
            found.append(record)
    except Exception as exc:  # noqa: BLE001 - a plugin's iterable runs here
        return tuple(found), f"{result.plugin}: its answer cannot be read: {exc!r:.200}"
    return tuple(found), ""


def _counts_in(answer: object) -> tuple[JobCounts, ...]:
    if answer is None:
        return ()
    if isinstance(answer, JobCounts):
        return (check_counts(answer),)
    found: list[JobCounts] = []
    for each in _iterable(answer):
        if len(found) == MOST_SOURCES:
            raise ValueError(f"more than {MOST_SOURCES} sources")
        found.append(check_counts(each))
    return tuple(found)


def _iterable(answer: object) -> Iterable[object]:
    if not isinstance(answer, Iterable) or isinstance(answer, (str, bytes, Mapping)):
        raise ValueError(f"a {type(answer).__name__}")  # noqa: TRY004 - caught with all else that is wrong
    return answer
