"""The gate in front of an ASGI application."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from quiesce import WEBSOCKET, Decision, EnhancedMaintenanceModeService, OperationRefusedError, current_caller

from .exchange import Exchange
from .identity import Identify, Identity
from .lifespan import keep_registered
from .open_sockets import OpenSockets
from .passes import PASS_FIELD, pass_fields
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
        self._enter, self._judge, self._refuse, self._pop = gate.enter, gate.judge, gate.refuse, gate.pop
        self._identity = None if identify is None else Identity(identify)
        # An application with a handler for OperationRefusedError watches for the beginning of its response itself.
        self._needs_exchange = identify is not None or not self._app_answers_guards
        self._credentials = credential_fields(credential_headers)
        self._carriers = self._credentials | {PASS_FIELD}
        self._refusals = RefusalSender()
        self._sockets = OpenSockets(
            service, identity=self._identity, credentials=self._credentials, refusals=self._refusals
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope (ASGI 3)."""
        kind = scope["type"]
        if kind == "http":
            method = scope["method"]
        elif kind == "websocket":
            await self._serve_socket(scope, receive, send)
            return
        elif kind == "lifespan":
            await keep_registered(self.app, service=self._service, scope=scope, receive=receive, send=send)
            return
        else:
            await self.app(scope, receive, send)
            return
        token = self._enter(method, self._path_of(scope) if scope.get("root_path") else scope["path"])
        if token > 0:
            try:
                await self.app(scope, receive, send)
            except OperationRefusedError as exc:
                await self._answer(exc, scope, send)
            finally:
                self._pop(token, None)
            return
        await self._pass_or_refuse(-token, scope, receive, send)

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = self._enter(WEBSOCKET, self._path_of(scope))
        if token < 0:
            await self._pass_or_refuse(-token, scope, receive, send)
            return
        try:
            await self._serve_admitted(token, scope, receive, send)
        finally:
            self._pop(token, None)

    async def _pass_or_refuse(self, token: int, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one entered request, or refuse it."""
        try:
            decision = self._judge(token)
            if decision is None:
                decision = await in_gate_thread(self._gate.revive_and_judge, token)
            if decision.is_allowed:
                await self._serve_admitted(token, scope, receive, send)
                return
            carriers = self._carriers
            carries_something = False
            accept = ""
            for name, value in scope["headers"]:
                if name == b"accept":
                    accept = value.decode("latin-1")
                elif name in carriers:
                    carries_something = True
            if not carries_something:
                self._refuse(token, decision)
            elif await self._lets_pass(token, decision, scope):
                await self._serve_judged(scope, receive, send)
                return
            if scope["type"] == "http":
                start, body = self._refusals.messages(decision, accept, scope["method"])
                await send(start)
                await send(body)
            else:
                await self._refusals.deny(decision, accept=accept, scope=scope, send=send)
        finally:
            self._pop(token, None)

    async def _serve_admitted(self, token: int, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what nobody in particular may do; a WebSocket can be taken away from them yet."""
        if scope["type"] != "websocket":
            await self._serve_judged(scope, receive, send)
            return
        receive, send = self._sockets.keep(token, scope, receive, send, path=self._path_of(scope))
        try:
            await self._serve_judged(scope, receive, send)
        finally:
            self._sockets.discard(token)

    async def _lets_pass(self, token: int, decision: Decision, scope: Scope) -> bool:
        """Return whether an admin sent what is refused to everybody else, or it carries a pass; each is counted."""
        if self._gate.passes.are_out:
            header, cookie = pass_fields(scope)
            if self._gate.passes.admit(token, decision, header=header, cookie=cookie) is not None:
                return True
        principal = None
        if self._identity is not None and any(name in self._credentials for name, _ in scope["headers"]):
            principal = await self._identity.ask(scope)
        user = "" if principal is None else principal.user_id
        if principal is not None and principal.is_admin:
            self._gate.bypass(token, decision, user=user)
            return True
        self._refuse(token, decision, user=user)
        return False

    async def _serve_judged(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application while a window is open: its guards may ask who is calling."""
        exchange = None
        try:
            if not self._needs_exchange and not self._gate.passes.are_out:
                await self.app(scope, receive, send)
                return
            exchange = Exchange(self._identity, scope, send)
            reset = current_caller.set(exchange)
            try:
                await self.app(scope, receive, exchange.send)
            finally:
                current_caller.reset(reset)
        except OperationRefusedError as exc:
            if exchange is not None and exchange.has_begun and scope["type"] == "http":
                raise
            await self._answer(exc, scope, send)

    async def _answer(self, error: OperationRefusedError, scope: Scope, send: Send) -> None:
        """Answer a guard's refusal that the application let out."""
        try:
            if scope["type"] == "websocket":
                await close(error.decision, send=send)
                return
            accept = HTTPConnection(scope).headers.get("accept", "")
            for message in self._refusals.messages(error.decision, accept, scope["method"]):
                await send(message)
        except Exception as exc:
            # A server that has sent the beginning of another response accepts no second one.
            raise error from exc


def credential_fields(names: Iterable[str]) -> frozenset[bytes]:
    """Return the header fields, as ASGI spells them, without which nobody can be identified."""
    return frozenset({b"cookie", b"authorization", *(name.lower().encode("latin-1") for name in names)})
