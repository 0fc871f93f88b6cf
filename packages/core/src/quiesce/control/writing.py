"""How every command gets into the store: with what is due by the clock, and applied by this process at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

from ..model import InvalidValueError, MaintenanceState
from .committing import SPARE_BYTES
from .journal import Journal
from .runtime import Runtime
from .transitions import due_transitions, raise_transitions
from .validation import check_operations

CommandChange = Callable[[MaintenanceState, datetime, Journal], MaintenanceState]
"""From a state, the time and the commit's journal to the next state, or the same one: nothing to do."""


class CommandWriter:
    """Commits commands for one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def commit(
        self, change: CommandChange, *, actor: str, source: str, adds: bool = False, is_urgent: bool = False
    ) -> MaintenanceState:
        """Commit the change and the events that are due; return the state that holds then.

        Args:
            change: may be called again, when another commit was faster.
            actor: who asks.
            source: through what.
            adds: whether it makes the state larger, for which there must be room.
            is_urgent: whether it may take half of the room that is kept for ending what is open.

        Raises:
            QuiesceError: whatever ``change`` raises; nothing was written then.
            StoreError: the store does not answer.
        """

        def change_what_is_due(state: MaintenanceState) -> tuple[MaintenanceState, Journal] | None:
            now = self._runtime.clock.now()
            journal = Journal(state, at=now, actor=actor, source=source)
            current = raise_transitions(state, due_transitions(state, now), journal=journal, now=now)
            changed = change(current, now, journal)
            return None if changed is state else (replace(changed, revision=state.revision + 1), journal)

        spare_bytes = SPARE_BYTES // 2 if is_urgent else SPARE_BYTES
        state = self._runtime.committer.commit(change_what_is_due, spare_bytes=spare_bytes if adds else 0)
        agent = self._runtime.agent
        if agent is not None:
            self._runtime.gate.adopt(state)
            agent.wake()
        return state

    def check_operations(self, operations: object, field: str) -> frozenset[str] | None:
        """Return the names of the types that a field holds; plugins are only loaded for a type that is not built in.

        Raises:
            InvalidValueError: a type is not known.
        """
        if isinstance(operations, Iterator):  # it is gone through twice
            operations = tuple(operations)
        try:
            return check_operations(operations, self._runtime.known_operations, field=field)
        except InvalidValueError:
            return check_operations(operations, self._runtime.classifier.operations, field=field)
