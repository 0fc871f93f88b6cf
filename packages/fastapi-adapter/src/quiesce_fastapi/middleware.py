"""The gate in front of an ASGI application."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from starlette.types import ASGIApp, Receive, Scope, Send

from quiesce import WEBSOCKET, Decision, EnhancedMaintenanceModeService, OperationRefusedError, current_caller

from .exchange import Exchange
from .identity import Identify, Identity
from .lifespan import keep_registered
from .paths import path_below_root
from .refusing import RefusalSender, close
from .threads import in_gate_thread


class MaintenanceModeMiddleware:
    """Wraps any ASGI application; every HTTP request and WebSocket is in flight until the application is done with it.

    Args:
        app: what is wrapped.
        service: decides.
        identify: takes the request, returns a ``quiesce.Principal`` or ``None``; plain (run in a thread) or ``async``.
            Only asked about what would be refused, and only when it carries a credential.
        credential_headers: header fields beside ``Cookie`` and ``Authorization`` that are a credential.

    Raises:
        InvalidValueError: ``identify`` cannot be called.
    """

    _framework: ClassVar[str | None] = "asgi"
    _path_of = staticmethod(path_below_root)
    _app_answers_guards: ClassVar[bool] = False

    def __init__(
        self,
        app: ASGIApp,
        *,
        service: EnhancedMaintenanceModeService,
        identify: Identify | None = None,
        credential_headers: Iterable[str] = (),
    ) -> None:
        if self._framework is not None:
            service.adopt_framework(self._framework)
        self.app = app
        self._service = service
        self._gate = gate = service.gate
        self._enter, self._judge, self._leave = gate.enter, gate.judge, gate.leave
        self._identity = None if identify is None else Identity(identify)
        # An application with a handler for OperationRefusedError watches for the beginning of its response itself.
        self._needs_exchange = identify is not None or not self._app_answers_guards
        self._credentials = credential_fields(credential_headers)
        self._refusals = RefusalSender()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope (ASGI 3)."""
        kind = scope["type"]
        if kind == "http":
            method = scope["method"]
        elif kind == "websocket":
            method = WEBSOCKET
        elif kind == "lifespan":
            await keep_registered(self.app, service=self._service, scope=scope, receive=receive, send=send)
            return
        else:
            await self.app(scope, receive, send)
            return
        exchange = None
        token = self._enter(method, self._path_of(scope) if scope.get("root_path") else scope["path"])
        try:
            if token < 0:
                token = -token
                decision = self._judge(token)
                if decision is None:
                    decision = await in_gate_thread(self._gate.revive_and_judge, token)
                if not decision.is_allowed and not await self._let_pass(token, decision, scope, send):
                    return
                if self._needs_exchange:
                    exchange = Exchange(self._identity, scope, send)
                    reset = current_caller.set(exchange)
                    try:
                        await self.app(scope, receive, exchange.send)
                    finally:
                        current_caller.reset(reset)
                    return
            await self.app(scope, receive, send)
        except OperationRefusedError as exc:
            if exchange is not None and exchange.has_begun and kind == "http":
                raise
            await self._refuse(exc, scope, send)
        finally:
            self._leave(token)

    async def _let_pass(self, token: int, decision: Decision, scope: Scope, send: Send) -> bool:
        """Return whether an admin sent what is refused to everybody else; who is not has been answered then."""
        has_credential, accept = self._look(scope)
        user = ""
        if has_credential and self._identity is not None:
            principal = await self._identity.ask(scope)
            if principal is not None:
                user = principal.user_id
                if principal.is_admin:
                    self._gate.bypass(token, decision, user=user)
                    return True
        self._gate.refuse(token, decision, user=user)
        self._leave(token)
        await self._refusals.send(decision, accept=accept, scope=scope, send=send)
        return False

    def _look(self, scope: Scope) -> tuple[bool, str]:
        """Return whether the request carries a credential, and what it accepts."""
        has_credential = False
        accept = ""
        for name, value in scope["headers"]:
            if name == b"accept":
                accept = value.decode("latin-1")
            elif name in self._credentials:
                has_credential = True
        return has_credential, accept

    async def _refuse(self, error: OperationRefusedError, scope: Scope, send: Send) -> None:
        """Answer a guard's refusal that the application let out."""
        try:
            if scope["type"] == "websocket":
                await close(error.decision, send=send)
            else:
                await self._refusals.send(error.decision, accept=self._look(scope)[1], scope=scope, send=send)
        except Exception as exc:
            # A server that has sent the beginning of another response accepts no second one.
            raise error from exc


def credential_fields(names: Iterable[str]) -> frozenset[bytes]:
    """Return the header fields, as ASGI spells them, without which nobody can be identified."""
    return frozenset({b"cookie", b"authorization", *(name.lower().encode("latin-1") for name in names)})
