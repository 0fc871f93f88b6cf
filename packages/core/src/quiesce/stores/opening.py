"""From an address to the store behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ..model import InvalidValueError, StoreURLError
from .base import Store

SCHEMES = ("memory", "redis", "redis+sentinel", "rediss", "sqlite")
"""What is built in, in order of name."""


class StoreOpener(Protocol):
    """What ``open_store`` asks about schemes that are not built in; the plugin manager is one."""

    def open_store(self, url: str) -> Store | None:
        """Return a store for this address, or ``None`` when no plugin knows its scheme."""


def open_store(url: str, *, service_name: str = "default", plugins: StoreOpener | None = None) -> Store:
    """Return the store at ``url``; nothing is reached yet.

    Args:
        url: ``memory://``, ``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``redis://``, ``rediss://``,
            ``redis+sentinel://[user:password@]host1:port1,host2:port2/MASTER/DB``, or a plugin's own scheme.
        service_name: keeps apart the services that share one store.
        plugins: is asked about any other scheme.

    Raises:
        StoreURLError: the address names no store that can work; the message shows no password.
        InvalidValueError: the service name cannot be used.
    """
    if not 0 < len(service_name) <= 100 or not service_name.isprintable():
        raise InvalidValueError("service_name", f"{service_name!r:.120} is not 1 to 100 printable characters")
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator:
        raise StoreURLError(f"the store address has no scheme; known are {_known()}")
    match scheme:
        case "memory":
            return _memory(rest)
        case "sqlite":
            return _sqlite(rest, service_name)
        case "redis" | "rediss" | "redis+sentinel":
            return _redis(url, service_name)
    store = None if plugins is None else plugins.open_store(url)
    if store is None:
        raise StoreURLError(f"no store for the scheme {scheme!r:.40}; known are {_known()}, and those of plugins")
    return store


def _known() -> str:
    return ", ".join(f"{scheme}://" for scheme in SCHEMES)


def _memory(rest: str) -> Store:
    if rest:
        raise StoreURLError("memory:// takes nothing after it")
    from .memory import MemoryStore  # noqa: PLC0415 - see _sqlite

    return MemoryStore()


def _sqlite(rest: str, service_name: str) -> Store:
    path = _sqlite_path(rest)
    from .sqlite import SqliteStore  # noqa: PLC0415 - a megabyte, of no use to who has another store

    return SqliteStore(path, service_name=service_name)


def _sqlite_path(rest: str) -> Path:
    if not rest.startswith("/"):
        raise StoreURLError("a SQLite address has three slashes before a relative path, four before an absolute one")
    path = rest[1:]
    if not path or path == ":memory:":
        raise StoreURLError("a SQLite address names a file; memory:// is the store that needs none")
    if "?" in path or "\0" in path:
        raise StoreURLError("a SQLite address is a path alone, without '?', options or control characters")
    return Path(path)


def _redis(url: str, service_name: str) -> Store:
    try:
        from .redis import RedisStore  # noqa: PLC0415 - an extra: most installations have no redis
    except ModuleNotFoundError as exc:
        if exc.name != "redis":
            raise
        raise StoreURLError("a Redis store needs the redis package: pip install 'quiesce[redis]'") from exc
    return RedisStore(url, service_name=service_name)
