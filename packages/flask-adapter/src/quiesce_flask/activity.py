"""Tells the service which sessions and tokens are in use, for its numbers; asks whose only after a login.

The key of a session is the id under which a server keeps it, or else a name that is written into it at a login.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from flask import current_app, request
from flask.sessions import SessionMixin

from quiesce import EnhancedMaintenanceModeService, OperationType, Principal

from .environs import method_of, path_of
from .identifying import Identifier
from .throwaway import ThrowawaySession

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from .stored_sessions import StoredSessions

SESSION_ID = "_quiesce_id"
"""The key in a session under which its name stands."""

_ID_BYTES = 12
_LONGEST_KEY = 128
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class SessionActivity:
    """Notes what a request used; what it was told within ten seconds costs a look into a set."""

    def __init__(
        self, service: EnhancedMaintenanceModeService, *, identifier: Identifier, stored: StoredSessions | None
    ) -> None:
        self._stored = stored
        self._sessions = service.sessions
        self._classifier = service.classifier
        self._identifier = identifier

    def note_unjudged(self, session: SessionMixin) -> None:
        """Note the session and the token of a request about which there was nothing to judge."""
        environ = request.environ
        if "HTTP_AUTHORIZATION" in environ:
            self.note_token(None, environ)
        if not session:
            return
        if session.modified and environ["REQUEST_METHOD"] not in _SAFE and self._is_login(environ):
            principal = self._identifier.identify(environ)
            if principal is not None:
                self.note_login(session, principal, generation=0)
                return
        self.note_session(session, None)

    def note_login(self, session: SessionMixin, principal: Principal, *, generation: int) -> None:
        """Note the session of somebody who has just logged in, and give it a name if it has none."""
        if self._stored is not None and hasattr(session, "sid"):
            self._stored.rename(current_app, session, principal, generation=generation)
        if not _name_of(session):
            session[SESSION_ID] = secrets.token_urlsafe(_ID_BYTES)
        self.note_session(session, principal)

    def note_session(self, session: SessionMixin, principal: Principal | None) -> None:
        """Note a session that counts; ``None``: whose it is was not asked."""
        if not session or isinstance(session, ThrowawaySession):
            return
        name = _name_of(session)
        if not name and principal is not None:
            # One from before its logins were watched: what is known is one session, or more, of this user.
            name = f"of {principal.user_id}"
        self._sessions.note_activity(principal, name)

    def note_token(self, principal: Principal | None, environ: WSGIEnvironment) -> None:
        """Note a bearer token (RFC 6750) that was not found to be over."""
        scheme, _, token = environ["HTTP_AUTHORIZATION"].partition(" ")
        if token and scheme.lower() == "bearer":
            # Its end, where the signature of a JWT is, tells it from all others; the whole would be dear.
            self._sessions.note_activity(principal, token[-_LONGEST_KEY:])

    def _is_login(self, environ: WSGIEnvironment) -> bool:
        found = self._classifier.classify(method_of(environ), path_of(environ))
        return found.operation == OperationType.AUTHENTICATION


def _name_of(session: SessionMixin) -> str:
    name = getattr(session, "sid", None)
    if name is None:
        if isinstance(session, dict):  # whose own ``get`` would note that it was looked at
            name = dict.get(session, SESSION_ID)
        else:
            was_accessed = session.accessed
            name = session.get(SESSION_ID)
            session.accessed = was_accessed
    return name if isinstance(name, str) else ""
