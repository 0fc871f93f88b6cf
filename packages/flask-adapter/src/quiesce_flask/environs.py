"""What the gate must know of a WSGI environ (PEP 3333)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quiesce import PASS_HEADER, WEBSOCKET

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def method_of(environ: WSGIEnvironment) -> str:
    """Return the method as the gate judges it: a WebSocket's handshake is no ``GET``."""
    method: str = environ["REQUEST_METHOD"]
    if method == "GET" and "websocket" in environ.get("HTTP_UPGRADE", "").lower():
        return WEBSOCKET
    return method


def path_of(environ: WSGIEnvironment) -> str:
    """Return the path without the mount prefix, decoded; bytes that are no UTF-8 are replaced, as Werkzeug does."""
    path: str = environ.get("PATH_INFO") or "/"
    return path if path.isascii() else path.encode("latin-1", "replace").decode("utf-8", "replace")


def header_key(name: str) -> str:
    """Return the environ's key for a header."""
    return "HTTP_" + name.upper().replace("-", "_")


PASS_KEY = header_key(PASS_HEADER)


def pass_fields(environ: WSGIEnvironment) -> tuple[str, str]:
    """Return the fields in which a bypass pass may be: its own header and ``Cookie``, empty where they are not sent."""
    return environ.get(PASS_KEY, ""), environ.get("HTTP_COOKIE", "")
