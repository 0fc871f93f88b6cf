"""Judges the tokens of a request: bearer tokens that are over get a 401, cookies that are over are taken out."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from starlette.requests import HTTPConnection
from starlette.types import Message, Scope, Send

from quiesce import EnhancedMaintenanceModeService, SessionVerdict, token_refusal

from .identity import Identity
from .tokens import age_of, bearer_token, key_of

_DENIAL = "websocket.http.response"
_POLICY_VIOLATION = 1008

logger = logging.getLogger("quiesce")


class TokenJudge:
    """Asks whose a token is only if it is not newer than the last revocation.

    Args:
        service: says what is over.
        identity: says whose a token is.
        cookies: names of cookies that hold a token.
    """

    def __init__(
        self, *, service: EnhancedMaintenanceModeService, identity: Identity, cookies: Iterable[str] = ()
    ) -> None:
        self._sessions = service.sessions
        self._identity = identity
        self._cookies = frozenset(cookies)

    async def admit(self, scope: Scope) -> Scope | None:
        """Return the scope that the application is to be given; ``None``: its bearer token is over."""
        bearer = bearer_token(scope["headers"])
        if bearer is not None and await self._is_over(bearer, scope):
            return None
        if not self._cookies:
            return scope
        cookies = HTTPConnection(scope).cookies
        for name in self._cookies & cookies.keys():
            if cookies[name] and await self._is_over(cookies[name], scope):
                scope = without_cookie(scope, name)
        return scope

    async def _is_over(self, token: str, scope: Scope) -> bool:
        age = age_of(token)
        if self._sessions.token_counts(stamp=age.stamp, issued_at=age.issued_at):
            self._sessions.note_activity(None, key_of(token))
            return False
        try:
            principal = await self._identity.ask_frankly(scope)
        except Exception:
            # Whether it counts is not known, and must open nothing.
            logger.exception("identify failed; the token of %.200r does not count", scope["path"])
            return True
        if principal is None:
            return False
        if not principal.is_interactive and age.stamp is None and not (age.issued_at or principal.authenticated_at):
            return False  # a key that a program was given: it has no log-in that could be over
        verdict = self._sessions.judge(principal, stamp=age.stamp, issued_at=age.issued_at)
        if verdict is not SessionVerdict.VALID:
            return True
        self._sessions.note_activity(principal, key_of(token))
        return False


def without_cookie(scope: Scope, name: str) -> Scope:
    """Return the scope of a request that carries no such cookie."""
    headers = []
    for field, value in scope["headers"]:
        if field != b"cookie":
            headers.append((field, value))
            continue
        kept = [pair for pair in value.split(b";") if pair.partition(b"=")[0].strip().decode("latin-1") != name]
        if kept:
            headers.append((field, b";".join(kept).strip()))
    return {**scope, "headers": headers}


async def refuse_token(scope: Scope, send: Send) -> None:
    """Answer with the 401 of a token that is over; a WebSocket gets no further."""
    answer = token_refusal()
    start: Message = {"type": "http.response.start", "status": answer.status, "headers": [*answer.raw_headers]}
    end: Message = {"type": "http.response.body", "body": b"" if scope.get("method") == "HEAD" else answer.body}
    if scope["type"] == "http":
        await send(start)
        await send(end)
    elif _DENIAL in (scope.get("extensions") or {}):
        await send({**start, "type": f"{_DENIAL}.start"})
        await send({**end, "type": f"{_DENIAL}.body"})
    else:
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": "token is over"})
