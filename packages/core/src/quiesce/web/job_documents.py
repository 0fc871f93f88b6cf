"""What is known of jobs as JSON documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..model import JobAnswer, JobRecord, JobRestoreReport, JobStopReport, LedgerEntry
from .documents import job_counts_document


def jobs_document(
    tracked: Mapping[str, int], answers: Iterable[JobAnswer], entries: Iterable[LedgerEntry]
) -> dict[str, Any]:
    """Return the jobs that run, and those that were ended."""
    return {
        "tracked": dict(tracked),
        "queues": [
            {
                "plugin": answer.plugin,
                "problem": answer.problem,
                "counts": [job_counts_document(counts) for counts in answer.counts],
            }
            for answer in answers
        ],
        "ledger": [{"window_id": entry.window_id, **record_document(entry.record)} for entry in entries],
    }


def stop_document(report: JobStopReport) -> dict[str, Any]:
    """Return what came of stopping jobs."""
    return {
        "window_id": report.window_id,
        "is_quiet": report.is_quiet,
        "records": [record_document(record) for record in report.records],
        "counts": [job_counts_document(counts) for counts in report.counts],
        "problems": list(report.problems),
    }


def restore_document(report: JobRestoreReport) -> dict[str, Any]:
    """Return what came of putting jobs back."""
    return {
        "window_id": report.window_id,
        "restored": [record_document(record) for record in report.restored],
        "left": [record_document(record) for record in report.left],
        "problems": list(report.problems),
    }


def record_document(record: JobRecord) -> dict[str, Any]:
    """Return a job that was ended."""
    return {
        "source": record.source,
        "id": record.id,
        "queue": record.queue,
        "name": record.name,
        "fate": str(record.fate),
        "is_restorable": record.is_restorable,
        "put_back_as": record.put_back_as,
        "user": record.user,
        "detail": record.detail,
    }
