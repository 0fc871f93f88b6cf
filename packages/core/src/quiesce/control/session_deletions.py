"""How far plugins are with deleting what is stored of sessions that are over: one small item of the store for each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ..model import SessionDeletion

if TYPE_CHECKING:
    from ..stores.items import Item, Items

DELETIONS = "sessions.deletions"

_MOST_PLUGINS = 100
_LONGEST_POSITION = 200


class SessionDeletions:
    """Writes and reads what plugins tell; what cannot be read was not told."""

    def __init__(self, items: Items) -> None:
        self._items = items

    def note(self, deletion: SessionDeletion) -> None:
        """Write down how far a plugin is, in place of what it told before."""
        body = {
            "generation": deletion.generation,
            "user_id": deletion.user_id,
            "looked_at": deletion.looked_at,
            "deleted": deletion.deleted,
            "expected": deletion.expected,
            "is_done": deletion.is_done,
            "position": deletion.position[:_LONGEST_POSITION],
        }
        changes = {deletion.plugin: json.dumps(body).encode()}
        self._items.put(DELETIONS, changes, keep=_MOST_PLUGINS, durable=False)

    def all(self) -> tuple[SessionDeletion, ...]:
        """Return what each plugin told last, by their names."""
        items = self._items.newest(DELETIONS, limit=_MOST_PLUGINS)
        return tuple(_readable(sorted(items, key=lambda item: item.key)))


def _readable(items: Iterable[Item]) -> Iterable[SessionDeletion]:
    for item in items:
        try:
            body: dict[str, Any] = json.loads(item.body)
            yield SessionDeletion(plugin=item.key, idle=timedelta(seconds=max(item.age, 0.0)), **body)
        except (ValueError, TypeError):  # written by another version, or by hand
            continue
