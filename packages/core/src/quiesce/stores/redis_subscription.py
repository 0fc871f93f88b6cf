"""Waits for the commits that a Redis announces, and for nothing else than time when it is away."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

import redis

from .doorbell import Doorbell
from .redis_connect import ANSWER_SECONDS, Client

_SLICE_SECONDS = 0.1
"""How long one read lasts: a bell is heard this late at most."""
_RETRY_SECONDS = 0.25
_MISSED = b""


class Subscription:
    """One channel's messages, on a connection of its own.

    The thread that waits owns the connection; nothing here raises when Redis is away.
    """

    def __init__(self, client: Client, *, channel: str) -> None:
        self._client = client
        self._channel = channel
        self._bell = Doorbell()
        self._lock = threading.Lock()
        self._subscriber: Any | None = None
        self._retry_at = float("-inf")
        self._is_closed = False

    def wait(self, *, timeout_seconds: float) -> bytes | None:
        """Return after the timeout, at a message, at the bell, or as soon as the channel is heard anew.

        Returns:
            The newest message; empty when one may have come while nobody listened; ``None``: there was none.
        """
        deadline = time.monotonic() + timeout_seconds
        if not self._lock.acquire(timeout=max(timeout_seconds, 0.0)):
            return None
        try:
            if self._is_closed:
                self._bell.wait(deadline - time.monotonic())
                return None
            if self._subscriber is None and time.monotonic() < self._retry_at:
                self._bell.wait(min(deadline, self._retry_at) - time.monotonic())
                return None
            if self._subscriber is None:
                self._subscriber = self._subscribed()
                return _MISSED
            return self._listen(self._subscriber, deadline)
        except (redis.exceptions.RedisError, OSError):
            self._drop()
            self._retry_at = time.monotonic() + _RETRY_SECONDS
            self._bell.wait(deadline - time.monotonic())
            return _MISSED
        finally:
            if self._is_closed:
                self._drop()
            self._lock.release()

    def ring(self) -> None:
        """Let ``wait`` return; one that is called later returns at once."""
        self._bell.ring()

    def close(self) -> None:
        """Leave the channel, here or in the thread that waits."""
        self._is_closed = True
        self.ring()
        if self._lock.acquire(blocking=False):
            try:
                self._drop()
            finally:
                self._lock.release()

    def _subscribed(self) -> Any:
        subscriber = self._client.pubsub()
        try:
            subscriber.subscribe(self._channel)
            # Only from the confirmation on is every commit heard.
            is_confirmed = subscriber.get_message(timeout=ANSWER_SECONDS) is not None
        except BaseException:
            _close(subscriber)
            raise
        if not is_confirmed:
            _close(subscriber)
            raise redis.exceptions.TimeoutError("no answer to SUBSCRIBE")
        return subscriber

    def _listen(self, subscriber: Any, deadline: float) -> bytes | None:
        while not self._bell.is_rung:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return None
            found = subscriber.get_message(timeout=min(remaining, _SLICE_SECONDS))
            if found is not None:
                return _newest(found, subscriber)
        self._bell.wait(0)
        return None

    def _drop(self) -> None:
        subscriber, self._subscriber = self._subscriber, None
        if subscriber is not None:
            _close(subscriber)


def _newest(found: Any, subscriber: Any) -> bytes:
    """Return the last of the announcements that have come together; each holds the whole state."""
    body: bytes = _MISSED
    while found is not None:
        body = found["data"] if found.get("type") == "message" else _MISSED
        found = subscriber.get_message(timeout=0.0)
    return body


def _close(subscriber: Any) -> None:
    with contextlib.suppress(redis.exceptions.RedisError, OSError):
        subscriber.close()
