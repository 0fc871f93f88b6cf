"""Holds back the answer to a login until it is known whom its token is for."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable

from starlette.requests import HTTPConnection
from starlette.types import Message, Scope, Send

from quiesce import Decision, MaintenanceSessionManager, Principal

from .identity import Identity
from .refusing import RefusalSender

_LONGEST = 65_536
_FIRST_ERROR = 400
_JWT = re.compile(rb"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*")

logger = logging.getLogger("quiesce")


class TokenLogin:
    """The ``send`` of a request that logs somebody in while only admins may.

    What the client could do with the answer is tried out: ``identify`` is asked about a request with its cookies and
    its token. Whoever cannot be found out is refused.
    """

    def __init__(
        self,
        scope: Scope,
        send: Send,
        *,
        path: str,
        sessions: MaintenanceSessionManager,
        identity: Identity,
        refusals: RefusalSender,
        cookies: Iterable[str],
    ) -> None:
        self._scope = scope
        self._send = send
        self._path = path
        self._sessions = sessions
        self._identity = identity
        self._refusals = refusals
        self._cookies = frozenset(cookies)
        self._held: list[Message] = []
        self._body = bytearray()
        self._is_settled = False
        self._is_undone = False

    async def send(self, message: Message) -> None:
        """Pass the answer on when all of it is known and harmless, or else the refusal."""
        if self._is_undone:
            return
        kind = message["type"]
        if kind == "http.response.start" and message["status"] >= _FIRST_ERROR:
            self._is_settled = True
        if self._is_settled or (not self._held and kind != "http.response.start"):
            await self._send(message)
            return
        self._held.append(message)
        if kind == "http.response.start":
            return
        self._body += message.get("body", b"")
        is_readable = kind == "http.response.body" and len(self._body) <= _LONGEST
        if is_readable and message.get("more_body", False):
            return
        self._is_settled = True
        decision = await self._decide(is_readable=is_readable)
        if decision is None:
            for each in self._held:
                await self._send(each)
            return
        self._is_undone = True
        accept = HTTPConnection(self._scope).headers.get("accept", "")
        for each in self._refusals.messages(decision, accept, self._scope["method"]):
            await self._send(each)

    async def _decide(self, *, is_readable: bool) -> Decision | None:
        token = _token_in(bytes(self._body)) if is_readable else None
        cookies = _cookies_set(self._held[0])
        hands_out = not is_readable or token is not None or any(cookies.get(name) for name in self._cookies)
        principal = None
        try:
            principal = await self._identity.ask_frankly(_next_request(self._scope, cookies, token))
        except Exception:
            # Who may come in by this answer is not known, so it is not given.
            logger.exception("identify failed; the login by %.200r is undone", self._path)
            hands_out = True
        if principal is None and not hands_out:
            return None
        was = await self._identity.ask(self._scope)
        if was is not None and (was.is_admin or (principal is not None and was.user_id == principal.user_id)):
            return None
        return self._sessions.refuse_login(principal or Principal(""), path=self._path)


def _token_in(body: bytes) -> str | None:
    """Return the ``access_token`` of RFC 6749 section 5.1, or whatever looks like a JWT."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if isinstance(answer, dict) and isinstance(answer.get("access_token"), str):
        return str(answer["access_token"])
    found = _JWT.search(body)
    return None if found is None else found[0].decode("ascii")


def _cookies_set(start: Message) -> dict[str, str]:
    """Return what the answer makes of cookies; an empty value deletes one."""
    cookies = {}
    for name, value in start.get("headers", ()):
        if name.lower() == b"set-cookie":
            pair, *attributes = value.decode("latin-1").split(";")
            key, _, content = pair.partition("=")
            is_deleted = any(attribute.strip().lower() == "max-age=0" for attribute in attributes)
            cookies[key.strip()] = "" if is_deleted else content.strip().strip('"')
    return cookies


def _next_request(scope: Scope, cookies: dict[str, str], token: str | None) -> Scope:
    """Return what the client could send next."""
    jar = {**HTTPConnection(scope).cookies, **cookies}
    dropped = {b"cookie"} if token is None else {b"cookie", b"authorization"}
    headers = [(name, value) for name, value in scope["headers"] if name not in dropped]
    sent = "; ".join(f"{name}={value}" for name, value in jar.items() if value)
    if sent:
        headers.append((b"cookie", sent.encode("latin-1", "replace")))
    if token is not None:
        headers.append((b"authorization", b"Bearer " + token.encode("latin-1", "replace")))
    return {**scope, "headers": headers}
