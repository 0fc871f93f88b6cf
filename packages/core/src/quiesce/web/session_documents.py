"""What is known of sessions as JSON documents; durations are seconds, ``null`` is not known."""

from __future__ import annotations

from typing import Any

from ..model import ActiveSession, SessionDeletion, SessionEpoch, SessionStats
from .documents import format_time


def stats_document(stats: SessionStats) -> dict[str, Any]:
    """Return how many sessions were active lately, for administrators."""
    return {
        "users": stats.users,
        "admins": stats.admins,
        "within": stats.within.total_seconds(),
        "is_estimate": stats.is_estimate,
        "is_tracked": stats.is_tracked,
    }


def session_document(session: ActiveSession) -> dict[str, Any]:
    """Return one session of the index, for administrators."""
    return {
        "id": session.id,
        "user_id": session.user_id,
        "is_admin": session.is_admin,
        "idle": round(session.idle.total_seconds(), 3),
        "is_over": session.is_over,
    }


def deletion_document(deletion: SessionDeletion) -> dict[str, Any]:
    """Return how far a plugin is with what is stored of sessions that are over, for administrators."""
    return {
        "plugin": deletion.plugin,
        "generation": deletion.generation,
        "user_id": deletion.user_id,
        "looked_at": deletion.looked_at,
        "deleted": deletion.deleted,
        "expected": deletion.expected,
        "is_done": deletion.is_done,
        "idle": round(deletion.idle.total_seconds(), 3),
    }


def ending_document(epoch: SessionEpoch, *, user_id: str | None) -> dict[str, Any]:
    """Return what was ended: sessions of a lower generation are over."""
    return {"user_id": user_id, "generation": epoch.generation, "at": format_time(epoch.latest)}
