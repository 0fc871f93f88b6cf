"""The one spelling of a path that rules are matched against."""

from __future__ import annotations

import re

# One class of characters first, so that a long path without any of them is passed over at the speed of C.
_UNCLEAN = re.compile(r"[/%\\\x00-\x1f\x7f](?:(?<=/)(?:/|\.\.?(?:/|\Z))|(?<=%)(?:2[eEfF5]|5[cC]|00)|(?<![/%]))")


ID_SEGMENT = "/{id}"
"""Stands at the end of a path for the id of a window."""

_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,79}")


def is_clean(path: str) -> bool:
    """Whether every layer of a server reads this path in the same way.

    Not clean are dot segments, doubled slashes, backslashes, control characters, an encoded dot, slash, backslash, NUL
    or per cent sign that is left after decoding once, and a path that does not begin with a slash.
    """
    return path.startswith("/") and _UNCLEAN.search(path) is None


def template_of(path: str) -> str:
    """Return the path with ``{id}`` for its last segment, when that can be the id of a window; else an empty text.

    An id has 1 to 80 letters, digits, ``-``, ``_`` and ``.``, and does not begin with ``.``: no dot segment is one.
    """
    parent, slash, last = path.rpartition("/")
    return parent + ID_SEGMENT if slash and _ID.fullmatch(last) else ""


def normalise(path: str) -> str:
    """Return the path with one slash between segments, dot segments resolved, and no slash at its end.

    Args:
        path: decoded once, without the mount prefix and the query.

    Returns:
        A path that begins with ``/`` and never leads above it; letter case is kept; doing it again changes nothing.
    """
    if is_clean(path):
        return path if path[-1] != "/" or path == "/" else path[:-1]
    while "//" in path:
        path = path.replace("//", "/")
    if "/." not in path and not path.startswith("."):  # no dot segment, however many others
        return "/" + path.strip("/")
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            if kept:
                kept.pop()
        elif segment and segment != ".":
            kept.append(segment)
    return "/" + "/".join(kept)


def unmask(path: str) -> str:
    """Return the path as a lenient server behind this one might read it.

    Control characters are dropped; encoded dots, slashes and backslashes are decoded, however often they were encoded;
    backslashes become slashes.
    """
    for character in _CONTROLS:  # a hostile path holds thousands of them, but of 33 kinds
        if character in path:
            path = path.replace(character, "")
    for _ in range(_MAX_DECODINGS):
        if "%" not in path:
            break
        before = path
        for code, character in _ENCODED:
            path = path.replace(code, character)
        if path == before:
            break
    return path.replace("\\", "/")


_MAX_DECODINGS = 4
_ENCODED = (
    ("%25", "%"),
    ("%2e", "."),
    ("%2E", "."),
    ("%2f", "/"),
    ("%2F", "/"),
    ("%5c", "/"),
    ("%5C", "/"),
    ("%00", ""),
)
_CONTROLS = tuple(map(chr, (*range(0x20), 0x7F)))
