"""Who really asks, where proxies stand between; what they say is believed of those that the settings name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_MOST_HOPS = 32

Address = IPv4Address | IPv6Address
Networks = Iterable[IPv4Network | IPv6Network]


def client_address(peer: str | None, headers: Mapping[str, str], *, trusted: Networks) -> str | None:
    """Return the address of the nearest client that is no trusted proxy; ``None``: not known, as behind a local socket.

    ``X-Forwarded-For`` is read from its end: whatever stands before the first address that is not trusted was sent by
    that client, who may have made it up.

    Args:
        peer: who connected, as the server says.
        headers: of the request, names in lower case.
        trusted: whose forwarding headers are believed.
    """
    client = _address(peer or "")
    if client is None:
        return None
    for hop in reversed(headers.get("x-forwarded-for", "").split(",")[-_MOST_HOPS:]):
        if not _is_among(client, trusted):
            break
        before = _address(hop)
        if before is None:
            break
        client = before
    return str(client)


def host_asked_for(peer: str | None, headers: Mapping[str, str], *, trusted: Networks) -> str:
    """Return the host that the client asked for: as a trusted proxy says in ``X-Forwarded-Host``, else ``Host``."""
    host, connected = headers.get("host", ""), _address(peer or "")
    if connected is None or not _is_among(connected, trusted):
        return host
    return headers.get("x-forwarded-host", host).rpartition(",")[2].strip()


def _is_among(address: Address, networks: Networks) -> bool:
    return any(address in network for network in networks)


def _address(text: str) -> Address | None:
    """Return the address; a port after it, as some proxies write, is left out."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found
