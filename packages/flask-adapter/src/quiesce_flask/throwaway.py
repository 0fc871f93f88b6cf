"""A session for one request that is never saved, and the exchange of a request's session."""

from __future__ import annotations

import secrets

from flask.globals import request_ctx
from flask.sessions import NullSession, SecureCookieSession, SessionMixin


class ThrowawaySession(NullSession):
    """Takes what a view writes; session interfaces save no null session, so neither store nor cookie sees it."""


for _write in ("__setitem__", "__delitem__", "clear", "pop", "popitem", "setdefault", "update"):
    setattr(ThrowawaySession, _write, getattr(SecureCookieSession, _write))


def opened_session() -> SessionMixin:
    """Return the request's session without the mark of having been looked at, which would add ``Vary: Cookie``."""
    context = request_ctx
    found: SessionMixin | None = getattr(context, "_session", None)
    return context.session if found is None else found


def exchange_session(session: SessionMixin) -> None:
    """Let the rest of the request see this session instead.

    Raises:
        RuntimeError: this version of Flask keeps it where it cannot be exchanged; a session that is over never counts.
    """
    # From Flask 3.1.3 on ``session`` is a property over ``_session``; before, it is the attribute itself.
    name = "_session" if hasattr(request_ctx, "_session") else "session"
    setattr(request_ctx, name, session)
    if opened_session() is not session:
        raise RuntimeError("the session of the request could not be exchanged")


def set_aside(session: SessionMixin) -> None:
    """Let the request see an empty session, while what is stored of this one, and its cookie, stay as they are."""
    throwaway = ThrowawaySession()
    if hasattr(session, "sid"):
        # Views of applications with server-side sessions read it, or have it regenerated, which deletes what it names.
        throwaway.sid = secrets.token_urlsafe(32)  # type: ignore[attr-defined]  # as Flask-Session's sessions have it
    exchange_session(throwaway)


def take_over(original: SessionMixin) -> None:
    """Save after all what the request wrote, in place of the session that had been set aside."""
    written = opened_session()
    original.clear()
    original.update(written)
    if hasattr(original, "sid"):
        original.sid = written.sid  # type: ignore[attr-defined]  # the one set aside belongs to somebody else
    original.modified = True
    exchange_session(original)
