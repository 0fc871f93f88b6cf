"""One WebSocket that the application serves, and can be taken from it at any moment."""

from __future__ import annotations

import asyncio
import logging

from starlette.types import Message, Receive, Scope, Send

from quiesce import Decision

from .refusing import RefusalSender

SERVICE_RESTART = 1012
"""WebSocket close code (IANA registry, RFC 6455 section 7.4.2): the client may come back, a while later."""

_MOST_DROPPED = 100
_CLOSING_SECONDS = 1.0

logger = logging.getLogger("quiesce")


class OpenSocket:
    """Its ``receive`` and ``send`` are what the application is given.

    After ``close`` the application receives the client's disconnect with 1012. What it sends then is dropped; one
    that goes on sending and never receives is told by an ``OSError``, as ASGI 2.4 has it for a client that is gone.

    Attributes:
        scope: of its handshake.
        token: of its entry at the gate.
        path: as it was classified.
        loop: the event loop that serves it.
    """

    __slots__ = (
        *("_dropped", "_has_ended", "_is_accepted", "_is_connected", "_over", "_receive", "_receiving", "_send"),
        *("loop", "path", "scope", "token"),
    )

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        token: int,
        path: str,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.scope = scope
        self.token = token
        self.path = path
        self.loop = loop
        self._receive = receive
        self._send = send
        self._receiving: asyncio.Future[Message] | None = None
        self._is_connected = False
        self._is_accepted = False
        self._has_ended = False
        self._over = asyncio.Event()
        self._dropped = 0

    async def receive(self) -> Message:
        """Return the client's next message, or that it is gone."""
        if not self._is_connected:
            self._is_connected = True
            return await self._receive()  # the handshake, which no application expects to be anything else
        if not self._over.is_set():
            # A task, because the wait has to end whether or not the server tells of a close that came from here.
            receiving = self._receiving = asyncio.ensure_future(self._receive())
            try:
                message = await receiving
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not self._over.is_set() or (task is not None and task.cancelling()):
                    raise
            else:
                if not self._over.is_set():
                    return message
            finally:
                self._receiving = None
        return {"type": "websocket.disconnect", "code": SERVICE_RESTART, "reason": ""}

    async def send(self, message: Message) -> None:
        """Send on what the application says, as long as there is somebody to hear it."""
        if self._over.is_set():
            self._dropped += 1
            if self._dropped > _MOST_DROPPED:
                raise ConnectionResetError("the WebSocket was closed by maintenance")
            return
        kind = message["type"]
        if kind == "websocket.accept":
            self._is_accepted = True
        elif kind != "websocket.send":
            self._has_ended = True
        await self._send(message)

    async def close(self, decision: Decision, *, refusals: RefusalSender) -> None:
        """Take it from the application: 1012, or the refusal of a handshake that was not answered yet."""
        if self._over.is_set() or self._has_ended:
            return
        self._over.set()
        try:
            async with asyncio.timeout(_CLOSING_SECONDS):
                if self._is_accepted:
                    reason = f"{decision.operation.name}: maintenance"
                    await self._send({"type": "websocket.close", "code": SERVICE_RESTART, "reason": reason})
                else:
                    await refusals.deny(decision, accept="", scope=self.scope, send=self._send)
        except Exception:
            # A server may raise anything for a client that is gone or takes nothing; the application ends all the same.
            logger.debug("a WebSocket could not be closed", exc_info=True)
        finally:
            if self._receiving is not None:
                self._receiving.cancel()
