"""The path that an application sees, without the prefix under which it is mounted."""

from __future__ import annotations

from starlette.routing import Mount
from starlette.types import Scope


def path_below_root(scope: Scope) -> str:
    """Return the path without ``root_path`` (ASGI 3); a path that came without it is returned as it is."""
    path: str = scope["path"]
    root: str = scope.get("root_path") or ""
    if not path.startswith(root) or path[len(root) : len(root) + 1] not in {"", "/"}:
        return path
    return path[len(root) :] or "/"


def path_as_routed(scope: Scope) -> str:
    """Return the path that the installed Starlette matches routes against."""
    return path_below_root(scope) if _TAKES_ROOT_OFF else str(scope["path"])


def _takes_root_off() -> bool:
    """Before 0.33, Starlette matched routes against the whole path, and a mount shortened it."""
    _, child = Mount("/a", routes=[]).matches({"type": "http", "method": "GET", "path": "/a/b", "headers": []})
    return "path" not in child


_TAKES_ROOT_OFF = _takes_root_off()
