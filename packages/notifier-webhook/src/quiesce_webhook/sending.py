"""Posts one body, in bounded time, and says in words that hold no secret why it was not taken."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from urllib.parse import SplitResult, quote, unquote, urlsplit

import httpcore

from quiesce import DeliveryError

from ._version import __version__
from .addresses import Resolver
from .answers import check_answer
from .connecting import GuardedBackend

TOTAL_SECONDS = 10.0
"""For everything, whatever the receiver does, unless another time is given."""

_PORTS = {"http": 80, "https": 443}


def post(
    url: str,
    *,
    body: bytes,
    headers: Mapping[str, str],
    resolver: Resolver,
    allow_private: bool,
    total_seconds: float,
) -> None:
    """Post JSON and return once the receiver has said that it took it; proxies of the environment are not used.

    Nothing of the answer is read but its head, and no redirect is followed.

    Raises:
        DeliveryError: it was not taken.
    """
    parts = urlsplit(url)
    backend = GuardedBackend(resolver=resolver, allow_private=allow_private, total_seconds=total_seconds)
    context = _tls() if parts.scheme == "https" else None
    try:
        with (
            httpcore.ConnectionPool(
                ssl_context=context, max_connections=1, max_keepalive_connections=0, network_backend=backend
            ) as pool,
            pool.stream("POST", _target(parts), headers=_headers(parts, headers), content=body) as response,
        ):
            status, retry_after = response.status, _header(response, b"retry-after")
    except httpcore.TimeoutException as exc:
        raise DeliveryError(f"the webhook's receiver did not answer within {total_seconds:g} s") from exc
    except (httpcore.NetworkError, httpcore.ProtocolError) as exc:
        raise DeliveryError(_problem(exc)) from exc
    check_answer(status, retry_after=retry_after, now=datetime.now(UTC))


@cache
def _tls() -> ssl.SSLContext:
    # The system's store knows a company's own authority; where there is none, as in slim containers, certifi's is used.
    paths = ssl.get_default_verify_paths()
    return ssl.create_default_context() if paths.cafile or paths.capath else httpcore.default_ssl_context()


def _target(parts: SplitResult) -> httpcore.URL:
    target = quote(parts.path or "/", safe="/%!$&'()*+,;=:@~") + (
        f"?{quote(parts.query, safe='/?%!$&()*+,;=:@~')}" if parts.query else ""
    )
    port = parts.port or _PORTS[parts.scheme]
    return httpcore.URL(scheme=parts.scheme.encode(), host=_host(parts), port=port, target=target.encode())


def _host(parts: SplitResult) -> bytes:
    host = parts.hostname or ""
    try:
        return host.encode("ascii" if host.isascii() else "idna")
    except UnicodeError as exc:
        raise DeliveryError("the webhook's host cannot be found") from exc


def _headers(parts: SplitResult, headers: Mapping[str, str]) -> list[tuple[str, str]]:
    host = _host(parts).decode()
    host = f"[{host}]" if ":" in host else host
    found = {
        "Host": host if parts.port in (None, _PORTS[parts.scheme]) else f"{host}:{parts.port}",
        "Content-Type": "application/json",
        "User-Agent": f"quiesce-webhook/{__version__}",
        "Connection": "close",
        **headers,
    }
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        found["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return list(found.items())


def _header(response: httpcore.Response, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in response.headers if key.lower() == name), None)


def _problem(exc: Exception) -> str:
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "the certificate of the webhook's receiver is not to be trusted"
        if isinstance(cause, ssl.SSLError):
            return "the webhook's receiver and TLS do not go together"
        cause = cause.__cause__ or cause.__context__
    if isinstance(exc, httpcore.ProtocolError):
        return "the webhook's receiver answered something that is not HTTP, or nothing"
    if isinstance(exc, httpcore.ConnectError):
        return "the webhook's receiver cannot be reached"
    return "the webhook's receiver cut the connection"
