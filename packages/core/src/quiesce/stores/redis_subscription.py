"""Waits for the commits that a Redis announces, and for nothing else than time when it is away."""

from __future__ import annotations

import threading
import time

import redis

from .doorbell import Doorbell
from .redis_announcements import Announcements
from .redis_connect import Client

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
        self._announcements: Announcements | None = None
        self._retry_at = float("-inf")
        self._is_closed = False

    def wait(self, *, timeout_seconds: float, beside: int | None = None) -> bytes | None:
        """Return after the timeout, at a message, at the bell, or as soon as the channel is heard anew.

        What happens to the descriptor ``beside`` ends the wait too.

        Returns:
            The newest message; empty when one may have come while nobody listened; ``None``: there was none.
        """
        deadline = time.monotonic() + timeout_seconds
        if not self._lock.acquire(timeout=max(timeout_seconds, 0.0)):
            return None
        try:
            if self._announcements is None:
                return self._subscribe(deadline, beside)
            return self._listen(self._announcements, deadline, beside)
        except (redis.exceptions.RedisError, OSError):
            self._drop()
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

    def _subscribe(self, deadline: float, beside: int | None) -> bytes | None:
        if not self._is_closed and time.monotonic() >= self._retry_at:
            try:
                self._announcements = Announcements(self._client, channel=self._channel)
            except (redis.exceptions.RedisError, OSError):
                self._retry_at = time.monotonic() + _RETRY_SECONDS
            else:
                return _MISSED
        until = deadline if self._is_closed else min(deadline, self._retry_at)
        self._bell.listen(until - time.monotonic(), beside)
        return None

    def _listen(self, announcements: Announcements, deadline: float, beside: int | None) -> bytes | None:
        while announcements.descriptor in self._bell.listen(
            deadline - time.monotonic(), announcements.descriptor, beside
        ):
            newest = announcements.read()
            if newest is not None:
                return newest
        return None

    def _drop(self) -> None:
        self._retry_at = time.monotonic() + _RETRY_SECONDS
        announcements, self._announcements = self._announcements, None
        if announcements is not None:
            announcements.close()
