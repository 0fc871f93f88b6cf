"""A client of Redis that costs next to nothing, so that one process can be a thousand workers and not fall behind."""

from __future__ import annotations

import socket
from typing import Any

from quiesce.stores.redis_address import RedisAddress
from quiesce.stores.redis_client import RedisClient


class LightRedisClient(RedisClient):
    """Sends the same bytes as its parent, in the same packets; knows no TLS, no password and no way to reconnect."""

    def __init__(self, address: RedisAddress, *, prefix: str) -> None:
        super().__init__(address, prefix=prefix)
        self._key = prefix.encode()
        self._socket = socket.create_connection(address.nodes[0], timeout=5)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unread = b""
        self._place = 0
        self._ask((b"SELECT", str(address.database).encode()))

    def commands(self, *commands: tuple[object, ...]) -> list[Any]:
        """Return the answers to commands, sent in one go but each for itself; one with a key has it second."""
        return self._ask(*(self._words(*command) for command in commands))

    def close(self) -> None:
        """Close all connections."""
        self._socket.close()
        super().close()

    def _words(self, name: object, *arguments: object) -> list[bytes]:
        words = [each if isinstance(each, bytes) else str(each).encode() for each in (name, *arguments)]
        if arguments:
            words[1] = self._key + words[1]
        return words

    def _ask(self, *commands: list[bytes] | tuple[bytes, ...]) -> list[Any]:
        self._socket.sendall(
            b"".join(
                b"*%d\r\n%b" % (len(words), b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words))
                for words in commands
            )
        )
        return [self._answer() for _ in commands]

    def _line(self) -> bytes:
        while (end := self._unread.find(b"\r\n", self._place)) < 0:
            self._receive()
        line, self._place = self._unread[self._place : end], end + 2
        return line

    def _bytes(self, count: int) -> bytes:
        while len(self._unread) < self._place + count + 2:
            self._receive()
        found = self._unread[self._place : self._place + count]
        self._place += count + 2
        return found

    def _receive(self) -> None:
        received = self._socket.recv(65536)
        if not received:
            raise ConnectionError("Redis hung up")
        self._unread, self._place = self._unread[self._place :] + received, 0

    def _answer(self) -> Any:
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b"+":
            return rest
        number = int(rest)
        if kind == b":":
            return number
        if number < 0:
            return None
        return self._bytes(number) if kind == b"$" else [self._answer() for _ in range(number)]
