"""Asks the application who sent a request, and believes nothing but a proper answer."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

from anyio import from_thread
from starlette.requests import HTTPConnection, Request
from starlette.types import Scope

from quiesce import InvalidValueError, Principal

from .threads import in_gate_thread

Identify: TypeAlias = Callable[[Any], Any]
"""Takes a ``Request``, for a WebSocket an ``HTTPConnection``; returns a ``Principal`` or ``None``, or awaits one."""

logger = logging.getLogger("quiesce")


class Identity:
    """The application's ``identify``, plain or ``async``.

    It is given no way to receive, so it cannot eat the body that the application is to read.

    Raises:
        InvalidValueError: ``identify`` cannot be called.
    """

    __slots__ = ("_identify", "_is_async")

    def __init__(self, identify: Identify) -> None:
        if not callable(identify):
            raise InvalidValueError("identify", "must be a function that takes the request")
        self._identify = identify
        self._is_async = _is_async(identify)

    async def ask(self, scope: Scope) -> Principal | None:
        """Return who sent it, or ``None``; whatever goes wrong is logged and counts as nobody."""
        try:
            return await self.ask_frankly(scope)
        except Exception:
            # Whoever the application cannot name is no admin; its fault must not open the gate.
            logger.exception("identify failed; the sender of %.200r counts as nobody", scope["path"])
            return None

    async def ask_frankly(self, scope: Scope) -> Principal | None:
        """Return who sent it, or ``None``; raise what ``identify`` raises, and ``TypeError`` for a wrong answer."""
        connection = _connection(scope)
        if self._is_async:
            answer = self._identify(connection)
        else:
            answer = await in_gate_thread(self._identify, connection)
        return _checked(await answer if inspect.isawaitable(answer) else answer)

    def ask_blocking(self, scope: Scope) -> Principal | None:
        """Return the same to code that is no coroutine.

        Raises:
            RuntimeError: ``identify`` is ``async`` and this is the event loop's own thread, or none that it started.
        """
        if self._is_async:
            if _is_on_loop():
                raise RuntimeError("identify is async: on the event loop, write 'async with service.guard(...)'")
            return from_thread.run(self.ask_frankly, scope)
        answer = self._identify(_connection(scope))
        return _checked(from_thread.run(_awaited, answer) if inspect.isawaitable(answer) else answer)


def _connection(scope: Scope) -> HTTPConnection:
    return Request(scope) if scope["type"] == "http" else HTTPConnection(scope)


def _checked(answer: object) -> Principal | None:
    if answer is None:
        return None
    if not isinstance(answer, Principal) or not isinstance(answer.is_admin, bool):
        raise TypeError(
            f"identify returned a {type(answer).__name__} that is no quiesce.Principal with a boolean is_admin"
        )
    user_id: object = answer.user_id
    return answer if isinstance(user_id, str) else replace(answer, user_id=str(user_id))


async def _awaited(answer: Any) -> Any:
    return await answer


def _is_async(function: object) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _is_on_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
