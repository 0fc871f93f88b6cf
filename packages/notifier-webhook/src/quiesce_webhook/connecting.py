"""Connects to an address that was looked at, and to no other; nothing on the connection outlives its deadline."""

from __future__ import annotations

import queue
import ssl
import threading
from collections.abc import Iterable, Sequence
from time import monotonic
from typing import Any

import httpcore

from quiesce import DeliveryError

from .addresses import Resolver, is_public

CONNECT_SECONDS = 5.0
"""For looking up and connecting in all."""
MOST_LOOKUPS = 8
"""So many may hang in a process; a thread that asks the system's resolver cannot be stopped."""

_PIECE_BYTES = 4096
_lookups = threading.BoundedSemaphore(MOST_LOOKUPS)


class GuardedBackend(httpcore.NetworkBackend):
    """Checks the addresses that it connects to itself, so that a second lookup cannot change the answer.

    Args:
        resolver: says where a host is.
        allow_private: whether addresses are taken that are not public.
        total_seconds: until every read and write fails, counted from now.
    """

    def __init__(self, *, resolver: Resolver, allow_private: bool, total_seconds: float) -> None:
        self._resolver = resolver
        self._allow_private = allow_private
        self._deadline = monotonic() + total_seconds
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 -- the deadline stands for every timeout
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address that answers.

        Raises:
            DeliveryError: the host cannot be found, or leads to where nothing is to be sent.
            httpcore.ConnectError: no address answers; httpcore.ConnectTimeout: not in time.
        """
        deadline = min(self._deadline, monotonic() + CONNECT_SECONDS)
        addresses = _look_up(self._resolver, host, port, timeout_seconds=max(0.0, deadline - monotonic()))
        refused = [address for address in addresses if not (self._allow_private or is_public(address))]
        if refused:
            raise DeliveryError(f"the webhook's host leads to {refused[0]:.45}, which is no public address")
        for number, address in enumerate(addresses, 1):
            share = (deadline - monotonic()) / (len(addresses) - number + 1)
            try:
                stream = self._sockets.connect_tcp(address, port, max(0.001, share), local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if number == len(addresses):
                    raise
            else:
                return _TimedStream(stream, deadline=self._deadline)
        raise DeliveryError("the webhook's host has no address")


class _TimedStream(httpcore.NetworkStream):
    """A connection on which each step may take what is left of the whole, so that dripping bytes win no time."""

    def __init__(self, stream: httpcore.NetworkStream, *, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 -- as above
        return self._stream.read(max_bytes, self._left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 -- as above
        for start in range(0, len(buffer), _PIECE_BYTES):
            self._stream.write(buffer[start : start + _PIECE_BYTES], self._left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 -- as above
    ) -> httpcore.NetworkStream:
        left = min(CONNECT_SECONDS, self._left())
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, left), deadline=self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def _left(self) -> float:
        left = self._deadline - monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left


def _look_up(resolver: Resolver, host: str, port: int, *, timeout_seconds: float) -> Sequence[str]:
    if not _lookups.acquire(blocking=False):
        raise DeliveryError(f"{MOST_LOOKUPS} lookups of hosts hang already")
    answers: queue.SimpleQueue[Sequence[str] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(resolver(host, port))
        except Exception as exc:  # noqa: BLE001 -- a resolver is called here; it is raised where somebody waits
            answers.put(exc)
        finally:
            _lookups.release()

    try:
        threading.Thread(target=ask, name="quiesce-webhook-lookup", daemon=True).start()
    except RuntimeError as exc:
        _lookups.release()
        raise DeliveryError("no thread could be started for looking up the webhook's host") from exc
    try:
        answer = answers.get(timeout=timeout_seconds)
    except queue.Empty:
        raise DeliveryError(f"the webhook's host was not found in {timeout_seconds:.0f} s") from None
    if isinstance(answer, Exception):
        raise DeliveryError("the webhook's host cannot be found") from answer
    return answer
