"""The network of the trials: whole, cut, stalled, healed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from quiesce.testing import eventually

from .trial.proxy import Proxy


@pytest.fixture
def far(some_ports: list[int]) -> Iterator[socket.socket]:
    """What is behind the network."""
    with socket.create_server(("127.0.0.1", some_ports[0])) as listening:
        yield listening


@pytest.fixture
def proxy(some_ports: list[int]) -> Iterator[Proxy]:
    with closing(Proxy(port=some_ports[1], target=some_ports[0])) as proxy:
        yield proxy


def dial(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def test_what_a_stall_held_back_arrives_late(far: socket.socket, proxy: Proxy) -> None:
    """A command that comes late, after its sender has given up, is the nastiest thing that a network does."""
    with dial(proxy) as near, far.accept()[0] as other:
        proxy.stall()
        near.sendall(b"late")
        other.settimeout(0.2)
        with pytest.raises(TimeoutError):
            other.recv(10)

        proxy.heal()

        other.settimeout(5)
        assert other.recv(10) == b"late"


def test_a_cut_ends_connections_and_takes_no_new_ones_until_it_is_healed(far: socket.socket, proxy: Proxy) -> None:
    """Both ends must notice."""
    with dial(proxy) as near, far.accept()[0]:
        proxy.cut()

        assert is_ended(near)
    with dial(proxy) as near:
        assert is_ended(near)

    proxy.heal()

    with dial(proxy) as near, far.accept()[0] as other:
        near.sendall(b"again")
        assert eventually(lambda: other.recv(10)) == b"again"


def is_ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(10) == b""
    except ConnectionResetError:
        return True
