"""Writes what the workers report; most reports only say that nothing has changed, and those cost the server little."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model import CountKey, Heartbeat, UnknownWorkerError, WorkerInfo
from ..model.codec import decode_worker, encode_count_key
from . import redis_scripts as scripts
from .base import MOST_SILENT, SILENT_SECONDS
from .clock import seconds_since_boot
from .redis_client import RedisClient
from .redis_values import number, text

_SILENT_MILLISECONDS = int(SILENT_SECONDS * 1000)
_MOST_OFF_MILLISECONDS = 250
"""How far a heartbeat's time may lie before the server's."""


class Reports:
    """The reports of one process.

    A report that changes nothing but the time of the heartbeat is sent as plain commands, which cost the server a
    fraction of a script. They write that time as this process reckons the server's clock, and read what the script
    would have compared: the time, whether the worker is listed, its acknowledgement, the leader. If anything is not as
    it was taken for granted, the script follows and puts it right, so nothing is concluded from what was not read.
    """

    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self._written = b""
        """The acknowledgement written last; only tells that trying plain commands is worth while."""
        self._ahead: float | None = None
        """Milliseconds from this machine's clock to the server's, never too many."""

    def report(
        self,
        worker_id: str,
        acknowledgement: bytes,
        *,
        counts: Mapping[CountKey, int],
        batch: int,
        lease_milliseconds: int,
        asks_for_silent: bool,
    ) -> Heartbeat:
        """Write heartbeat, acknowledgement and counts.

        Raises:
            UnknownWorkerError: the worker is not listed; nothing was written.
            StoreError: the server does not answer, or holds something else.
        """
        if not counts and acknowledgement == self._written:
            heartbeat = self._repeat(
                worker_id, acknowledgement, asks_for_lease=lease_milliseconds > 0, asks_for_silent=asks_for_silent
            )
            if heartbeat is not None:
                return heartbeat
        added = (part for key, count in counts.items() for part in (encode_count_key(key), count))
        answer = self._client.run(scripts.REPORT, worker_id, acknowledgement, batch, lease_milliseconds, *added)
        if answer is None:
            raise UnknownWorkerError(f"worker {worker_id} is not listed")
        self._written = acknowledgement
        revision, commit_id, is_leader, now = answer
        self._ahead = now - _local_milliseconds()
        silent = self._silent(self._client.commands(_late(now))[0], now=now) if asks_for_silent else ()
        return Heartbeat(number(revision), text(commit_id), bool(is_leader), silent)

    def _repeat(
        self, worker_id: str, acknowledgement: bytes, *, asks_for_lease: bool, asks_for_silent: bool
    ) -> Heartbeat | None:
        """Write the heartbeat, and check everything else; ``None``: it is not as it was, or the clock is not."""
        if self._ahead is None:
            return None
        stamp = int(_local_milliseconds() + self._ahead)
        heard, is_listed, stored, (revision, commit_id), (seconds, microseconds), *rest = self._client.commands(
            ("ZADD", "heartbeats", "XX", "CH", stamp, worker_id),
            ("HEXISTS", "workers", worker_id),
            ("HGET", "acknowledgements", worker_id),
            ("HMGET", "state", "revision", "id"),
            ("TIME",),
            *((("GET", "leader"),) if asks_for_lease else ()),
            *((_late(stamp),) if asks_for_silent else ()),
        )
        now = int(seconds) * 1000 + int(microseconds) // 1000
        self._ahead = now - _local_milliseconds()
        if not (heard and is_listed and stored == acknowledgement and 0 <= now - stamp <= _MOST_OFF_MILLISECONDS):
            return None
        if asks_for_lease and rest[0] in {None, worker_id.encode()}:  # to be taken, or renewed
            return None
        silent = self._silent(rest[-1], now=now) if asks_for_silent else ()
        return Heartbeat(number(revision or 0), text(commit_id or b""), is_leader=False, silent=silent)

    def _silent(self, found: list[bytes], *, now: int) -> tuple[tuple[WorkerInfo, float], ...]:
        """Return the workers of these ids and times by turns, and the seconds of their silence."""
        if not found:
            return ()
        (bodies,) = self._client.commands(("HMGET", "workers", *found[::2]))
        return tuple(
            (decode_worker(body), (now - float(heard_at)) / 1000)
            for body, heard_at in zip(bodies, found[1::2], strict=True)
            if body is not None
        )


def _late(now: int) -> tuple[Any, ...]:
    """Return the command that names who was not heard of for a while, the longest silent first."""
    before = f"({now - _SILENT_MILLISECONDS}"
    return ("ZRANGEBYSCORE", "heartbeats", "-inf", before, "WITHSCORES", "LIMIT", 0, MOST_SILENT)


def _local_milliseconds() -> float:
    return seconds_since_boot() * 1000
