"""Between the gate and the application: judges sessions and watches logins, when there is anything to judge."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quiesce import WEBSOCKET, EnhancedMaintenanceModeService, OperationType

from .cookie_session import STAMP, CookieSession, note_session, stamp_of
from .identity import Identity
from .refusing import RefusalSender
from .token_judge import TokenJudge, refuse_token
from .token_login import TokenLogin
from .tokens import bearer_token, key_of

_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", WEBSOCKET})


class SessionControl:
    """An ASGI application around another; what needs no judgement is passed on by one call.

    Args:
        app: what is wrapped.
        service: says which sessions count and who may log in.
        identity: says whose a session is.
        refusals: what a login that is undone is answered with.
        path_of: the path of a scope, as it is classified.
        is_own: whether a path is of the product's own endpoints, which know their admins themselves.
        token_cookies: names of cookies that hold a token.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        service: EnhancedMaintenanceModeService,
        identity: Identity,
        refusals: RefusalSender,
        path_of: Callable[[Scope], str],
        is_own: Callable[[str], bool],
        token_cookies: Iterable[str],
    ) -> None:
        self._app = app
        self._service = service
        self._sessions = service.sessions
        self._identity = identity
        self._refusals = refusals
        self._path_of = path_of
        self._is_own = is_own
        self._token_cookies = frozenset(token_cookies)
        self._tokens = TokenJudge(service=service, identity=identity, cookies=self._token_cookies)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one scope (ASGI 3)."""
        kind = scope["type"]
        if kind not in {"http", "websocket"}:
            return self._app(scope, receive, send)
        session = scope.get("session")
        if (
            kind == "http"
            and scope["method"] not in _SAFE
            and (session is not None or not self._sessions.is_idle)
            and self._is_login(scope)
        ):
            return self._serve_judged(scope, receive, send)
        if not self._token_cookies and not _carries_authorization(scope):
            if session is None:
                return self._app(scope, receive, send)
            if isinstance(session, dict):
                generation = stamp_of(session) if session else self._sessions.generation
                if self._sessions.is_settled(generation):
                    if session:
                        note_session(self._service, session)
                    if generation and kind == "http":
                        send = self._watching_stamp(scope, send, generation=generation, was_empty=not session)
                    return self._app(scope, receive, send)
        return self._serve_token(scope, receive, send)

    def _serve_token(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve a request that may carry a token, or a session of another time."""
        if not self._sessions.is_idle:
            return self._serve_judged(scope, receive, send)
        bearer = bearer_token(scope["headers"])
        if bearer is not None:
            self._sessions.note_activity(None, key_of(bearer))
        session = scope.get("session")
        if session and isinstance(session, dict):
            note_session(self._service, session)
        return self._app(scope, receive, send)

    def _watching_stamp(self, scope: Scope, send: Send, *, generation: int, was_empty: bool) -> Send:
        """Return what sends the answer, and looks into the session only if there is another stamp in it by then."""

        def send_watching(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                session = scope.get("session")
                if session and session.get(STAMP) != generation and not self._is_own(self._path_of(scope)):
                    late = CookieSession.settled(
                        scope,
                        service=self._service,
                        identity=self._identity,
                        generation=generation,
                        was_empty=was_empty,
                    )
                    nonlocal send
                    send = _Watch(late, send, self._refusals, path=self._path_of(scope), is_login=False).send
            return send(message)

        return send_watching

    async def _serve_judged(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = self._path_of(scope)
        if self._is_own(path):
            await self._app(scope, receive, send)
        else:
            await self._serve_visitor(scope, receive, send, path=path)

    async def _serve_visitor(self, scope: Scope, receive: Receive, send: Send, *, path: str) -> None:
        # The token first: once what is over has been taken out, nobody is taken for logged in by it.
        admitted = await self._tokens.admit(scope)
        if admitted is None:
            await refuse_token(scope, send)
            return
        is_login = scope["type"] == "http" and scope["method"] not in _SAFE and self._is_login(scope)
        if isinstance(admitted.get("session"), dict):
            session = CookieSession(admitted, service=self._service, identity=self._identity)
            await session.judge()
            admitted = session.scope
            if scope["type"] == "http":
                send = _Watch(session, send, self._refusals, path=path, is_login=is_login).send
        if is_login and self._sessions.is_refusing_logins:
            send = TokenLogin(
                admitted,
                send,
                path=path,
                sessions=self._sessions,
                identity=self._identity,
                refusals=self._refusals,
                cookies=self._token_cookies,
            ).send
        await self._app(admitted, receive, send)

    def _is_login(self, scope: Scope) -> bool:
        found = self._service.classifier.classify(scope["method"], self._path_of(scope))
        return found.operation == OperationType.AUTHENTICATION


def _carries_authorization(scope: Scope) -> bool:
    for name, _ in scope["headers"]:  # noqa: SIM110 - a generator costs more than the rest of the look
        if name == b"authorization":
            return True
    return False


class _Watch:
    """The ``send`` of one request; a login that is not allowed becomes the 503, whatever the application says then."""

    __slots__ = ("_has_begun", "_is_login", "_is_undone", "_path", "_refusals", "_send", "_session")

    def __init__(
        self, session: CookieSession, send: Send, refusals: RefusalSender, *, path: str, is_login: bool
    ) -> None:
        self._session = session
        self._send = send
        self._refusals = refusals
        self._path = path
        self._is_login = is_login
        self._has_begun = False
        self._is_undone = False

    async def send(self, message: Message) -> None:
        """Pass a message on, once it is known that nobody has logged in who may not."""
        if self._is_undone:
            return
        if not self._has_begun and message["type"] == "http.response.start":
            self._has_begun = True
            decision = await self._session.settle(self._path, is_login=self._is_login)
            if decision is not None:
                self._is_undone = True
                scope = self._session.scope
                accept = HTTPConnection(scope).headers.get("accept", "")
                for each in self._refusals.messages(decision, accept, scope["method"]):
                    await self._send(each)
                return
        await self._send(message)
