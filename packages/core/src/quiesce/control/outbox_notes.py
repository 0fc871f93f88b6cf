"""What the store keeps of the outbox beside the events: each notifier's place, and the notices that were given up."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..model import DeadNotice, MaintenanceEvent, StoreCorruptError
from ..model.codec import decode_event, encode_event
from .outbox_rules import Place, position_of

if TYPE_CHECKING:
    from ..stores.items import Item, Items

PLACES = "outbox"
DEAD = "outbox.dead"
ATTENDED = "outbox.attended"
"""By plugin: that a leading worker has it."""

MOST_NOTIFIERS = 200
MOST_DEAD = 1_000
ATTENDED_SECONDS = 15.0
"""After so long without a word no worker is taken to have the plugin."""

_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


def read_places(items: Items) -> dict[str, tuple[Place, float, bytes]]:
    """Return each notifier's place, its age in seconds and its bytes.

    Raises:
        StoreCorruptError: one cannot be read.
        StoreError: the store does not answer.
    """
    return {item.key: (_decode_place(item), item.age, item.body) for item in items.newest(PLACES, limit=MOST_NOTIFIERS)}


def write_place(items: Items, name: str, place: Place, *, expected: bytes | None, durable: bool = True) -> bytes | None:
    """Write the place if it is as expected, and return its bytes; ``None``: it is not.

    Raises:
        StoreError: the store does not answer; whether it is written is not known.
    """
    body = _encode_place(replace(place, beat=place.beat + 1))
    is_written = items.put(PLACES, {name: body}, expected={name: expected}, keep=MOST_NOTIFIERS, durable=durable)
    return body if is_written else None


def read_dead(items: Items) -> tuple[DeadNotice, ...]:
    """Return what was given up, the oldest event first.

    Raises:
        StoreCorruptError: one cannot be read.
        StoreError: the store does not answer.
    """
    found = [_decode_dead(item) for item in items.newest(DEAD, limit=MOST_DEAD)]
    return tuple(sorted(found, key=lambda each: (each.event.revision, each.event.number, each.notifier)))


def write_dead(items: Items, notices: Iterable[DeadNotice]) -> None:
    """Keep what was given up; of many the newest thousand."""
    changes = {_key(each.notifier, each.event): _encode_dead(each) for each in notices}
    for page in _pages(changes):
        items.put(DEAD, page, keep=MOST_DEAD)


def remove_dead(items: Items, notice: DeadNotice) -> None:
    """Forget one that was delivered after all."""
    items.put(DEAD, {_key(notice.notifier, notice.event): None})


def write_attended(items: Items, names: Iterable[str]) -> None:
    """Say that a leading worker has these notifiers."""
    items.put(ATTENDED, dict.fromkeys(names, b""), keep=MOST_NOTIFIERS, durable=False)


def read_attended(items: Items) -> frozenset[str]:
    """Return the notifiers that a leading worker had lately."""
    found = items.newest(ATTENDED, within_seconds=ATTENDED_SECONDS, limit=MOST_NOTIFIERS)
    return frozenset(item.key for item in found)


def _key(notifier: str, event: MaintenanceEvent) -> str:
    return f"{notifier}:{event.id}"


def _pages(changes: dict[str, bytes]) -> Iterable[dict[str, bytes | None]]:
    keys = list(changes)
    for start in range(0, len(keys), 500):
        yield {key: changes[key] for key in keys[start : start + 500]}


def _encode_place(place: Place) -> bytes:
    return _dump(
        {
            "cursor": place.cursor,
            "since": place.since,
            "unset": place.unset,
            "attempts": place.attempts,
            "failures": place.failures,
            "failing_since": _text(place.failing_since),
            "retry_at": _text(place.retry_at),
            "pause_seconds": place.pause_seconds,
            "problem": place.problem,
            "is_off": place.is_off,
            "resend": place.resend,
            "claimed_by": place.claimed_by,
            "claim_seconds": place.claim_seconds,
            "beat": place.beat,
        }
    )


def _decode_place(item: Item) -> Place:
    try:
        raw: dict[str, Any] = json.loads(item.body)
        for cursor in (raw["cursor"], raw["since"]):
            position_of(cursor)
        return Place(
            **raw | {"failing_since": _instant(raw["failing_since"]), "retry_at": _instant(raw["retry_at"])},
        )
    except _UNREADABLE as exc:
        raise StoreCorruptError(f"the place of notifier {item.key!r:.80} cannot be read: {exc!r:.200}") from exc


def _encode_dead(notice: DeadNotice) -> bytes:
    return _dump(
        {
            "notifier": notice.notifier,
            "event": encode_event(notice.event).decode(),
            "attempts": notice.attempts,
            "problem": notice.problem,
            "given_up_at": _text(notice.given_up_at),
            "is_due": notice.is_due,
        }
    )


def _decode_dead(item: Item) -> DeadNotice:
    try:
        raw: dict[str, Any] = json.loads(item.body)
        facts = {"event": decode_event(raw["event"]), "given_up_at": datetime.fromisoformat(raw["given_up_at"])}
        return DeadNotice(**raw | facts)
    except _UNREADABLE as exc:
        raise StoreCorruptError(f"the notice {item.key!r:.80} that was given up cannot be read: {exc!r:.200}") from exc


def _dump(members: dict[str, Any]) -> bytes:
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
