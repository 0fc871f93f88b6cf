"""Values to JSON and back: what stores keep and what the board carries."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from .alert_codec import alert_members, alert_of, alerts_of
from .audit_head import NO_HEAD, AuditHead
from .decisions import Outcome
from .errors import StoreCorruptError
from .events import EventKind, MaintenanceEvent
from .pass_codec import passes_members, passes_of
from .plan_codec import (
    epoch_members,
    epoch_of,
    schedule_members,
    schedule_of,
    time_of,
    time_text,
    window_members,
    window_of,
)
from .records import AuditRecord, CallerKind, CountKey
from .sessions import FIRST_EPOCH
from .state import MOST_COMMITS, MaintenanceState, revision_of
from .windows import MaintenanceWindow
from .workers import Acknowledgement, RequestInFlight, WorkerInfo


def encode_state(state: MaintenanceState) -> bytes:
    """Return the state as compact UTF-8 JSON."""
    global _encoded  # noqa: PLW0603 - replaced as a whole, so that threads need no lock
    encoded = _encoded
    if encoded[0] is state:
        return encoded[1]
    members: dict[str, Any] = {
        "revision": state.revision,
        "windows": [window_members(window) for window in state.windows],
        "schedules": [schedule_members(schedule) for schedule in state.schedules],
        "commits": list(state.commits),
    }
    if state.sessions != FIRST_EPOCH:
        members["sessions"] = epoch_members(state.sessions)
    if state.passes:
        members["passes"] = passes_members(state.passes)
    if state.alerts:
        members["alerts"] = [alert_members(alert) for alert in state.alerts]
    if state.audit.has_begun:
        members["audit"] = {name: getattr(state.audit, name) for name in _HEAD_FIELDS}
    data = _dump(members)
    _encoded = state, data
    return data


def decode_state(data: bytes | str) -> MaintenanceState:
    """Return the state that ``encode_state`` wrote.

    Raises:
        StoreCorruptError: the data is no such thing.
    """
    global _decoded  # noqa: PLW0603 - replaced as a whole, so that threads need no lock
    decoded = _decoded
    if decoded.state is not None and data == decoded.data:
        return decoded.state
    windows: list[tuple[Any, MaintenanceWindow]] = []

    def build(raw: Any) -> MaintenanceState:
        for members in raw["windows"]:
            known = decoded.windows.get(members["id"])
            windows.append(known if known is not None and known[0] == members else (members, window_of(members)))
        return MaintenanceState(
            _to_revision(raw["revision"]),
            tuple(window for _, window in windows),
            tuple(schedule_of(item) for item in raw["schedules"]),
            tuple(map(_to_commit, raw["commits"])),
            epoch_of(raw["sessions"]) if "sessions" in raw else FIRST_EPOCH,
            passes=passes_of(raw.get("passes", ())),
            alerts=alerts_of(raw.get("alerts", ())),
            audit=_to_head(raw["audit"]) if "audit" in raw else NO_HEAD,
        )

    state = _decode("state", data, build)
    if isinstance(data, bytes):
        _decoded = _Decoded(data, state, {window.id: (members, window) for members, window in windows})
    return state


def encode_worker(worker: WorkerInfo) -> bytes:
    """Return the worker as compact UTF-8 JSON."""
    return _dump(
        {name: getattr(worker, name) for name in _WORKER_FIELDS} | {"started_at": time_text(worker.started_at)}
    )


def decode_worker(data: bytes | str) -> WorkerInfo:
    """Return the worker that ``encode_worker`` wrote; raises ``StoreCorruptError``."""

    def build(raw: Any) -> WorkerInfo:
        return WorkerInfo(**{name: raw[name] for name in _WORKER_FIELDS}, started_at=time_of(raw["started_at"]))

    return _decode("worker", data, build)


def encode_acknowledgement(acknowledgement: Acknowledgement) -> bytes:
    """Return the acknowledgement as compact UTF-8 JSON."""
    oldest = acknowledgement.oldest
    return _dump(
        {
            "revision": acknowledgement.revision,
            "windows": sorted(acknowledgement.windows),
            "in_flight": dict(acknowledgement.in_flight),
            "bypassing": acknowledgement.bypassing,
            "oldest": None if oldest is None else [oldest.method, oldest.path, oldest.age],
            "is_stale": acknowledgement.is_stale,
            "jobs": dict(acknowledgement.jobs),
            "websockets": acknowledgement.websockets,
        }
    )


def decode_acknowledgement(data: bytes | str) -> Acknowledgement:
    """Return the acknowledgement that ``encode_acknowledgement`` wrote; raises ``StoreCorruptError``."""

    def build(raw: Any) -> Acknowledgement:
        return Acknowledgement(
            revision=_to_revision(raw["revision"]),
            windows=frozenset(raw["windows"]),
            in_flight={str(name): int(count) for name, count in raw["in_flight"].items()},
            bypassing=int(raw["bypassing"]),
            oldest=None if raw["oldest"] is None else RequestInFlight(*raw["oldest"]),
            is_stale=bool(raw["is_stale"]),
            jobs={str(kind): int(count) for kind, count in raw["jobs"].items()},
            websockets=None if raw.get("websockets") is None else int(raw["websockets"]),
        )

    return _decode("acknowledgement", data, build)


def encode_audit(record: AuditRecord) -> bytes:
    """Return the audit record as compact UTF-8 JSON; its number, if it has one, comes first."""
    members = {"number": record.number} if record.number else {}
    members |= {name: getattr(record, name) for name in _AUDIT_FIELDS} | {"at": time_text(record.at)}
    return _dump(members | {name: value for name in _CHAIN_FIELDS if (value := getattr(record, name))})


def decode_audit(data: bytes | str) -> AuditRecord:
    """Return the audit record that ``encode_audit`` wrote; raises ``StoreCorruptError``.

    One that is in the chain and is not to the byte as it was written loses its hash, and with it its place there.
    """

    def build(raw: Any) -> AuditRecord:
        facts = {name: raw[name] for name in _AUDIT_FIELDS} | {name: raw[name] for name in _CHAIN_FIELDS if name in raw}
        if not all(isinstance(raw.get(name, ""), str) for name in _CHAIN_FIELDS):
            raise TypeError("what belongs to the chain is no text")
        number = _to_revision(raw.get("number", 0))
        return AuditRecord(**facts, at=time_of(raw["at"]), number=number)

    record = _decode("audit record", data, build)
    if not record.hash or encode_audit(record) == (
        data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    ):
        return record
    return replace(record, hash="")


def encode_event(event: MaintenanceEvent) -> bytes:
    """Return the event as compact UTF-8 JSON."""
    members = {name: getattr(event, name) for name in _EVENT_FIELDS} | {"at": time_text(event.at)}
    return _dump(members if event.alert is None else members | {"alert": alert_members(event.alert)})


def decode_event(data: bytes | str) -> MaintenanceEvent:
    """Return the event that ``encode_event`` wrote; raises ``StoreCorruptError``."""

    def build(raw: Any) -> MaintenanceEvent:
        facts = {name: raw[name] for name in _EVENT_FIELDS} | {"kind": EventKind(raw["kind"])}
        alert = alert_of(raw["alert"]) if "alert" in raw else None
        return MaintenanceEvent(**facts, at=time_of(raw["at"]), alert=alert)

    return _decode("event", data, build)


def encode_count_key(key: CountKey) -> bytes:
    """Return the key of a count as compact UTF-8 JSON; equal keys give equal bytes."""
    # Without a caller as it was before callers were told apart, so that such counts go on.
    return _dump([key.window_id, key.operation, str(key.outcome), key.path, *([str(key.caller)] if key.caller else [])])


def decode_count_key(data: bytes | str) -> CountKey:
    """Return the key that ``encode_count_key`` wrote; raises ``StoreCorruptError``."""

    def build(raw: Any) -> CountKey:
        window_id, operation, outcome, path, *caller = raw
        return CountKey(window_id, operation, Outcome(outcome), path, *map(CallerKind, caller))

    return _decode("count key", data, build)


T = TypeVar("T")

_LAST_REVISION = 2**63 - 1
_WORKER_FIELDS = ("id", "host", "pid", "machine", "process_started", "framework")
_EVENT_FIELDS = ("kind", "revision", "number", "window_id", "mode", "reason", "actor", "detail")
_AUDIT_FIELDS = ("actor", "source", "action", "revision", "window_id", "detail")
_CHAIN_FIELDS = ("result", "origin", "before", "after", "begins", "hash")
_HEAD_FIELDS = ("number", "hash", "dropped_number", "dropped_hash")


@dataclass(frozen=True, slots=True)
class _Decoded:
    """The state that was read last: store, announcement and board all carry the same bytes.

    Attributes:
        windows: by id, with their members; the next commit changes but one or two of them.
    """

    data: bytes = b""
    state: MaintenanceState | None = None
    windows: Mapping[str, tuple[Any, MaintenanceWindow]] = field(default_factory=dict)


_decoded = _Decoded()
_encoded: tuple[MaintenanceState | None, bytes] = None, b""
"""The state that was written last: it is measured, committed and shown."""


def _to_revision(raw: Any) -> int:
    if type(raw) is not int or not 0 <= raw <= _LAST_REVISION:
        raise ValueError(f"{raw!r:.40} is no revision")
    return raw


def _to_head(raw: Any) -> AuditHead:
    if not isinstance(raw["hash"], str) or not isinstance(raw["dropped_hash"], str):
        raise TypeError("a hash is no text")
    return AuditHead(_to_revision(raw["number"]), raw["hash"], _to_revision(raw["dropped_number"]), raw["dropped_hash"])


@functools.lru_cache(maxsize=2 * MOST_COMMITS)
def _to_commit(raw: Any) -> str:
    if not isinstance(raw, str) or revision_of(raw) < 1:
        raise ValueError(f"{raw!r:.40} is no commit")
    return raw


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def _decode(what: str, data: bytes | str, build: Callable[[Any], T]) -> T:
    try:
        text = data if isinstance(data, str) else data.decode("utf-8", "surrogatepass")
        return build(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as exc:
        raise StoreCorruptError(f"stored {what} cannot be read: {exc!r:.200}") from exc
