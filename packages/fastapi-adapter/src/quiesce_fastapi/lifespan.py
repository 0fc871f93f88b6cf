"""Registers the worker when the server starts the application, and takes it off the list at the end."""

from __future__ import annotations

import logging

from anyio import CancelScope
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quiesce import EnhancedMaintenanceModeService

from .threads import in_gate_thread

_ENDINGS = frozenset({"lifespan.startup.failed", "lifespan.shutdown.complete", "lifespan.shutdown.failed"})

logger = logging.getLogger("quiesce")


async def keep_registered(
    app: ASGIApp, *, service: EnhancedMaintenanceModeService, scope: Scope, receive: Receive, send: Send
) -> None:
    """Serve the lifespan scope: registered before the application starts, until after it has stopped.

    An application without a lifespan is stood in for, so that its worker says goodbye as well.
    """
    is_known_to_app = False

    async def receive_registered() -> Message:
        nonlocal is_known_to_app
        is_known_to_app = True
        message = await receive()
        if message["type"] == "lifespan.startup":
            await in_gate_thread(service.start)
        return message

    async def send_deregistered(message: Message) -> None:
        if message["type"] in _ENDINGS:
            await in_gate_thread(service.stop)
        await send(message)

    try:
        try:
            await app(scope, receive_registered, send_deregistered)
        except Exception as exc:
            # Whatever an application raises before it asks for a message means that it has no lifespan (ASGI).
            if is_known_to_app:
                raise
            logger.info("the application supports no lifespan (%r)", exc)
        if not is_known_to_app:
            await receive_registered()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send_deregistered({"type": "lifespan.shutdown.complete"})
    finally:
        with CancelScope(shield=True):
            await in_gate_thread(service.stop)
