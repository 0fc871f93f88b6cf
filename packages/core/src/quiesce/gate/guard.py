"""Guarding what only the code knows: the same decision, the same in-flight entry, the same refusal."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, cast

from ..model import Decision, OperationRefusedError, OperationType, Principal
from .gate import Gate
from .policy import GUARD

F = TypeVar("F", bound=Callable[..., Any])

logger = logging.getLogger("quiesce")


class Caller(Protocol):
    """Whoever sent the request that is being served, asked for only when something would refuse them."""

    def identify(self) -> Principal | None:
        """Return who it is, or ``None``; may raise what the application's ``identify`` raises."""

    async def identify_async(self) -> Principal | None:
        """Return the same from a coroutine."""

    def pass_fields(self) -> tuple[str, str]:
        """Return their ``X-Maintenance-Pass`` and ``Cookie``, in which a bypass pass may be; empty: not sent."""


current_caller: ContextVar[Caller | None] = ContextVar("quiesce_current_caller", default=None)
"""Set by the adapters while a window is open."""


class Guard:
    """Context manager (``with``, ``async with``) and decorator; made by ``service.guard``.

    Raises:
        OperationRefusedError: on entering, when an open window refuses the operation, and the caller is no admin and
            carries no pass for it.
    """

    def __init__(self, gate: Gate, operation: OperationType) -> None:
        gate.expect_guards()
        self._gate = gate
        self._operation = operation
        self._tokens: list[int] = []

    def __enter__(self) -> Self:
        token, decision = self._ask()
        try:
            if decision is None:
                decision = self._gate.revive_and_judge(token)
            caller = current_caller.get()
            if not decision.is_allowed and not self._has_pass(token, decision, caller):
                self._settle(token, decision, None if caller is None else self._identified(caller))
        except BaseException:
            self._gate.leave(token)
            raise
        self._tokens.append(token)
        return self

    async def __aenter__(self) -> Self:
        token, decision = self._ask()
        try:
            if decision is None:
                import asyncio  # noqa: PLC0415 - half of the import time of a command line that never gets here

                decision = await asyncio.to_thread(self._gate.revive_and_judge, token)
            caller = current_caller.get()
            if not decision.is_allowed and not self._has_pass(token, decision, caller):
                self._settle(token, decision, None if caller is None else await self._identified_async(caller))
        except BaseException:
            self._gate.leave(token)
            raise
        self._tokens.append(token)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._gate.leave(self._tokens.pop())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._gate.leave(self._tokens.pop())

    def __call__(self, function: F) -> F:
        """Return the function, plain or ``async``, guarded at each call."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError("a generator runs after its call has returned; use the guard inside it, with 'with'")
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def guarded_async(*args: Any, **kwargs: Any) -> Any:
                async with Guard(self._gate, self._operation):
                    return await function(*args, **kwargs)

            return cast("F", guarded_async)

        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            with Guard(self._gate, self._operation):
                return function(*args, **kwargs)

        return cast("F", guarded)

    def _ask(self) -> tuple[int, Decision | None]:
        """Return the token of a new entry and what is decided; the entry stays only if this returns."""
        token = self._gate.enter(GUARD, self._operation.name)
        try:
            # Judged even when the gate is open: an open gate has no decision to show, and None means no lease.
            return abs(token), self._gate.judge(abs(token))
        except BaseException:
            self._gate.leave(abs(token))
            raise

    def _has_pass(self, token: int, decision: Decision, caller: Caller | None) -> bool:
        passes = self._gate.passes
        if caller is None or not passes.are_out:
            return False
        header, cookie = caller.pass_fields()
        return passes.admit(token, decision, header=header, cookie=cookie) is not None

    def _settle(self, token: int, decision: Decision, principal: Principal | None) -> None:
        if principal is not None and principal.is_admin:
            self._gate.bypass(token, decision, user=principal.user_id)
            return
        self._gate.refuse(token, decision, user="" if principal is None else principal.user_id)
        raise OperationRefusedError(decision)

    def _identified(self, caller: Caller) -> Principal | None:
        try:
            return caller.identify()
        except Exception:
            # Whoever the application cannot name is no admin; its fault must not open the gate.
            logger.exception("identify failed; the caller of guard %r counts as nobody", self._operation.name)
            return None

    async def _identified_async(self, caller: Caller) -> Principal | None:
        try:
            return await caller.identify_async()
        except Exception:
            # As above.
            logger.exception("identify failed; the caller of guard %r counts as nobody", self._operation.name)
            return None
