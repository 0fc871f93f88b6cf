"""What the leading worker does about sessions that are over: has plugins delete what is stored, clears the index.

Each plugin has a thread and a mark of its own: the generation up to which it is done, in a collection. A leader that
dies leaves the rest to the next one; a plugin that fails is called again later and holds up no other.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from ..clock import Clock
from ..model import MaintenanceState, SessionEpoch, SessionInvalidation, StoreUnreachableError
from .committing import Commit
from .journal import Journal
from .session_index import SessionIndex

if TYPE_CHECKING:
    from ..plugins import HookResult, PluginManager
    from ..stores.items import Items

DONE = "sessions.cleared"
"""By plugin, the generation up to which it has dealt with everything."""
HOOK = "on_session_invalidate"
MOST_SECONDS = 3600.0

_FIRST_RETRY_SECONDS = 10.0
_TRIES = 20

logger = logging.getLogger("quiesce")


@dataclass(slots=True)
class _Turn:
    """Where one plugin is."""

    done: int = 0
    failures: int = 0
    retry_at: float = float("-inf")
    thread: threading.Thread | None = None


class SessionUpkeep:
    """Starts what is due on threads of its own; a thread that an hour's deletion keeps does not keep the process.

    Args:
        plugins: whose hooks run.
        commit: the one way into the state, for the audit trail.
        items: of the store.
        clock: for what is due.
        interval: how often the index is cleared.
    """

    def __init__(
        self, *, plugins: PluginManager, commit: Commit, items: Items, clock: Clock, interval: timedelta
    ) -> None:
        self._plugins = plugins
        self._commit = commit
        self._items = items
        self._clock = clock
        self._interval_seconds = interval.total_seconds()
        self._turns: dict[str, _Turn] = {}
        self._cleaner: threading.Thread | None = None
        self._clean_at = clock.monotonic() + self._interval_seconds
        self._stopping = threading.Event()

    def step(self, state: MaintenanceState, *, actor: str) -> None:
        """Start what is due under this state, unless it is being done already; returns at once."""
        if self._stopping.is_set():
            return
        now, epoch = self._clock.monotonic(), state.sessions
        if epoch.generation:
            for plugin in self._plugins.implements(HOOK):
                turn = self._turns.setdefault(plugin, _Turn())
                if turn.done < epoch.generation and now >= turn.retry_at and not _is_alive(turn.thread):
                    turn.thread = self._start(f"quiesce-sessions-{plugin}", self._clear, plugin, turn, epoch, actor)
        if now >= self._clean_at and not _is_alive(self._cleaner):
            self._clean_at = now + self._interval_seconds
            self._cleaner = self._start("quiesce-session-index", SessionIndex(self._items).clean, epoch)

    def stop(self) -> None:
        """Start nothing more; what runs is left to its end, or to that of the process."""
        self._stopping.set()

    def _start(self, name: str, act: Callable[..., object], *arguments: object) -> threading.Thread:
        def run() -> None:
            try:
                act(*arguments)
            except Exception as exc:  # noqa: BLE001 -- a plugin's store may raise anything; what is due is tried again
                if not self._stopping.is_set():
                    logger.error("%s will try again: %s", name, exc)

        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        return thread

    def _clear(self, plugin: str, turn: _Turn, epoch: SessionEpoch, actor: str) -> None:
        turn.retry_at = self._clock.monotonic() + _FIRST_RETRY_SECONDS  # unless all goes well
        for invalidation in epoch.invalidations(above=self._done(plugin)[0]):
            if self._stopping.is_set():
                return
            results = self._plugins.on_session_invalidate(invalidation, timeout_seconds=MOST_SECONDS, only=plugin)
            for result in results:
                self._audit(result, invalidation, actor=actor)
                if not result.ok:
                    logger.error("plugin %s: %s failed: %s", plugin, HOOK, result.error)
                    delay = min(_FIRST_RETRY_SECONDS * 2**turn.failures, MOST_SECONDS)
                    turn.failures = min(turn.failures + 1, 16)
                    turn.retry_at = self._clock.monotonic() + delay
                    return
            self._mark(plugin, invalidation.generation)
        turn.done, turn.failures, turn.retry_at = epoch.generation, 0, float("-inf")

    def _done(self, plugin: str) -> tuple[int, bytes | None]:
        body = self._items.get(DONE, [plugin]).get(plugin)
        return int(body) if body is not None and body.isdigit() else 0, body

    def _mark(self, plugin: str, generation: int) -> None:
        """Write the mark down, unless another leader has come farther."""
        for _ in range(_TRIES):
            done, body = self._done(plugin)
            if done >= generation:
                return
            if self._items.put(DONE, {plugin: str(generation).encode()}, expected={plugin: body}):
                return
        raise StoreUnreachableError(f"the mark of plugin {plugin} changes too fast to be written")

    def _audit(self, result: HookResult, invalidation: SessionInvalidation, *, actor: str) -> None:
        whose = "everyone's" if invalidation.user_id is None else f"user {invalidation.user_id}'s"
        became = "ok" if result.ok else result.error
        detail = f"{result.plugin}: {became} in {result.seconds:.2f} s; {whose} below {invalidation.generation}"

        def note(state: MaintenanceState) -> tuple[MaintenanceState, Journal]:
            journal = Journal(state, at=self._clock.now(), actor=actor, source="agent")
            came_to = "done" if result.ok else "failed"
            journal.note(f"hook.{HOOK}", window_id=invalidation.window_id, detail=detail, result=came_to)
            return replace(state, revision=state.revision + 1), journal

        self._commit(note)


def _is_alive(thread: threading.Thread | None) -> bool:
    return thread is not None and thread.is_alive()
