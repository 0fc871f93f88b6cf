"""The address of a Redis: parsed, checked, and shown without its passwords."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from ..model import StoreURLError

_TLS_OPTIONS = frozenset({"ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_keyfile"})
_SENTINEL_OPTIONS = frozenset({"sentinel_password", "sentinel_username"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """Where a Redis is, and how it is spoken to.

    Attributes:
        nodes: host and port of the server, or of each Sentinel.
        database: its number.
        master: the name by which the Sentinels know it; ``None``: no Sentinels.
        username: of the server.
        password: of the server.
        tls: whether the connection is encrypted.
        options: what the query says: ``ssl_…``, as redis-py names it, or ``sentinel_username`` and ``…_password``.
    """

    nodes: tuple[tuple[str, int], ...]
    database: int = 0
    master: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def without_credentials(self) -> str:
        """The address with neither user nor password nor options; equal for all who reach the same data."""
        return self._show("")

    @property
    def redacted(self) -> str:
        """The address fit for logs."""
        if self.password is None and self.username is None:
            return self._show("")
        secret = "" if self.password is None else ":***"
        return self._show(f"{quote(self.username or '', safe='')}{secret}@")

    @property
    def secrets(self) -> tuple[str, ...]:
        """What may never be shown."""
        return tuple(secret for secret in (self.password, self.options.get("sentinel_password")) if secret)

    def _show(self, credentials: str) -> str:
        nodes = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.nodes)
        if self.master is not None:
            return f"redis+sentinel://{credentials}{nodes}/{quote(self.master, safe='')}/{self.database}"
        return f"{'rediss' if self.tls else 'redis'}://{credentials}{nodes}/{self.database}"


def parse_address(url: str) -> RedisAddress:
    """Return what the URL says.

    Raises:
        StoreURLError: it says nothing that works. No message repeats the URL: whatever stands in the wrong place may
            be a password.
    """
    if any(ord(character) <= 32 or ord(character) == 127 for character in url):
        raise StoreURLError("a Redis address holds no spaces or control characters; percent-encode them")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise StoreURLError("the Redis address is no URL") from None
    if parts.fragment or "#" in url:
        raise StoreURLError("a Redis address has no '#'; write %23 in a password")
    scheme = parts.scheme.lower()
    has_sentinels = scheme == "redis+sentinel"
    credentials, _, location = parts.netloc.rpartition("@")
    username, has_password, password = credentials.partition(":")
    master, database = _path(parts, has_sentinels=has_sentinels)
    default_port = 26379 if has_sentinels else 6379
    nodes = tuple(_node(node, default_port) for node in (location.split(",") if has_sentinels else (location,)))
    allowed = _SENTINEL_OPTIONS if has_sentinels else _TLS_OPTIONS if scheme == "rediss" else frozenset[str]()
    return RedisAddress(
        nodes=nodes,
        database=database,
        master=master,
        username=unquote(username) or None,
        password=(unquote(password) or None) if has_password else None,
        tls=scheme == "rediss",
        options=_options(parts.query, allowed),
    )


def _path(parts: SplitResult, *, has_sentinels: bool) -> tuple[str | None, int]:
    segments = [unquote(segment) for segment in parts.path.strip("/").split("/") if segment]
    master = segments.pop(0) if has_sentinels and segments else None
    if has_sentinels and master is None:
        raise StoreURLError("a Sentinel address names the master: redis+sentinel://host:26379/MASTER/DB")
    if len(segments) > 1 or not all(segment.isascii() and segment.isdecimal() for segment in segments):
        raise StoreURLError("a Redis address ends with the number of a database")
    return master, int(segments[0][:9]) if segments else 0


def _node(text: str, default_port: int) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    if not separator or port.endswith("]"):
        host, port = text, str(default_port)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise StoreURLError("an IPv6 address in a Redis address stands in square brackets")
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) < 65536):
        raise StoreURLError("a Redis address has a port from 1 to 65535; percent-encode '/', '?', '@' in a password")
    return host or "localhost", int(port)


def _options(query: str, allowed: frozenset[str]) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name in options:
        if name not in allowed:
            known = ", ".join(sorted(allowed)) or "none"
            raise StoreURLError(f"the Redis address has an option that is not known; known here: {known}")
    return options
