"""What an agent does for its machine's board: show states on it, and open it anew when it was lost or replaced."""

from __future__ import annotations

import logging

from ..model import BoardError, MaintenanceState
from ..model.codec import encode_state
from ..stores.base import Store
from .board import Board
from .board_bell import BoardBell
from .gate import Gate

logger = logging.getLogger("quiesce")


class BoardKeeper:
    """Keeps the board that a gate looks at usable and up to date; a fault is said once."""

    def __init__(self, *, store: Store, gate: Gate) -> None:
        self._store = store
        self._gate = gate
        self._problem = ""
        self._bell = BoardBell()

    @property
    def bell(self) -> int | None:
        """The descriptor that tells when somebody shows a state; ``None``: the board has to be looked at."""
        return self._bell.descriptor

    def attend(self) -> None:
        """Get ready for the next ring of the bell; to be done before the board is looked at."""
        self._bell.attend()

    def close(self) -> None:
        """Listen to the bell no more."""
        self._bell.close()

    def mend(self) -> None:
        """See that the board is the one that the path leads to, and that it shows what this process applies."""
        board = self._gate.board
        if not board.is_current() or board.is_private:
            self._reopen()
        self._bell.mend(self._gate.board.path)
        self.publish(self._gate.renew().state)

    def publish(self, state: MaintenanceState, *, body: bytes = b"") -> None:
        """Show the state to the processes of this machine; whoever has it encoded already gives that along."""
        if state.revision and self._gate.board.word[()] != state.revision:
            try:
                self._gate.board.publish(state.revision, body or encode_state(state))
            except BoardError as exc:
                logger.error("%s; each worker of this machine follows the store by itself", exc)

    def _reopen(self) -> None:
        try:
            path = self._store.board_path
            if path is not None:
                self._gate.use(Board(path))
                self._problem = ""
                logger.warning("board %s was opened anew", path)
        except BoardError as exc:
            if str(exc) != self._problem:
                self._problem = str(exc)
                logger.error("%s; each worker of this machine follows the store by itself", exc)
