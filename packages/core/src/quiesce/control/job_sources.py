"""What the store knows of job queues: which plugins count jobs, what each last said, and whether work is held back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..model import JobAnswer, JobCounts, MaintenanceWindow, OperationType
from .job_codec import decode_answer, encode_answer

if TYPE_CHECKING:
    from ..stores.items import Items

COLLECTION = "jobs"
FRESH_SECONDS = 3.0
"""An answer that is older says nothing about now."""
REMEMBERED_SECONDS = 300.0
"""So long a plugin is asked for after no leading worker had it any more."""
MOST_PLUGINS = 100

_HELD = "held"
_PLUGIN = "plugin:"
_ANSWER = "answer:"


@dataclass(frozen=True, slots=True)
class JobSources:
    """Which plugins must answer, and what each last said."""

    expected: tuple[str, ...] = ()
    answers: tuple[JobAnswer, ...] = ()
    is_held: bool = False


def read_sources(items: Items) -> JobSources:
    """Return what the leading worker wrote.

    Raises:
        StoreError: the store does not answer.
    """
    found = items.newest(COLLECTION, limit=2 * MOST_PLUGINS + 1)
    expected = sorted(
        item.key.removeprefix(_PLUGIN)
        for item in found
        if item.key.startswith(_PLUGIN) and not item.age > REMEMBERED_SECONDS
    )
    answers = [
        decode_answer(item.key.removeprefix(_ANSWER), item.body, age=item.age)
        for item in found
        if item.key.startswith(_ANSWER)
    ]
    return JobSources(
        tuple(expected),
        tuple(sorted(answers, key=lambda answer: answer.plugin)),
        is_held=any(item.key == _HELD for item in found),
    )


def write_expected(items: Items, plugins: Iterable[str]) -> None:
    """Say that these plugins must answer before anything is called quiet."""
    names = {f"{_PLUGIN}{plugin}": b"" for plugin in plugins}
    if names:
        items.put(COLLECTION, names, durable=False)


def write_held(items: Items) -> None:
    """Say that work is held back, before it is: so that whoever leads later knows to let it go."""
    items.put(COLLECTION, {_HELD: b""})


def write_answers(items: Items, answers: Iterable[JobAnswer]) -> None:
    """Write what was heard, and again that work is held back, should the store have lost that."""
    said: dict[str, bytes | None] = {f"{_ANSWER}{answer.plugin}": encode_answer(answer) for answer in answers}
    items.put(COLLECTION, said | {_HELD: b""}, durable=False)


def write_released(items: Items, plugins: Iterable[str]) -> None:
    """Say that work is let go; what was heard before is no news any more."""
    items.put(COLLECTION, {_HELD: None} | {f"{_ANSWER}{plugin}": None for plugin in plugins})


def refuses_jobs(windows: Iterable[MaintenanceWindow]) -> tuple[MaintenanceWindow, ...]:
    """Return those of the windows that refuse new jobs."""
    return tuple(window for window in windows if window.mode.is_enforced and window.covers(OperationType.JOB_CREATION))


def judge_sources(
    sources: JobSources, windows: Iterable[MaintenanceWindow]
) -> tuple[tuple[str, ...], tuple[JobCounts, ...]]:
    """Return what of job queues stands in the way of quiet, in words, and the counts; pure (protocol rule 9).

    Args:
        sources: as the store has them.
        windows: those that are enforced.
    """
    windows = tuple(windows)
    answers = {answer.plugin: answer for answer in sources.answers}
    counts = tuple(count for answer in sources.answers if answer.age <= FRESH_SECONDS for count in answer.counts)
    needed = frozenset(window.id for window in refuses_jobs(windows))
    if not needed:
        return (), counts
    obstacles = [why for plugin in sources.expected for why in _obstacles(plugin, answers.get(plugin), needed)]
    return tuple(obstacles), counts


def _obstacles(plugin: str, answer: JobAnswer | None, needed: frozenset[str]) -> list[str]:
    # Written so that an age that is no number, or from before the store's clock was set back, counts as unknown.
    if answer is None:
        return [f"{plugin}: nobody has asked it for its jobs yet"]
    if not 0 <= answer.age <= FRESH_SECONDS:
        return [f"{plugin}: nothing was heard of its jobs for {answer.age:.1f} s"]
    if answer.problem:
        return [f"{plugin}: {answer.problem}"]
    if missing := sorted(needed - answer.held_for):
        return [f"{plugin}: new jobs are not held back yet for window {', '.join(missing)}"]
    return [why for counts in answer.counts if (why := describe_unquiet(counts))]


def describe_unquiet(counts: JobCounts) -> str:
    """Return why a source is not quiet; empty: it is."""
    if counts.is_quiet:
        return ""
    detail = f" ({counts.detail})" if counts.detail else ""
    unknown = [name for name in ("running", "reserved") if getattr(counts, name) is None]
    if unknown:
        return f"{counts.source}: how many are {' and '.join(unknown)} is not known{detail}"
    busy = [f"{number} {name}" for name in ("running", "reserved") if (number := getattr(counts, name))]
    return f"{counts.source}: {', '.join(busy)}{detail}"
