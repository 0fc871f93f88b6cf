"""Where RQ's Redis is: what the application configured, else the setting MAINTENANCE_RQ_URL."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from quiesce import Settings

if TYPE_CHECKING:
    from redis import Redis

SOCKET_SECONDS = 1.5
"""How long one answer of Redis may take; counting may take two seconds in all."""

_lock = threading.Lock()
_configured: list[Redis] = []
_opened: dict[tuple[int, str], Redis] = {}


def configure(*, connection: Redis | None) -> None:
    """Say which Redis RQ uses in this process, instead of MAINTENANCE_RQ_URL; ``None``: that setting again.

    Every process that runs Quiesce must be told, and ``quiesce jobs`` on the command line only knows the setting.

    Args:
        connection: with a ``socket_timeout``, or a Redis that hangs is noticed only by the hook's own timeout.
    """
    with _lock:
        _configured[:] = [] if connection is None else [connection]


def connection() -> Redis | None:
    """Return the connection, or ``None`` when nobody said where RQ's Redis is.

    Raises:
        SettingsError: the settings are wrong.
    """
    with _lock:
        if _configured:
            return _configured[0]
        settings = Settings.load()
        url = settings.rq_url
        if url is None:
            return None
        key = (os.getpid(), url)
        if key not in _opened:
            from redis import Redis  # noqa: PLC0415 - only who has RQ pays for it

            _opened.clear()  # of the parent process, or of another address
            _opened[key] = Redis.from_url(url, socket_timeout=SOCKET_SECONDS, socket_connect_timeout=SOCKET_SECONDS)
        return _opened[key]
