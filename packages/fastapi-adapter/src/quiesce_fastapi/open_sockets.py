"""Closes the open WebSockets of a process when an emergency refuses what they are."""

from __future__ import annotations

import asyncio
import logging

from starlette.types import Receive, Scope, Send

from quiesce import WEBSOCKET, Decision, EnhancedMaintenanceModeService, Mode

from .identity import Identity
from .open_socket import OpenSocket
from .refusing import RefusalSender

_IDENTIFY_SECONDS = 2.0

logger = logging.getLogger("quiesce")


class OpenSockets:
    """Every WebSocket that was admitted as nobody's in particular, until the application is done with it.

    It is told of an emergency by the agent's thread. A socket is kept before it looks itself whether there is one, so
    that none slips between the two.
    """

    def __init__(
        self,
        service: EnhancedMaintenanceModeService,
        *,
        identity: Identity | None,
        credentials: frozenset[bytes],
        refusals: RefusalSender,
    ) -> None:
        self._gate = service.gate
        self._identity = identity
        self._credentials = credentials
        self._refusals = refusals
        self._open: dict[int, OpenSocket] = {}
        self._closing: set[asyncio.Task[None]] = set()
        service.on_change(lambda effective: self._hear(effective.mode))

    def keep(self, token: int, scope: Scope, receive: Receive, send: Send, *, path: str) -> tuple[Receive, Send]:
        """Return what the application is to be given; call ``discard`` when it is done."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # another kind of event loop
            return receive, send
        socket = self._open[token] = OpenSocket(scope, receive, send, token=token, path=path, loop=loop)
        if self._gate.snapshot.effective.mode is Mode.EMERGENCY:
            self._look(socket, {})
        return socket.receive, socket.send

    def discard(self, token: int) -> None:
        """Forget one that has ended."""
        self._open.pop(token, None)

    def _hear(self, mode: Mode | None) -> None:
        if mode is not Mode.EMERGENCY:
            return
        for loop in {socket.loop for socket in self._open.copy().values()}:
            try:
                loop.call_soon_threadsafe(self._sweep, loop)
            except RuntimeError:
                logger.debug("an event loop with open WebSockets has ended")

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        decisions: dict[str, Decision] = {}
        for socket in self._open.copy().values():
            if socket.loop is loop:
                self._look(socket, decisions)

    def _look(self, socket: OpenSocket, decisions: dict[str, Decision]) -> None:
        decision = decisions.get(socket.path)
        if decision is None:
            decision = decisions[socket.path] = self._gate.explain(WEBSOCKET, socket.path)
        if decision.is_allowed or decision.window is None or decision.window.mode is not Mode.EMERGENCY:
            return
        task = socket.loop.create_task(self._end(socket, decision))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _end(self, socket: OpenSocket, decision: Decision) -> None:
        """Close it, unless it turns out to be an admin's, who stays."""
        user = ""
        if self._identity is not None and any(name in self._credentials for name, _ in socket.scope["headers"]):
            try:
                async with asyncio.timeout(_IDENTIFY_SECONDS):
                    principal = await self._identity.ask(socket.scope)
            except TimeoutError:
                principal = None
            user = "" if principal is None else principal.user_id
            if principal is not None and principal.is_admin:
                if self._open.pop(socket.token, None) is not None:
                    self._gate.bypass(socket.token, decision, user=user)
                return
        if self._open.pop(socket.token, None) is not None:
            self._gate.tally.add(decision, socket.path, user)
            await socket.close(decision, refusals=self._refusals)
