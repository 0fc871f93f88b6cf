"""Connections to Redis: bounded in time, without hidden retries, their errors made ours."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any, Protocol, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from ..model import StoreCorruptError, StoreError, StoreUnreachableError
from .redis_address import RedisAddress

_Sentinel: Any = Sentinel
CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 2.0
_SENTINEL_SECONDS = 0.5
_UNREACHABLE = (
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.NoPermissionError,
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.ClusterError,
    redis.exceptions.AskError,
    redis.exceptions.TryAgainError,
    OSError,
)
_UNREACHABLE_CODES = frozenset(
    {"BUSY", "LOADING", "MASTERDOWN", "MISCONF", "NOAUTH", "NOREPLICAS", "OOM", "READONLY", "UNKILLABLE"}
)


class Client(Protocol):
    """What is used of a ``redis.Redis``, whose own types differ from version to version."""

    connection_pool: Any

    def execute_command(self, *arguments: object) -> Any:
        """Return the answer to one command."""

    def info(self, section: str) -> Any:
        """Return a section of ``INFO``."""

    def pipeline(self, *, transaction: bool) -> Any:
        """Return what sends several commands over one connection."""

    def pubsub(self) -> Any:
        """Return a subscriber."""

    def close(self) -> None:
        """Close all connections."""


def connect(address: RedisAddress) -> Client:
    """Return a client that has not connected yet."""
    arguments: dict[str, Any] = {
        "db": address.database,
        "username": address.username,
        "password": address.password,
        "protocol": 2,
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": ANSWER_SECONDS,
        "socket_keepalive": True,
        "socket_keepalive_options": _keepalive(),
        "retry": _no_retry(),
        "health_check_interval": 0,
    }
    if address.master is None:
        host, port = address.nodes[0]
        tls: dict[str, Any] = {"ssl": True, **address.options} if address.tls else {}
        return cast("Client", redis.Redis(host=host, port=port, **arguments, **tls))
    sentinels = _Sentinel(
        address.nodes,
        sentinel_kwargs={
            "username": address.options.get("sentinel_username"),
            "password": address.options.get("sentinel_password"),
            "protocol": 2,
            "socket_connect_timeout": _SENTINEL_SECONDS,
            "socket_timeout": _SENTINEL_SECONDS,
            "retry": _no_retry(),
        },
    )
    return cast("Client", sentinels.master_for(address.master, **arguments))


@contextlib.contextmanager
def translated(address: RedisAddress) -> Iterator[None]:
    """Raise what redis-py raises as a ``StoreError`` that names the address and shows no password."""
    try:
        yield
    except (redis.exceptions.RedisError, OSError) as exc:
        text = str(exc)
        for secret in address.secrets:
            text = text.replace(secret, "***")
        # A chained exception would be printed with the secret in it.
        cause = exc if text == str(exc) else None
        raise _error(exc)(f"{address.redacted}: {_explanation(exc)}{text}") from cause


def is_demoted(error: Exception) -> bool:
    """Whether the server is no master any more, so that its connections are of no use."""
    return isinstance(error, redis.exceptions.ReadOnlyError) or "READONLY" in _words(error)


def _words(error: Exception) -> set[str]:
    # Redis 6 puts the code of an error that a script met amid the text, with a dash.
    return set(str(error).replace(":", " ").replace(" -", " ").split())


def _error(exc: Exception) -> type[StoreError]:
    if isinstance(exc, _UNREACHABLE):
        return StoreUnreachableError
    words = _words(exc)
    if "WRONGTYPE" in words:
        return StoreCorruptError
    return StoreUnreachableError if words & _UNREACHABLE_CODES else StoreError


def _explanation(exc: Exception) -> str:
    if is_demoted(exc):
        return "it is a replica and takes no writes: "
    match exc:
        case redis.exceptions.AuthenticationError() | redis.exceptions.AuthorizationError():
            return "it refuses these credentials: "
        case redis.exceptions.BusyLoadingError():
            return "it is loading its data: "
        case redis.exceptions.TimeoutError():
            return "no answer in time: "
        case _:
            return ""


def _no_retry() -> Retry:
    return Retry(NoBackoff(), 0)


def _keepalive() -> dict[int, int]:
    # A subscriber only listens: nothing else would tell it that its peer's machine is gone.
    wanted = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3}
    return {getattr(socket, name): value for name, value in wanted.items() if hasattr(socket, name)}
