"""The chain of audit records shows every kind of damage, on what each store really keeps."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quiesce import AuditReport, AuditVerdict, MaintenanceState, Store, StoreCorruptError, open_store
from quiesce.clock import SystemClock
from quiesce.control.audit_verifying import verify_trail
from quiesce.control.committing import Committer
from quiesce.control.journal import Journal
from quiesce.gate.reseeding import reseed
from quiesce.model import GENESIS, AuditChain, AuditHead, merged, stamped
from quiesce.model.codec import decode_audit, decode_state, encode_audit, encode_state
from quiesce.testing.store_samples import HOSTILE, a_record

KEY = "0123456789abcdef"
OTHER = "another key of 16"
RECORDS = 7


@dataclass(frozen=True)
class Place:
    """A store, and how to lay hands on its records behind its back."""

    store: Store
    read: Callable[[], list[bytes]]
    write: Callable[[list[bytes]], None]


@contextlib.contextmanager
def in_memory(*_: object) -> Iterator[Place]:
    store: Any = open_store("memory://")

    def write(bodies: list[bytes]) -> None:
        store._audit[:] = map(decode_audit, bodies)

    yield Place(store, lambda: [encode_audit(record) for record in store._audit], write)


@contextlib.contextmanager
def in_sqlite(folder: Path, *_: object) -> Iterator[Place]:
    path = folder / "audit.db"
    with contextlib.closing(open_store(f"sqlite:///{path}")) as store:
        store.revision()

        def read() -> list[bytes]:
            with contextlib.closing(sqlite3.connect(path)) as connection:
                return [body for (body,) in connection.execute("SELECT body FROM audit ORDER BY number")]

        def write(bodies: list[bytes]) -> None:
            with contextlib.closing(sqlite3.connect(path)) as connection, connection:
                connection.execute("DELETE FROM audit")
                rows = [("default", body) for body in bodies]
                connection.executemany("INSERT INTO audit (service, body) VALUES (?, ?)", rows)

        yield Place(store, read, write)


@contextlib.contextmanager
def in_redis(_: Path, server: Any) -> Iterator[Place]:
    key = "{quiesce:default}:audit"
    with contextlib.closing(open_store(server.url)) as store, contextlib.closing(server.client()) as client:

        def write(bodies: list[bytes]) -> None:
            client.delete(key)
            if bodies:
                client.rpush(key, *bodies)

        yield Place(store, lambda: client.lrange(key, 0, -1), write)


PLACES: dict[str, Callable[..., contextlib.AbstractContextManager[Place]]] = {
    "memory": in_memory,
    "sqlite": in_sqlite,
    "redis": in_redis,
}


@pytest.fixture(params=list(PLACES))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    server = request.getfixturevalue("redis_server") if request.param == "redis" else None
    with PLACES[request.param](tmp_path, server) as found:
        yield found


def fill(store: Store, *keys: str, count: int = RECORDS) -> None:
    """Commit records, two in the first commit and in the last."""
    committer = Committer(store=store, clock=SystemClock(), board=lambda: None, chain=AuditChain(keys))
    done = 0
    while done < count:
        many = 2 if done in {0, count - 2} else 1

        def change(state: MaintenanceState, many: int = many, done: int = done) -> tuple[MaintenanceState, Journal]:
            journal = Journal(state, at=SystemClock().now(), actor="anna", source="test")
            for number in range(many):
                detail = HOSTILE[:40] if number else "the same"
                journal.note("tested", window_id=f"w{done % 2}", detail=detail)
            return replace(state, revision=state.revision + 1), journal

        committer.commit(change)
        done += many


def verify(store: Store, *keys: str, head: str = "") -> AuditReport:
    return verify_trail(store.audit_trail(), state=store.load(), chain=AuditChain(keys), head=head)


def kinds(report: AuditReport) -> set[str]:
    return {str(finding.kind) for finding in report.findings}


places = st.integers(0, RECORDS - 1)


@st.composite
def changes(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """Something done to one record as it is stored."""
    where, byte = draw(st.integers(0, 10_000)), draw(st.binary(min_size=1, max_size=1))
    name = draw(st.sampled_from(["actor", "source", "action", "detail", "before", "origin", "result"]))
    value: dict[str, Any] = {name: draw(st.text(max_size=5))}
    # The same to whoever reads it as JSON.
    old, new = draw(st.sampled_from([(b":", b": "), (b"T", b" "), (b"{", b'{"more":1,'), (b"}", b"}\n")]))
    acts: list[Callable[[bytes], bytes]] = [
        lambda body: body[: where % len(body)] + byte + body[where % len(body) + 1 :],
        lambda body: encode_audit(replace(decode_audit(body), **value)),
        lambda body: body.replace(old, new, 1),
    ]
    return draw(st.sampled_from(acts))


@st.composite
def damages(draw: st.DrawFn) -> Callable[[list[bytes]], list[bytes]]:
    """One act upon the list of records as it is stored."""
    acts = ["change", "remove", "cut", "behead", "swap", "move", "copy", "forge", "empty"]
    kind, change = draw(st.sampled_from(acts)), draw(changes())
    one, other, number = draw(places), draw(places), draw(places)

    def damage(bodies: list[bytes]) -> list[bytes]:
        match kind:
            case "change":
                bodies[one] = change(bodies[one])
            case "remove":
                del bodies[one]
            case "cut":
                del bodies[one:]
            case "behead":
                del bodies[: one + 1]
            case "swap":
                bodies[one], bodies[other] = bodies[other], bodies[one]
            case "move":
                bodies.insert(other, bodies.pop(one))
            case "copy":
                bodies.insert(other, bodies[one])
            case "forge":
                bodies.insert(other, encode_audit(replace(a_record(1), number=number)))
            case "empty":
                bodies.clear()
        return bodies

    return damage


@pytest.mark.parametrize("keys", [(), (KEY,)], ids=["plain", "keyed"])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=damages())
def test_any_damage_is_found(place: Place, keys: tuple[str, ...], damage: Callable[[list[bytes]], list[bytes]]) -> None:
    """What verify calls intact an auditor will believe."""
    if not place.read():
        fill(place.store, *keys)
    sound = place.read()
    assert verify(place.store, *keys).verdict is AuditVerdict.INTACT

    damaged = damage(list(sound))
    try:
        place.write(damaged)
    except StoreCorruptError:  # the memory store holds values: what is no record cannot be in it
        return

    expected = AuditVerdict.INTACT if damaged == sound else AuditVerdict.BROKEN
    found = verify(place.store, *keys).verdict
    place.write(sound)
    assert found is expected


@pytest.mark.parametrize("keys", [(), (KEY,)], ids=["plain", "keyed"])
def test_many_writers_make_one_chain(place: Place, keys: tuple[str, ...]) -> None:
    """Two operators at once: who loses the race chains anew behind the winner's records."""
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(fill, place.store, *keys, count=5) for _ in range(4)]:
            done.result()

    report = verify(place.store, *keys)

    assert (report.verdict, report.records, report.keyed) == (AuditVerdict.INTACT, 20, 20 if keys else 0)


def test_old_records_are_dropped_and_the_chain_stays_whole(place: Place) -> None:
    """Retention must not look like an attack, nor an attack like retention."""
    fill(place.store, KEY)
    last = decode_audit(place.read()[3])
    state = place.store.load()
    anchors = replace(state.audit, dropped_number=last.number, dropped_hash=last.hash)
    place.store.commit(
        replace(state, revision=state.revision + 1, audit=anchors), expected_revision=state.revision, audit=[]
    )
    assert verify(place.store, KEY).verdict is AuditVerdict.BROKEN  # what was to go is there yet

    assert place.store.drop_audit(through=last.number) == 4
    assert place.store.drop_audit(through=last.number) == 0

    report = verify(place.store, KEY)
    assert (report.verdict, report.records, report.dropped) == (AuditVerdict.INTACT, RECORDS - 4, 4)
    place.write(place.read()[1:])
    assert verify(place.store, KEY).verdict is AuditVerdict.BROKEN


def test_a_lost_store_is_not_called_fine() -> None:
    """Who empties the store empties the trail: the workers bring the windows back, and the trail says so."""
    store, empty = open_store("memory://"), open_store("memory://")
    fill(store, KEY)
    known = store.load()

    reseed(empty, known, actor="worker:1", clock=SystemClock(), chain=AuditChain([KEY]))

    (record,) = empty.audit()
    report = verify(empty, KEY)
    assert (record.number, record.action) == (RECORDS + 1, "store.reseeded")
    assert known.audit.hash in record.begins
    assert (report.verdict, kinds(report)) == (AuditVerdict.RESTARTED, {"restarted"})
    fill(empty, KEY)
    assert verify(empty, KEY).verdict is AuditVerdict.RESTARTED


def test_a_store_that_went_back_in_time_shows_where() -> None:
    """After a restore of a backup its records are sound, and so is what follows; what was between is lost."""
    store = open_store("memory://")
    restored: Any = open_store("memory://")
    fill(store, KEY)
    restored._state, restored._audit[:] = store.load(), store.audit()
    fill(store, KEY)
    known = store.load()

    reseed(restored, known, actor="worker:1", clock=SystemClock(), chain=AuditChain([KEY]))

    report = verify(restored, KEY)
    assert kinds(report) == {"restarted"}
    assert report.records == RECORDS + 1
    del restored._audit[RECORDS - 1]  # the last one before the loss
    assert verify(restored, KEY).verdict is AuditVerdict.BROKEN


def test_records_from_before_the_chain_are_named_as_such(place: Place) -> None:
    """An upgraded installation must not read proof into what nothing was ever proved of."""
    place.store.commit(MaintenanceState(1), expected_revision=0, audit=[a_record(1), a_record(1)])
    assert kinds(verify(place.store)) == {"no_chain"}

    fill(place.store)

    report = verify(place.store)
    assert (report.verdict, report.outside, report.records) == (AuditVerdict.INTACT, 2, RECORDS)
    assert place.store.audit(limit=RECORDS)[0].begins.startswith("upgraded")
    place.write(place.read()[2:])
    assert verify(place.store).verdict is AuditVerdict.INTACT  # documented: nothing is known of those
    place.write([*place.read(), encode_audit(a_record(1))])
    assert kinds(verify(place.store)) == {"outside"}


def test_an_older_version_beside_is_said_and_no_attack() -> None:
    """While workers are upgraded one by one an old one may lead, and forgets the head that it does not know."""
    store = open_store("memory://")
    fill(store, KEY)
    state = replace(store.load(), revision=store.revision() + 1, audit=AuditHead())
    store.commit(state, expected_revision=state.revision - 1, audit=[a_record(1)])
    assert kinds(verify(store, KEY)) == {"outside", "no_chain"}

    fill(store, KEY)

    report = verify(store, KEY)
    assert (report.verdict, kinds(report), report.outside) == (AuditVerdict.RESTARTED, {"restarted"}, 1)
    assert (report.records, report.head_number) == (2 * RECORDS, 2 * RECORDS)
    memory: Any = store
    del memory._audit[RECORDS - 1]  # the last before the old version's
    assert verify(store, KEY).verdict is AuditVerdict.BROKEN


def test_without_the_key_nobody_can_go_on_unnoticed() -> None:
    """An attacker who knows no key can at most write plain hashes; so does a command that was not given the key."""
    store: Any = open_store("memory://")
    fill(store, KEY)
    fill(store)
    report = verify(store, KEY)
    assert (report.verdict, kinds(report)) == (AuditVerdict.RESTARTED, {"restarted"})

    forged = [replace(record, begins="") for record in store._audit]
    store._audit[RECORDS:] = forged[RECORDS:]
    assert "unkeyed" in kinds(verify(store, KEY))
    assert "unknown_key" in kinds(verify(store))
    assert verify(store, OTHER).verdict is AuditVerdict.BROKEN


def test_a_new_key_takes_over_from_the_former() -> None:
    """Keys are changed; the trail of last year is to be judged all the same."""
    store = open_store("memory://")
    fill(store, KEY)
    fill(store, OTHER, KEY)

    assert verify(store, OTHER, KEY).verdict is AuditVerdict.INTACT
    assert kinds(verify(store, OTHER)) == {"unknown_key"}


def test_a_head_that_was_noted_elsewhere_must_be_there() -> None:
    """Who has the key can write the whole trail anew; a hash on paper still gives them away."""
    store = open_store("memory://")
    fill(store, KEY)
    noted = store.load().audit.hash
    fill(store, KEY)
    forged = open_store("memory://")
    fill(forged, KEY)

    assert verify(store, KEY, head=noted).verdict is AuditVerdict.INTACT
    assert verify(forged, KEY).verdict is AuditVerdict.INTACT
    assert kinds(verify(forged, KEY, head=noted)) == {"head"}


def test_the_hash_is_what_the_documentation_says() -> None:
    """An auditor must be able to recompute it without us."""
    records, _ = AuditChain([KEY]).extend([a_record(1)], after=MaintenanceState())
    key = hmac.digest(KEY.encode(), b"quiesce.audit\x00", "sha256")
    data = GENESIS.encode() + b"\n" + encode_audit(replace(records[0], hash=""))
    name = hmac.digest(key, b"name", "sha256").hex()[:8]

    assert records[0].hash == f"hmac-sha256:{name}:{hmac.digest(key, data, 'sha256').hex()}"
    long = "k" * 500
    assert AuditChain([long]).extend([a_record(1)], after=MaintenanceState())[0][0].hash.startswith("hmac-sha256:")
    (plain,), _ = AuditChain().extend([a_record(1)], after=MaintenanceState())
    data = GENESIS.encode() + b"\n" + encode_audit(replace(plain, hash=""))
    assert plain.hash == f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_the_anchors_are_kept_with_the_state() -> None:
    """They are compared and set with the revision, and shown to every machine by its board."""
    state = replace(MaintenanceState(3), audit=AuditHead(4, "sha256:ab", 2, "sha256:cd"))

    assert decode_state(encode_state(state)) == state
    assert b"audit" not in encode_state(MaintenanceState(3))
    assert stamped(state, MaintenanceState(), unique="x").audit == state.audit
    assert merged(MaintenanceState(9), state, unique="x").audit == state.audit
