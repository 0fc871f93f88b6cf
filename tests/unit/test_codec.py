"""Values to JSON and back: nothing is lost, and nothing unreadable is taken for a value."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.model import (
    Acknowledgement,
    AuditRecord,
    BypassPass,
    CallerKind,
    CountKey,
    MaintenanceState,
    MaintenanceWindow,
    Mode,
    Outcome,
    RequestInFlight,
    StoreCorruptError,
    WorkerInfo,
)
from quiesce.model.codec import (
    decode_acknowledgement,
    decode_audit,
    decode_count_key,
    decode_event,
    decode_state,
    decode_worker,
    encode_acknowledgement,
    encode_audit,
    encode_count_key,
    encode_state,
    encode_worker,
)
from quiesce.testing.clock import NOON

odd = st.text(st.characters(), max_size=40) | st.sampled_from(
    ["\x00", "\r\n", "\u2028", "\ud800", "\udcff", "\U0001f6a7", "\u202e", "\ufeff", '"\\', "a\u0301"]
)
"""Any text, lone surrogates and NUL included."""
zones = st.sampled_from([UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-9, minutes=-30))])
times = st.datetimes(datetime(1900, 1, 1), datetime(2900, 1, 1), timezones=zones)  # noqa: DTZ001 - the zone is drawn
revisions = st.integers(0, 2**63 - 1)
counts = st.integers(0, 10**9)
windows = st.builds(
    MaintenanceWindow,
    id=odd,
    mode=st.sampled_from(Mode),
    reason=odd,
    owner=odd,
    starts_at=times,
    estimated_duration=st.none() | st.timedeltas(timedelta(0), timedelta(days=366)),
    ends_at=st.none() | times,
    operations=st.none() | st.frozensets(odd, max_size=4),
    notify_users=st.booleans(),
    ended_at=st.none() | times,
    hooks_run=st.frozensets(odd, max_size=3),
)
passes = st.builds(
    BypassPass,
    id=odd,
    name=odd,
    expires_at=times,
    window_id=st.none() | odd,
    opens_emergencies=st.booleans(),
    is_revoked=st.booleans(),
)
states = st.builds(
    MaintenanceState,
    revisions,
    st.lists(windows, max_size=4).map(tuple),
    passes=st.lists(passes, max_size=3).map(tuple),
)
acknowledgements = st.builds(
    Acknowledgement,
    revision=revisions,
    windows=st.frozensets(odd, max_size=3),
    in_flight=st.dictionaries(odd, counts, max_size=3),
    bypassing=counts,
    oldest=st.none() | st.builds(RequestInFlight, odd, odd, st.floats(0, 1e9)),
    is_stale=st.booleans(),
)
workers = st.builds(WorkerInfo, odd, odd, counts, odd, counts, odd, times)
records = st.builds(
    AuditRecord, at=times, actor=odd, source=odd, action=odd, revision=revisions, window_id=st.none() | odd, detail=odd
)
keys = st.builds(CountKey, odd, odd, st.sampled_from(Outcome), odd, st.sampled_from(CallerKind))


@given(states)
def test_state_comes_back_whole(state: MaintenanceState) -> None:
    """What workers apply is what the operator committed."""
    data = encode_state(state)

    assert decode_state(data) == state
    assert decode_state(data.decode("utf-8", "surrogatepass")) == state
    assert encode_state(decode_state(data)) == data


@given(acknowledgements)
def test_acknowledgement_comes_back_whole(acknowledgement: Acknowledgement) -> None:
    """The proof stands on what workers wrote."""
    assert decode_acknowledgement(encode_acknowledgement(acknowledgement)) == acknowledgement


@given(workers, records)
def test_workers_and_records_come_back_whole(worker: WorkerInfo, record: AuditRecord) -> None:
    """An obstacle names the right process, and the trail the right person."""
    assert decode_worker(encode_worker(worker)) == worker
    assert decode_audit(encode_audit(record)) == record


@given(keys, keys)
def test_keys_of_counts_are_equal_exactly_when_their_bytes_are(one: CountKey, other: CountKey) -> None:
    """Stores add up counts by these bytes."""
    assert decode_count_key(encode_count_key(one)) == one
    assert (encode_count_key(one) == encode_count_key(other)) == (one == other)


def test_text_stays_readable_in_the_store() -> None:
    """An operator may look into the store with its own tools, and the guide's SQL view shows it."""
    window = MaintenanceWindow(id="w", mode=Mode.NORMAL, reason="Wartung ☂", owner="o", starts_at=NOON)

    data = encode_state(MaintenanceState(1, (window,)))

    assert "Wartung ☂".encode() in data
    assert b"2031-05-04T12:00:00+00:00" in data


def test_a_state_is_read_anew_where_it_differs_from_the_one_before() -> None:
    """What is taken over from the last state that was read must be what the new one says, to the last field."""
    window = MaintenanceWindow(id="w", mode=Mode.NORMAL, reason="r", owner="o", starts_at=NOON, ends_at=NOON)
    others = tuple(replace(window, id=f"w{number}") for number in range(3))
    decode_state(encode_state(MaintenanceState(1, (*others, window))))
    changes: list[dict[str, Any]] = [
        {"reason": "other"},
        {"ends_at": None},
        {"ended_at": NOON},
        {"notify_users": False},
        {"hooks_run": frozenset({"on_activate"})},
    ]

    for number, change in enumerate(changes, 2):
        changed = MaintenanceState(number, (replace(window, **change), *others[number % 3 :]))

        assert decode_state(encode_state(changed)) == changed


def raw_state(**changes: Any) -> dict[str, Any]:
    window = MaintenanceWindow(
        id="w", mode=Mode.NORMAL, reason="r", owner="o", starts_at=NOON, estimated_duration=timedelta(1)
    )
    content: dict[str, Any] = json.loads(encode_state(MaintenanceState(3, (window,))))
    content["windows"][0].update(changes)
    return content


def test_raw_state_is_readable_as_it_is() -> None:
    """The faults below are each the only one."""
    assert decode_state(json.dumps(raw_state())).revision == 3


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "nightly"},
        {"mode": None},
        {"starts_at": "yesterday"},
        {"starts_at": "2031-05-04T12:00:00"},
        {"starts_at": None},
        {"starts_at": 12},
        {"ends_at": "2031-13-04T12:00:00+00:00"},
        {"estimated_seconds": "soon"},
        {"estimated_seconds": float("nan")},
        {"estimated_seconds": float("inf")},
        {"estimated_seconds": 1e300},
        {"operations": 5},
        {"operations": [["x"]]},
        {"hooks_run": None},
    ],
    ids=repr,
)
def test_faulty_window_is_corrupt(change: dict[str, Any]) -> None:
    """A corrupt snapshot is an error that says so; it never becomes an open gate."""
    with pytest.raises(StoreCorruptError, match="state"):
        decode_state(json.dumps(raw_state(**change)))


@pytest.mark.parametrize(
    "passes",
    [None, 7, "ab", [7], [{}], [{"id": "a", "name": "b"}], [{"id": "a", "name": "b", "expires_at": "soon"}]],
    ids=repr,
)
def test_faulty_passes_are_corrupt(passes: object) -> None:
    """A pass of which nobody knows when it ends must not be one."""
    with pytest.raises(StoreCorruptError):
        decode_state(json.dumps(raw_state() | {"passes": passes}))


@pytest.mark.parametrize(
    ("marks", "is_revoked", "opens"), [({"is_revoked": 0}, True, False), ({"opens_emergencies": "yes"}, False, False)]
)
def test_a_strange_mark_on_a_pass_opens_nothing(marks: dict[str, Any], *, is_revoked: bool, opens: bool) -> None:
    """What is in doubt stays closed."""
    raw = {"id": "a", "name": "b", "expires_at": "2031-05-04T12:00:00+00:00"} | marks

    (found,) = decode_state(json.dumps(raw_state() | {"passes": [raw]})).passes

    assert (found.is_revoked, found.opens_emergencies) == (is_revoked, opens)


@pytest.mark.parametrize("revision", [-1, 2**63, 1.5, "3", True, None, [1]], ids=repr)
def test_faulty_revision_is_corrupt(revision: object) -> None:
    """A revision that the board's word cannot hold, or that is rounded, would deceive every comparison."""
    with pytest.raises(StoreCorruptError):
        decode_state(json.dumps({"revision": revision, "windows": [], "schedules": []}))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe\x00",
        b"null",
        b"[]",
        b"{}",
        b'"text"',
        b'{"revision":1}',
        b'{"revision":1,"windows":null,"schedules":[]}',
        b'{"revision":1,"windows":[7],"schedules":[]}',
        b'{"revision":1,"windows":[]',
        b'{"revision":1e999,"windows":[],"schedules":[]}',
        b"[" * 200_000,
        b'{"revision":' + b"9" * 10_000 + b"}",
    ],
    ids=lambda data: repr(data[:24]),
)
def test_anything_else_is_corrupt(data: bytes) -> None:
    """Whatever lies in the store, a worker goes on with what it knows and says why."""
    for decode in (decode_state, decode_acknowledgement, decode_worker, decode_audit, decode_count_key, decode_event):
        with pytest.raises(StoreCorruptError):
            decode(data)


@given(st.binary(max_size=200))
def test_random_bytes_never_raise_anything_else(data: bytes) -> None:
    """The callers handle this one error."""
    for decode in (decode_state, decode_acknowledgement, decode_worker, decode_audit, decode_count_key, decode_event):
        with pytest.raises(StoreCorruptError):
            decode(data)


def test_message_stays_short() -> None:
    """It goes into logs and responses."""
    with pytest.raises(StoreCorruptError) as caught:
        decode_state(json.dumps(raw_state(mode="x" * 100_000)))

    assert len(str(caught.value)) < 400
