"""The fields of a request in which a bypass pass may be."""

from __future__ import annotations

from starlette.types import Scope

from quiesce import PASS_HEADER

PASS_FIELD = PASS_HEADER.lower().encode("ascii")


def pass_fields(scope: Scope) -> tuple[str, str]:
    """Return the pass's own header and ``Cookie``, empty where they are not sent; HTTP/2 splits cookies (RFC 9113)."""
    header = ""
    cookies = []
    for name, value in scope["headers"]:
        if name == PASS_FIELD:
            header = value.decode("latin-1")
        elif name == b"cookie":
            cookies.append(value.decode("latin-1"))
    return header, "; ".join(cookies)
