"""One request that is served under a window: who sent it, and whether its response has begun."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.types import Message, Scope, Send

from quiesce import Principal

from .identity import Identity
from .passes import pass_fields


class Exchange:
    """The ``Caller`` that guards ask, and the ``send`` of the application; one object, made for each request."""

    __slots__ = ("_identity", "_scope", "_send", "has_begun")

    def __init__(self, identity: Identity | None, scope: Scope, send: Send) -> None:
        self._identity = identity
        self._scope = scope
        self._send = send
        self.has_begun = False
        """Whether anything was sent, after which there can be no refusal."""

    def send(self, message: Message) -> Awaitable[None]:
        """Pass a message on to the server."""
        self.has_begun = True
        return self._send(message)

    def identify(self) -> Principal | None:
        """Return who sent the request, or ``None``; raises what ``identify`` raises."""
        return None if self._identity is None else self._identity.ask_blocking(self._scope)

    async def identify_async(self) -> Principal | None:
        """Return the same from a coroutine."""
        return None if self._identity is None else await self._identity.ask_frankly(self._scope)

    def pass_fields(self) -> tuple[str, str]:
        """Return the fields in which a bypass pass may be."""
        return pass_fields(self._scope)
