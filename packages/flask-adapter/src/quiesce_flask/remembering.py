"""Flask-Login's remember-me cookies: a signed companion beside each says of which generation it is.

The cookie itself names nothing but the user, and never changes. The companion's signature covers it, so that one user's
companion is worth nothing beside another's cookie.
"""

from __future__ import annotations

from flask import Flask, Response, current_app, g, request
from flask.sessions import SessionMixin
from itsdangerous import BadSignature, URLSafeSerializer
from werkzeug.http import dump_cookie, parse_cookie

_LOADED_USER = "_login_user"
_LONGEST = 256


def remembered_stamp(session: SessionMixin) -> int | None:
    """Return the generation of the cookie that would log somebody in now; ``None``: none would."""
    name = _cookie_name(current_app)
    if name is None or name not in request.cookies:
        return None
    if session.get("_user_id") is not None or session.get("_remember") == "clear":
        return None
    companion = request.cookies.get(_companion_name(name), "")
    if not companion or len(companion) > _LONGEST:
        return 0
    try:
        stamp = _serializer(request.cookies[name]).loads(companion)
    except BadSignature:
        return 0
    return stamp if type(stamp) is int else 0


def forget_user(session: SessionMixin) -> None:
    """Let Flask-Login forget whom it has loaded, and end the cookie by which it would load them again."""
    g.pop(_LOADED_USER, None)
    name = _cookie_name(current_app)
    if name is not None and name in request.cookies:
        session["_remember"] = "clear"


def ignore_user() -> None:
    """Let Flask-Login take the request for nobody's, and leave its cookie as it is."""
    g.pop(_LOADED_USER, None)
    if _cookie_name(current_app) is not None:
        anonymous = current_app.login_manager.anonymous_user()  # type: ignore[attr-defined]  # Flask-Login puts it there
        setattr(g, _LOADED_USER, anonymous)


def add_companion(response: Response, *, stamp: int) -> None:
    """Put a companion beside a remember-me cookie that the response sets, or end both; with the same attributes."""
    name = _cookie_name(current_app)
    if name is None:
        return
    companion = _companion_name(name)
    for line in response.headers.getlist("Set-Cookie"):
        pair, semicolon, attributes = line.partition(";")
        if not pair.startswith(f"{name}="):
            continue
        token = parse_cookie(pair).get(name, "")
        value = _serializer(token).dumps(stamp) if token and stamp else ""
        if value or companion in request.cookies:
            ends = "" if value or not token else "; Max-Age=0"
            both = dump_cookie(companion, str(value), path=None).partition(";")[0]
            response.headers.add("Set-Cookie", f"{both}{semicolon}{attributes}{ends}")


def _cookie_name(app: Flask) -> str | None:
    if not hasattr(app, "login_manager"):
        return None
    name: str = app.config.get("REMEMBER_COOKIE_NAME", "remember_token")
    return name


def _companion_name(name: str) -> str:
    return f"{name}_quiesce"


def _serializer(token: str) -> URLSafeSerializer:
    return URLSafeSerializer(current_app.secret_key or "", salt=f"quiesce.remember-me.{token}")
