"""The session of one request, as SessionMiddleware keeps it in the scope: judged before, stamped or undone after."""

from __future__ import annotations

import copy
import logging
import secrets
from typing import Any

from starlette.types import Scope

from quiesce import Decision, EnhancedMaintenanceModeService, Principal, SessionVerdict

from .identity import Identity

STAMP = "_quiesce"
"""Key in a session, and claim in a token, under which the generation of its login stands."""
SESSION_ID = "_quiesce_id"
"""Key in a session under which stands what tells it from all others; it is written at a login."""

_ID_BYTES = 12

logger = logging.getLogger("quiesce")


class CookieSession:
    """One ``scope["session"]``.

    What is suspended is hidden, not touched: the application gets a copy of the scope with an empty session, and the
    middleware that keeps the cookie still has the scope with the whole one.

    Attributes:
        scope: what the application is to be given.
    """

    __slots__ = (
        *("_before", "_generation", "_identity", "_is_hidden", "_is_known", "_service", "_stored", "_was"),
        "scope",
    )

    def __init__(self, scope: Scope, *, service: EnhancedMaintenanceModeService, identity: Identity) -> None:
        self.scope = scope
        self._service = service
        self._identity = identity
        self._stored: dict[str, Any] = scope["session"]
        # Whoever proved who they are before a revocation is not to survive it.
        self._generation = service.sessions.generation
        self._before: dict[str, Any] = {}
        self._was: Principal | None = None
        self._is_known = False
        self._is_hidden = False

    @classmethod
    def settled(
        cls,
        scope: Scope,
        *,
        service: EnhancedMaintenanceModeService,
        identity: Identity,
        generation: int,
        was_empty: bool,
    ) -> CookieSession:
        """Return the session of a request that needed no judgement, and of which nothing was copied.

        Args:
            scope: as the application was given it.
            service: says which sessions count and who may log in.
            identity: says whose a session is.
            generation: of the session when the request began, and of a login by it.
            was_empty: whether there was nothing in it.
        """
        session = cls(scope, service=service, identity=identity)
        session._generation = generation
        session._before = {} if was_empty else {STAMP: generation}
        # Whoever is in a session that lost its stamp has logged in anew.
        session._is_known = True
        return session

    async def judge(self) -> None:
        """Clear a session that is over, hide one that does not count now, leave every other as it is."""
        stored = self._stored
        stamp = stamp_of(stored)
        if stored and self._service.sessions.must_be_judged(stamp):
            verdict = await self._verdict(stamp)
            if verdict is SessionVerdict.REVOKED and self.scope["type"] == "http":
                stored.clear()
                if self._was is not None:
                    self._service.sessions.log_invalidated(self._was)
                self._was = None
            elif verdict is not SessionVerdict.VALID:
                self._hide()
            elif self._was is not None:
                note_session(self._service, stored, self._was)
        elif stored:
            note_session(self._service, stored)
        # Of a session that is up to date it will only be asked whether it still is, unless a window opens meanwhile.
        session = self.scope["session"]
        is_current = stamp == self._service.sessions.generation and not self._service.sessions.is_refusing_logins
        self._before = dict(session) if is_current else copy.deepcopy(dict(session))

    async def settle(self, path: str, *, is_login: bool) -> Decision | None:
        """Look who is logged in now, when the response begins: a login is stamped, or undone and its refusal returned.

        Args:
            path: of the request.
            is_login: whether it is of type ``AUTHENTICATION``, so that it counts although the session looks the same.
        """
        sessions = self._service.sessions
        session = self.scope.get("session")
        if not session or (session == self._before and not is_login):
            return None
        if sessions.is_idle:
            if is_login and not self._is_hidden:
                self._introduce(await self._identity.ask(self.scope))
            return None
        is_stamped = stamp_of(session) == self._generation
        if not sessions.is_refusing_logins and not self._is_hidden and (is_stamped or not self._before):
            # What began empty holds nothing from before this moment, whosever it is.
            self._stamp()
            if is_login:
                self._introduce(await self._identity.ask(self.scope))
            return None
        principal = await self._identity.ask(self.scope)
        if principal is None:
            return None
        was = await self._who_was()
        if was is not None and was.user_id == principal.user_id and not self._has_lost_stamp(session):
            return None
        decision = sessions.refuse_login(principal, path=path)
        if decision is None:
            self._introduce(principal)
            self._stamp(is_let_in_as_admin=principal.is_admin and sessions.is_refusing_logins)
        else:
            self._undo()
        return decision

    async def _verdict(self, stamp: int) -> SessionVerdict:
        self._is_known = True
        try:
            self._was = await self._identity.ask_frankly(self.scope)
        except Exception:
            # Whether it counts is not known: it must open nothing, and it must not be lost by the application's fault.
            logger.exception("identify failed; the session behind %.200r does not count", self.scope["path"])
            return SessionVerdict.SUSPENDED
        if self._was is None:
            return SessionVerdict.VALID
        return self._service.sessions.judge(self._was, stamp=stamp)

    async def _who_was(self) -> Principal | None:
        if not self._is_known:
            session = self.scope["session"]
            self._was = await self._identity.ask({**self.scope, "session": type(session)(self._before)})
            self._is_known = True
        return self._was

    def _hide(self) -> None:
        if hasattr(self._stored, "mark_accessed"):  # Starlette 1: the answer varies by the cookie
            self._stored.mark_accessed()
        self.scope = {**self.scope, "session": type(self._stored)()}
        self._is_hidden = True
        self._was = None

    def _has_lost_stamp(self, session: dict[str, Any]) -> bool:
        """Whether the view emptied the session, as those do that log somebody in anew."""
        before = stamp_of(self._before)
        return before > 0 and stamp_of(session) != before

    def _introduce(self, principal: Principal | None) -> None:
        """Give the session of somebody who has just logged in a name, and have it counted."""
        if principal is not None:
            session = self.scope["session"]
            if SESSION_ID not in session:
                session[SESSION_ID] = secrets.token_urlsafe(_ID_BYTES)
            note_session(self._service, session, principal)

    def _stamp(self, *, is_let_in_as_admin: bool = False) -> None:
        """Note the generation, and take over what was made beside a hidden session."""
        session = self.scope["session"]
        if is_let_in_as_admin:
            # They are judged at each request, and are out as soon as they are no admin.
            session.pop(STAMP, None)
        elif self._generation and stamp_of(session) != self._generation:
            session[STAMP] = self._generation
        if self._is_hidden:
            self._stored.clear()
            self._stored.update(session)

    def _undo(self) -> None:
        if self._is_hidden:
            return
        self.scope["session"] = self._stored
        self._stored.clear()
        if self._before.keys() != {STAMP}:
            self._stored.update(self._before)


def note_session(
    service: EnhancedMaintenanceModeService, session: dict[str, Any], principal: Principal | None = None
) -> None:
    """Have a session that counts counted; ``None``: whose it is was not asked."""
    name = session.get(SESSION_ID)
    if type(name) is not str:
        # One from before its logins were watched: what is known is one session, or more, of this user.
        name = "" if principal is None else f"of {principal.user_id}"
    service.sessions.note_activity(principal, name)


def stamp_of(session: dict[str, Any]) -> int:
    """Return the generation that stands in a session; 0 when none does."""
    stamp = session.get(STAMP, 0)
    return stamp if type(stamp) is int else 0
