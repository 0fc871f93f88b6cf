"""The store in a Redis: all processes of all machines."""

from __future__ import annotations

import hashlib
import math
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..model import (
    Acknowledgement,
    AuditRecord,
    CountKey,
    Heartbeat,
    MaintenanceEvent,
    MaintenanceState,
    RevisionConflictError,
    StoreCorruptError,
    StoreError,
    WorkerInfo,
    WorkerReport,
)
from ..model.codec import (
    decode_acknowledgement,
    decode_audit,
    decode_count_key,
    decode_event,
    decode_state,
    decode_worker,
    encode_acknowledgement,
    encode_audit,
    encode_event,
    encode_state,
    encode_worker,
)
from . import redis_scripts as scripts
from .base import MOST_EVENTS, Change
from .commits import AUDIT_PAGE, check_commit, events_after, names_window
from .redis_address import parse_address
from .redis_client import RedisClient
from .redis_connect import connect
from .redis_items import RedisItems
from .redis_reports import Reports
from .redis_subscription import Subscription
from .redis_values import number
from .runtime_folder import runtime_folder


class RedisStore:
    """A store that many machines share; ages are measured by the clock of the Redis server.

    Raises:
        StoreURLError: the address is not valid.
    """

    def __init__(self, url: str, *, service_name: str = "default") -> None:
        self._address = parse_address(url)
        self._service = service_name
        self._prefix = f"{{quiesce:{service_name}}}:"
        self._channel = self._prefix + "changes"
        self._is_closed = False
        self._board_path: Path | None = None
        self._start()

    @property
    def url(self) -> str:
        """The address, with ``***`` for its password."""
        return self._address.redacted

    @property
    def board_path(self) -> Path | None:
        """In the private run-time folder of this user.

        Raises:
            BoardError: there is no folder that can be trusted.
        """
        if self._board_path is None:
            identity = f"{self._address.without_credentials}\n{self._service}".encode()
            self._board_path = runtime_folder() / f"{hashlib.sha256(identity).hexdigest()[:16]}-board"
        return self._board_path

    def load(self) -> MaintenanceState:
        """Return the committed state."""
        body = self._ready().command("HGET", "state", "body")
        return MaintenanceState() if body is None else decode_state(body)

    def revision(self) -> int:
        """Return the committed revision."""
        return number(self._ready().command("HGET", "state", "revision") or 0)

    def commit(
        self,
        state: MaintenanceState,
        *,
        expected_revision: int,
        audit: Sequence[AuditRecord],
        events: Sequence[MaintenanceEvent] = (),
    ) -> None:
        """Replace the state, append records and events; waits a moment for one replica to have them, if there is any.

        After ``StoreUnreachableError`` the commit may have happened all the same: load, and look.
        """
        check_commit(state, expected_revision=expected_revision, events=events)
        is_done, revision = self._ready().run(
            scripts.COMMIT,
            expected_revision,
            state.revision,
            encode_state(state),
            secrets.token_hex(8),
            self._channel,
            " ".join(state.commits),
            len(audit),
            MOST_EVENTS,
            *map(encode_audit, audit),
            *map(encode_event, events),
            is_awaited=True,
        )
        if not is_done:
            raise RevisionConflictError(expected_revision, number(revision))

    def register(self, worker: WorkerInfo) -> None:
        """List the worker; the number of its last batch is kept."""
        self._ready().run(scripts.REGISTER, worker.id, encode_worker(worker))

    def report(
        self,
        worker_id: str,
        acknowledgement: Acknowledgement,
        *,
        counts: Mapping[CountKey, int],
        batch: int,
        lease_seconds: float = 0.0,
        asks_for_silent: bool = False,
    ) -> Heartbeat:
        """Write heartbeat, acknowledgement and counts."""
        return self._reports.report(
            worker_id,
            encode_acknowledgement(acknowledgement),
            counts=counts,
            batch=batch,
            lease_milliseconds=math.ceil(lease_seconds * 1000),
            asks_for_silent=asks_for_silent,
        )

    def deregister(self, worker_id: str) -> None:
        """Take the worker off the list."""
        self._ready().run(scripts.DEREGISTER, worker_id)

    def workers(self) -> tuple[WorkerReport, ...]:
        """Return every listed worker's last report."""
        now, workers, acknowledgements, heartbeats = self._ready().run(scripts.WORKERS)
        acknowledged, heard_at = _pairs(acknowledgements), _pairs(heartbeats)
        reports = []
        for worker_id, body in sorted(_pairs(workers).items()):
            acknowledgement = acknowledged.get(worker_id)
            reports.append(
                WorkerReport(
                    decode_worker(body),
                    None if acknowledgement is None else decode_acknowledgement(acknowledgement),
                    (now - float(heard_at.get(worker_id, 0))) / 1000,  # negative after its clock was set back
                )
            )
        return tuple(reports)

    def counts(self) -> Mapping[CountKey, int]:
        """Return all counts."""
        found: dict[bytes, bytes] = self._ready().command("HGETALL", "counts")
        return {decode_count_key(key): number(count) for key, count in found.items()}

    def resign(self, worker_id: str) -> None:
        """Give the lease back."""
        self._ready().run(scripts.RESIGN, worker_id)

    def audit(self, *, limit: int = 100) -> tuple[AuditRecord, ...]:
        """Return the newest records, oldest of them first."""
        if limit < 1:
            return ()
        return tuple(decode_audit(body) for body in self._ready().command("LRANGE", "audit", -limit, -1))

    def audit_of(self, window_id: str) -> Iterator[AuditRecord]:
        """Yield every record about this window, the oldest first; the whole trail comes over the network for it."""
        needle = names_window(window_id)
        start = 0
        while part := self._ready().command("LRANGE", "audit", start, start + AUDIT_PAGE - 1):
            start += len(part)
            found = (decode_audit(body) for body in part if needle in body)
            yield from (record for record in found if record.window_id == window_id)

    def audit_trail(self) -> Iterator[AuditRecord]:
        """Yield every record, the oldest first."""
        start = 0
        while part := self._ready().command("LRANGE", "audit", start, start + AUDIT_PAGE - 1):
            start += len(part)
            yield from map(decode_audit, part)

    def drop_audit(self, *, through: int) -> int:
        """Drop records from the old end, a bounded number in each script."""
        total = 0
        while count := number(self._ready().run(scripts.DROP_AUDIT, through, AUDIT_PAGE)):
            total += count
        return total

    def events(self, *, after: str = "", limit: int = 100) -> tuple[MaintenanceEvent, ...]:
        """Return the oldest events after the one of this id."""
        position = events_after(after)
        if limit < 1:
            return ()
        first = f"({position[0]}-{position[1]}" if after else "-"
        found = self._ready().command("XRANGE", "events", first, "+", "COUNT", limit)
        return tuple(decode_event(fields[1] if isinstance(fields, list) else fields[b"body"]) for _, fields in found)

    def renew_lease(self, window_id: str) -> None:
        """Count one more renewal."""
        self._ready().command("HINCRBY", "leases", window_id, 1)

    def lease_renewals(self) -> Mapping[str, int]:
        """Return how often each lease was renewed."""
        found: dict[bytes, bytes] = self._ready().command("HGETALL", "leases")
        return {window_id.decode("utf-8", "replace"): number(count) for window_id, count in found.items()}

    def drop_lease(self, window_id: str) -> None:
        """Forget the renewals of a lease."""
        self._ready().command("HDEL", "leases", window_id)

    @property
    def items(self) -> RedisItems:
        """The collections beside the state."""
        return RedisItems(self._ready())

    def age(self) -> float:
        """Return the seconds since this store's keys were first written, or since the first call of this."""
        return float(max(self._ready().run(scripts.AGE), 0)) / 1000

    def wait_for_change(self, *, timeout_seconds: float, beside: int | None = None) -> Change | None:
        """Return at a commit, at ``wake``, after the timeout, or when the announcements can be heard anew.

        Never raises because Redis is away: it waits, and subscribes when it is called again.
        """
        self._renew_after_fork()
        body = self._subscription.wait(timeout_seconds=timeout_seconds, beside=beside)
        if body is None:
            return None
        try:
            return Change(decode_state(body), body) if body else Change()
        except StoreCorruptError:
            return Change()

    def wake(self) -> None:
        """Let ``wait_for_change`` return."""
        self._renew_after_fork()
        self._subscription.ring()

    def close(self) -> None:
        """Close all connections."""
        if not self._is_closed:
            self._renew_after_fork()
            self._is_closed = True
            self._subscription.close()
            self._client.close()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._client = RedisClient(self._address, prefix=self._prefix)
        self._reports = Reports(self._client)
        self._subscription = Subscription(connect(self._address), channel=self._channel)

    def _ready(self) -> RedisClient:
        if self._is_closed:
            raise StoreError("the store is closed")
        self._renew_after_fork()
        return self._client

    def _renew_after_fork(self) -> None:
        # Forgetting an inherited socket closes it on this side only; redis-py shuts down none of another process.
        if os.getpid() != self._pid:
            self._start()


def _pairs(found: list[bytes]) -> dict[bytes, bytes]:
    return dict(zip(found[::2], found[1::2], strict=True))
