"""Reads what a Redis announces on one channel: everything that has arrived, in one go (RESP2, "Pub/Sub")."""

from __future__ import annotations

import contextlib
import ssl
import time
from typing import Any

import redis

from .redis_connect import ANSWER_SECONDS, Client

_PIECE_BYTES = 1 << 16
_MOST_BYTES = 1 << 20
"""A longer message is no state."""
_NOTHING_YET = (BlockingIOError, ssl.SSLWantReadError)


class Announcements:
    """One channel's messages, on a connection of its own, from when the server has confirmed that it will send them.

    redis-py makes the connection. It is read here because in a busy process another thread may step in at each call of
    the kernel, and stay for five milliseconds: redis-py makes half a dozen of them for a message.

    Raises:
        redis.exceptions.RedisError: the server cannot be reached, or does not let us subscribe.
        OSError: likewise.
    """

    def __init__(self, client: Client, *, channel: str) -> None:
        self._buffer = bytearray()
        self._subscriber = client.pubsub()
        try:
            self._subscriber.subscribe(channel)
            self._socket: Any = self._subscriber.connection._sock  # noqa: SLF001 - redis-py shows it nowhere else
            self._await_confirmation()
            self._socket.settimeout(0)
        except BaseException:
            self.close()
            raise

    @property
    def descriptor(self) -> int:
        """Becomes readable when there is something to read."""
        return int(self._socket.fileno())

    def read(self) -> bytes | None:
        """Return the newest message that has come whole, without waiting for more; ``None``: none has.

        Each message holds the whole state, so an older one says nothing that the newest does not.

        Raises:
            redis.exceptions.RedisError: the connection ended, or what came is no message.
            OSError: it was lost.
        """
        self._receive()
        newest = None
        while (message := self._take()) is not None:
            if message[0] == b"message":
                newest = message[2]
        return newest

    def close(self) -> None:
        """Leave the channel."""
        with contextlib.suppress(redis.exceptions.RedisError, OSError):
            self._subscriber.close()

    def _await_confirmation(self) -> None:
        # Only from the confirmation on is every commit heard.
        deadline = time.monotonic() + ANSWER_SECONDS
        while (message := self._take()) is None:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            self._receive()
        if message[0] != b"subscribe":
            raise redis.exceptions.ResponseError(f"{message[0]!r:.80} is no answer to SUBSCRIBE")

    def _receive(self) -> None:
        if len(self._buffer) > _MOST_BYTES:
            raise redis.exceptions.InvalidResponse("a message is too long")
        with contextlib.suppress(*_NOTHING_YET):
            while True:
                piece = self._socket.recv(_PIECE_BYTES)
                if not piece:
                    raise redis.exceptions.ConnectionError("the server ended the subscription")
                self._buffer += piece
                # What TLS has decrypted already no longer makes the socket readable.
                if not (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()):
                    return

    def _take(self) -> list[bytes] | None:
        """Take the first message off the buffer if it is whole: its kind, the channel, and what it says."""
        buffer, position = self._buffer, 0
        parts: list[bytes] = []
        awaited = 1
        while awaited:
            end = buffer.find(b"\r\n", position)
            if end < 0:
                return None
            kind, text = bytes(buffer[position : position + 1]), bytes(buffer[position + 1 : end])
            position = end + 2
            awaited -= 1
            match kind:
                case b"*":
                    awaited += _length(text)
                case b"$":
                    end = position + _length(text)
                    if end + 2 > len(buffer):
                        return None
                    parts.append(bytes(buffer[position:end]))
                    position = end + 2
                case b":":
                    parts.append(text)
                case b"-":
                    raise redis.exceptions.ResponseError(text.decode("utf-8", "replace"))
                case _:
                    raise redis.exceptions.InvalidResponse(f"{kind!r} begins no message")
        if len(parts) < 3:
            raise redis.exceptions.InvalidResponse(f"{parts!r:.80} is no message")
        del buffer[:position]
        return parts


def _length(text: bytes) -> int:
    if not text.isdigit() or len(text) > 9:
        raise redis.exceptions.InvalidResponse(f"{text!r:.80} is no length")
    return int(text)
