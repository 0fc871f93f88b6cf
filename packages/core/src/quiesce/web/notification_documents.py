"""What is known of notifiers as JSON documents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..model import DeadNotice, NotifierStatus, NotifierTest
from .documents import format_time


def notifications_document(notifiers: Iterable[NotifierStatus], *, is_enabled: bool) -> dict[str, Any]:
    """Return how far each notifier is."""
    return {"enabled": is_enabled, "notifiers": [notifier_document(each) for each in notifiers]}


def notifier_document(notifier: NotifierStatus) -> dict[str, Any]:
    """Return how far one notifier is."""
    return {
        "name": notifier.name,
        "cursor": notifier.cursor,
        "waiting": notifier.waiting,
        "attempts": notifier.attempts,
        "failing_since": format_time(notifier.failing_since),
        "next_try_at": format_time(notifier.next_try_at),
        "problem": notifier.problem,
        "is_off": notifier.is_off,
        "is_sending": notifier.is_sending,
        "is_attended": notifier.is_attended,
        "dead": [_dead_document(each) for each in notifier.dead],
    }


def notifier_test_document(tried: NotifierTest) -> dict[str, Any]:
    """Return what came of trying a notifier."""
    return {"notifier": tried.notifier, "is_ok": tried.is_ok, "seconds": tried.seconds, "problem": tried.problem}


def _dead_document(dead: DeadNotice) -> dict[str, Any]:
    return {
        "event_id": dead.event.id,
        "kind": str(dead.event.kind),
        "window_id": dead.event.window_id,
        "attempts": dead.attempts,
        "problem": dead.problem,
        "given_up_at": format_time(dead.given_up_at),
        "is_due": dead.is_due,
    }
