"""What a Redis announces, however it arrives: in pieces, several at once, over TLS, too long, or as nonsense."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import pytest

from quiesce.model import MaintenanceState
from quiesce.model.codec import encode_state
from quiesce.stores import Store, open_store
from quiesce.stores.base import Change
from quiesce.testing import eventually
from quiesce.testing.store_samples import a_window

CERTIFICATE = Path(__file__).with_name("redis_tls.pem")
CHANNEL = b"{quiesce:default}:changes"


class Announcer:
    """Says yes to everything that a client of Redis sends before it subscribes, and announces what a test wants."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        self._subscribers: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        for subscriber in self._subscribers:
            subscriber.close()

    @property
    def subscriptions(self) -> int:
        return len(self._subscribers)

    def send(self, data: bytes) -> None:
        """Send this to who subscribed last, in one piece."""
        with contextlib.suppress(ConnectionError):  # who has read enough does not wait for the rest
            self._subscribers[-1].sendall(data)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._greet(connection)

    def _greet(self, connection: socket.socket) -> None:
        lines = connection.makefile("rb")
        while header := lines.readline():
            words = [lines.read(int(lines.readline()[1:]) + 2)[:-2] for _ in range(int(header[1:]))]
            if words[0].upper() == b"SUBSCRIBE":
                lines.close()
                self._subscribers.append(connection)
                connection.sendall(message(b"subscribe", words[1], 1))
                return
            connection.sendall(b"+OK\r\n")
        lines.close()
        connection.close()


@pytest.fixture
def announcer() -> Iterator[Announcer]:
    with Announcer() as announcer:
        yield announcer


@pytest.fixture
def store(announcer: Announcer) -> Iterator[Store]:
    with contextlib.closing(open_store(announcer.url)) as store:
        settle(store)
        yield store


def message(kind: bytes, channel: bytes, content: bytes | int) -> bytes:
    """Return it as RESP2 has it."""
    last = b":%d\r\n" % content if isinstance(content, int) else b"$%d\r\n%s\r\n" % (len(content), content)
    return b"*3\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n%s" % (len(kind), kind, len(channel), channel, last)


def announcement(state: MaintenanceState) -> bytes:
    return message(b"message", CHANNEL, encode_state(state))


def settle(store: Store) -> None:
    """Let the store subscribe."""
    eventually(lambda: not store.wait_for_change(timeout_seconds=0.05))


def heard(store: Store) -> Change:
    change = store.wait_for_change(timeout_seconds=30)
    assert change is not None
    return change


def a_long_state(revision: int, *, characters: int) -> MaintenanceState:
    return MaintenanceState(revision, (replace(a_window(), reason="é\r\n$" * (characters // 4)),))


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_announcement_in_pieces_is_one(announcer: Announcer, store: Store, size: int) -> None:
    """A network cuts a long state where it likes; half of one is no reason to subscribe anew, or to ask the store."""
    state = a_long_state(5, characters=100 * size)
    data = announcement(state)

    def send() -> None:
        for start in range(0, len(data), size):
            announcer.send(data[start : start + size])

    sender = threading.Thread(target=send)
    sender.start()

    change = heard(store)
    sender.join()

    assert change == Change(state, encode_state(state))
    assert announcer.subscriptions == 1


def test_of_several_announcements_the_newest_is_heard(announcer: Announcer, store: Store) -> None:
    """Each holds the whole state; an agent that was busy need not work through the ones between."""
    announcer.send(b"".join(announcement(MaintenanceState(revision)) for revision in range(1, 6)))

    assert heard(store).state == MaintenanceState(5)
    assert store.wait_for_change(timeout_seconds=0.05) is None


def test_the_beginning_of_the_next_announcement_waits_for_its_end(announcer: Announcer, store: Store) -> None:
    """It must neither be lost nor keep the whole one before it back."""
    data = announcement(MaintenanceState(2))
    announcer.send(announcement(MaintenanceState(1)) + data[:30])

    assert heard(store).state == MaintenanceState(1)
    announcer.send(data[30:])
    assert heard(store).state == MaintenanceState(2)
    assert announcer.subscriptions == 1


def test_an_announcement_that_is_no_state_sends_the_agent_to_the_store(announcer: Announcer, store: Store) -> None:
    """A newer version, or somebody else's message: what holds is what is stored."""
    announcer.send(message(b"message", CHANNEL, b"hello"))

    assert heard(store) == Change()


def is_heard_anew(announcer: Announcer, store: Store) -> bool:
    """Whether the store has subscribed once more; it does so while it waits."""
    store.wait_for_change(timeout_seconds=0.05)
    return announcer.subscriptions == 2


@pytest.mark.parametrize(
    "nonsense",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\r\n",
        b"*3\r\n$-1\r\n",
        b"*x\r\n",
        b"$99999999999999999999\r\n",
        b"*1\r\n$4\r\nPONG\r\n",
        b"*0\r\n",
        b"-ERR you were idle for too long\r\n",
        message(b"message", CHANNEL, b"").replace(b"$0", b"$999999999") + b"x" * 3_000_000,
        b"x" * 3_000_000,
    ],
    ids=lambda nonsense: repr(nonsense[:24]),
)
def test_what_is_no_announcement_ends_the_subscription_and_nothing_else(
    announcer: Announcer, store: Store, nonsense: bytes
) -> None:
    """Memory stays bounded, no error reaches the agent, and it looks into the store because something may be lost."""
    sender = threading.Thread(target=lambda: announcer.send(nonsense))
    sender.start()

    assert heard(store) == Change()
    eventually(partial(is_heard_anew, announcer, store))
    sender.join()
    announcer.send(announcement(MaintenanceState(9)))
    eventually(lambda: (change := store.wait_for_change(timeout_seconds=1)) and change.state == MaintenanceState(9))


def test_a_wake_is_heard_at_once_by_who_listens_to_a_server(announcer: Announcer, store: Store) -> None:
    """A command that this process has carried out is acknowledged without waiting for the next poll."""
    began = time.monotonic()
    waker = threading.Timer(0.2, store.wake)
    waker.start()

    assert store.wait_for_change(timeout_seconds=30) is None

    assert time.monotonic() - began < 10
    waker.join()


def test_announcements_are_heard_over_tls(redis_server: Any) -> None:
    """What TLS has decrypted ahead must not lie there until more comes."""
    with tls_in_front_of(redis_server.port) as port:
        url = f"rediss://localhost:{port}/0?ssl_ca_certs={CERTIFICATE}"
        with contextlib.closing(open_store(url)) as store, contextlib.closing(open_store(redis_server.url)) as other:
            settle(store)
            for revision, characters in ((1, 4), (2, 100_000), (3, 16_384), (4, 60_000)):
                state = a_long_state(revision, characters=characters)

                other.commit(state, expected_revision=revision - 1, audit=[])

                assert heard(store).state == state


@contextlib.contextmanager
def tls_in_front_of(target: int) -> Iterator[int]:
    """Yield a port where TLS is spoken, and pass on what comes to another one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    threads: list[threading.Thread] = []

    def start(run: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments)
        threads.append(thread)
        thread.start()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                start(serve, listener.accept()[0])

    def serve(plain: socket.socket) -> None:
        with context.wrap_socket(plain, server_side=True) as client, socket.create_connection(target_address) as server:
            start(pass_on, server, client)
            pass_on(client, server)

    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        target_address = ("127.0.0.1", target)
        start(accept)
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join(5)


def pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
