"""What is kept of job queues beside the state, as JSON and back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from ..model import JobAnswer, JobCounts, JobFate, JobRecord, LedgerEntry, StoreCorruptError

_COUNT_FIELDS = ("source", "running", "reserved", "queued", "detail")
_TEXT_FIELDS = ("source", "id", "queue", "name", "put_back_as", "detail", "user")
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


def encode_answer(answer: JobAnswer) -> bytes:
    """Return the answer without its age, which the store knows."""
    counts = [[getattr(count, name) for name in _COUNT_FIELDS] for count in answer.counts]
    return _dump({"held_for": sorted(answer.held_for), "counts": counts, "problem": answer.problem})


def decode_answer(plugin: str, body: bytes, *, age: float) -> JobAnswer:
    """Return the answer that ``encode_answer`` wrote; one that cannot be read says that nothing is known."""
    try:
        raw = json.loads(body.decode("utf-8", "surrogatepass"))
        counts = tuple(JobCounts(**dict(zip(_COUNT_FIELDS, each, strict=True))) for each in raw["counts"])
        for each in counts:
            check_counts(each)
        return JobAnswer(
            plugin=plugin, held_for=frozenset(raw["held_for"]), counts=counts, problem=str(raw["problem"]), age=age
        )
    except _UNREADABLE:
        return JobAnswer(plugin=plugin, problem="what the store holds of it cannot be read", age=age)


def check_counts(counts: object) -> JobCounts:
    """Return what a plugin gave as counts.

    Raises:
        ValueError: it is none, or holds what is no count.
    """
    if not isinstance(counts, JobCounts):
        raise ValueError(f"{counts!r:.80} is no JobCounts")  # noqa: TRY004 - caught with all else that is wrong
    for name in ("running", "reserved", "queued"):
        number = getattr(counts, name)
        if number is not None and (type(number) is not int or number < 0):
            raise ValueError(f"{counts.source!r:.80}: {number!r:.40} {name} is no count")
    texts: tuple[object, ...] = (counts.source, counts.detail)
    if not all(isinstance(text, str) for text in texts) or not counts.source:
        raise ValueError(f"{counts!r:.80} names no source")
    return replace(counts, source=counts.source[:200], detail=counts.detail[:500])


def encode_entry(entry: LedgerEntry, *, claim: str = "") -> bytes:
    """Return the entry, and by whom it is claimed."""
    record = entry.record
    members: dict[str, Any] = {name: getattr(record, name) for name in _TEXT_FIELDS}
    members |= {"fate": str(record.fate), "is_restorable": record.is_restorable}
    return _dump({"window_id": entry.window_id, "claim": claim, "record": members})


def decode_entry(body: bytes) -> LedgerEntry:
    """Return the entry that ``encode_entry`` wrote.

    Raises:
        StoreCorruptError: it cannot be read.
    """
    try:
        raw = json.loads(body.decode("utf-8", "surrogatepass"))
        members = dict(raw["record"])
        record = JobRecord(
            **{name: str(members[name]) for name in _TEXT_FIELDS},
            fate=JobFate(members["fate"]),
            is_restorable=bool(members["is_restorable"]),
        )
        return LedgerEntry(window_id=str(raw["window_id"]), record=record, is_claimed=bool(raw["claim"]))
    except _UNREADABLE as exc:
        raise StoreCorruptError(f"stored line of the ledger of jobs cannot be read: {exc!r:.200}") from exc


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
