"""The Redis store against real servers that die, hang, forget, fail over and refuse."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Self

import pytest

from quiesce.model import (
    Heartbeat,
    MaintenanceState,
    QuiesceError,
    RevisionConflictError,
    StoreCorruptError,
    StoreError,
    StoreUnreachableError,
    UnknownWorkerError,
)
from quiesce.stores import Store, open_store, redis_reports
from quiesce.stores.clock import seconds_since_boot
from quiesce.testing import eventually
from quiesce.testing.store_samples import ACKNOWLEDGEMENT, a_record, a_window, a_worker, beat, commit

PREFIX = "{quiesce:default}:"
PASSWORD = "s3cr3t-w0rd"


@pytest.fixture
def store(redis_server: Any) -> Iterator[Store]:
    with opened(redis_server.url) as store:
        yield store


@contextlib.contextmanager
def opened(url: str) -> Iterator[Store]:
    with contextlib.closing(open_store(url)) as store:
        yield store


def recovers(use: Callable[[], object]) -> Callable[[], bool]:
    def succeeds() -> bool:
        try:
            use()
        except StoreUnreachableError:
            return False
        return True

    return succeeds


def fails(use: Callable[[], object], *, within: float) -> QuiesceError:
    """Return the error that says the store is out of reach, after checking that it came in time."""
    began = time.monotonic()
    with pytest.raises(StoreUnreachableError) as caught:
        use()
    assert time.monotonic() - began < within
    return caught.value


def settle(store: Store) -> None:
    """Let the store subscribe."""
    eventually(lambda: not store.wait_for_change(timeout_seconds=0.05))


def repeat(store: Store, *, lease_seconds: float = 0, asks_for_silent: bool = False) -> Heartbeat:
    """Report until nothing changes any more; return what the last report is answered."""
    beat(store, a_worker().id, lease_seconds=lease_seconds)
    return beat(store, a_worker().id, lease_seconds=lease_seconds, asks_for_silent=asks_for_silent)


def replicate(master: Any, replica: Any) -> None:
    """Make one server the replica of another; return when it confirms writes."""
    with replica.client() as client, master.client() as head:
        client.execute_command("REPLICAOF", "127.0.0.1", str(master.port))
        eventually(lambda: head.set("probe", "x") and head.wait(1, 100) == 1, within=30)


def test_a_killed_server_is_an_outage_and_its_return_needs_no_help(redis_server: Any, store: Store) -> None:
    """Workers keep refusing meanwhile, and nobody restarts them afterwards."""
    commit(store, 1)
    store.register(a_worker())

    redis_server.kill()

    for use in (store.load, store.revision, store.workers, lambda: commit(store, 2)):
        assert "127.0.0.1" in str(fails(use, within=1.0))
    redis_server.start()
    eventually(recovers(store.revision), within=2)
    assert store.load() == MaintenanceState(1)
    assert [report.worker.id for report in store.workers()] == [a_worker().id]
    commit(store, 2)


def test_a_restart_between_two_uses_goes_unnoticed(redis_server: Any, store: Store) -> None:
    """Connections that lie idle die with the server; the next command simply takes a new one."""
    commit(store, 1)
    settle(store)

    redis_server.kill()
    redis_server.start()

    commit(store, 2)
    assert store.revision() == 2


def test_an_application_starts_while_its_store_is_down(redis_server: Any) -> None:
    """Constructing a store reaches nothing."""
    redis_server.kill()

    with opened(redis_server.url) as store:
        fails(store.load, within=1.0)
        redis_server.start()
        assert store.load() == MaintenanceState()


def test_waiting_outlives_a_restart_and_hears_commits_again(redis_server: Any, store: Store) -> None:
    """A worker that stayed deaf after a restart would follow changes by the second only."""
    settle(store)
    redis_server.kill()

    began = time.monotonic()
    store.wait_for_change(timeout_seconds=0.3)
    store.wait_for_change(timeout_seconds=0.3)
    assert time.monotonic() - began < 3

    redis_server.start()
    with opened(redis_server.url) as other:
        commit(other, 1)
        # Deaf until now, so the first thing that it says is to look.
        eventually(lambda: store.wait_for_change(timeout_seconds=0.3))
        settle(store)
        commit(other, 2)
        began = time.monotonic()
        assert store.wait_for_change(timeout_seconds=30) is not None
        assert time.monotonic() - began < 5


def test_waiting_on_a_broken_server_is_no_busy_loop() -> None:
    """Every worker of every machine would hammer a server that tries to come back."""
    attempts: list[float] = []
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def refuse() -> None:
            with contextlib.suppress(OSError):
                while True:
                    listener.accept()[0].close()
                    attempts.append(time.monotonic())

        thread = threading.Thread(target=refuse)
        thread.start()
        with opened(f"redis://127.0.0.1:{listener.getsockname()[1]}") as store:
            until = time.monotonic() + 1.0
            while time.monotonic() < until:
                store.wait_for_change(timeout_seconds=0.02)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()

    assert 1 <= len(attempts) <= 15


def test_scripts_that_the_server_forgot_are_sent_again(redis_server: Any, store: Store) -> None:
    """A restart, a failover and SCRIPT FLUSH all empty the script cache."""
    commit(store, 1)
    with redis_server.client() as client:
        client.script_flush()

    commit(store, 2)
    store.register(a_worker())

    assert len(store.workers()) == 1


def test_a_flushed_server_is_empty_and_young(redis_server: Any, store: Store) -> None:
    """Replicas see the lost revision and mend it; workers see that they are unknown and register."""
    commit(store, 3 - 2)
    store.register(a_worker())
    eventually(lambda: store.age() > 0.3)

    with redis_server.client() as client:
        client.flushall()

    assert store.revision() == 0
    assert store.load() == MaintenanceState()
    assert store.age() < 0.3
    with pytest.raises(UnknownWorkerError):
        store.report(a_worker().id, ACKNOWLEDGEMENT, counts={}, batch=1)
    store.commit(MaintenanceState(7), expected_revision=0, audit=[])
    assert store.revision() == 7


def test_its_age_counts_from_the_first_worker_on(redis_server: Any, store: Store) -> None:
    """If it counted from the first question, the first verdict after a start would have to wait for nothing."""
    store.register(a_worker())

    eventually(lambda: store.workers()[0].heartbeat_age > 0.2)

    assert store.age() > 0.19


def test_a_report_that_changes_nothing_runs_no_script(redis_server: Any, store: Store) -> None:
    """A thousand workers say every second that nothing has changed, and scripts cost the server far more."""
    assert not repeat(store).is_leader
    with redis_server.client() as client, opened(redis_server.url) as leader:
        assert beat(leader, "leader", lease_seconds=60).is_leader

        def written_by_five() -> tuple[int, int]:
            before = client.info("commandstats")
            for _ in range(5):
                eventually(lambda: store.workers()[0].heartbeat_age > 0.002)  # within one millisecond it cannot tell
                assert not beat(store, a_worker().id, lease_seconds=60, asks_for_silent=True).is_leader
            after = client.info("commandstats")
            hashes, times = (
                after[f"cmdstat_{name}"]["calls"] - before[f"cmdstat_{name}"]["calls"] for name in ("hset", "zadd")
            )
            return hashes, times

        # One that is on its way for a quarter of a second, on a machine that stalls, is put right by a script.
        eventually(lambda: written_by_five() == (0, 5))


@pytest.mark.parametrize(
    "loss", [("HDEL", "acknowledgements"), ("HSET", "acknowledgements", "{}"), ("ZREM", "heartbeats")], ids=str
)
def test_what_the_server_lost_of_a_report_comes_back_with_the_next(
    redis_server: Any, store: Store, loss: tuple[str, ...]
) -> None:
    """A failover forgets the last moments; an operator would wait for ever for a word that was given and lost."""
    repeat(store)
    with redis_server.client() as client:
        command, key, *value = loss
        client.execute_command(command, PREFIX + key, a_worker().id, *value)

    store.report(a_worker().id, ACKNOWLEDGEMENT, counts={}, batch=1)

    (report,) = store.workers()
    assert report.acknowledgement == ACKNOWLEDGEMENT
    assert 0 <= report.heartbeat_age < 1


def test_a_worker_that_the_server_lost_is_told_so(redis_server: Any, store: Store) -> None:
    """Its heartbeats alone would list it nowhere, and nobody would wait for it."""
    repeat(store)
    with redis_server.client() as client:
        client.hdel(PREFIX + "workers", a_worker().id)

    with pytest.raises(UnknownWorkerError):
        store.report(a_worker().id, ACKNOWLEDGEMENT, counts={}, batch=1)


@pytest.mark.parametrize("seconds", [-4000.0, -3.0, -0.5, 0.5, 3.0, 4000.0])
def test_a_heartbeat_bears_the_servers_time_whatever_the_clocks_do(
    store: Store, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """A machine that was suspended, a server whose clock was set: neither makes a worker look late, or gone."""
    repeat(store)
    monkeypatch.setattr(redis_reports, "seconds_since_boot", lambda: seconds_since_boot() + seconds)

    for _ in range(2):
        store.report(a_worker().id, ACKNOWLEDGEMENT, counts={}, batch=1)

        assert 0 <= store.workers()[0].heartbeat_age < 0.3


def test_a_server_that_hangs_is_given_up_in_time(redis_server: Any, store: Store) -> None:
    """A stopped process still takes connections, and an agent that waits for it misses its lease."""
    commit(store, 1)
    redis_server.pause()
    try:
        assert "no answer in time" in str(fails(store.revision, within=3.0))
        fails(lambda: commit(store, 2), within=3.0)
        with opened(redis_server.url) as fresh:
            fails(fresh.revision, within=3.5)
    finally:
        redis_server.resume()

    eventually(recovers(store.revision), within=2)
    assert store.revision() in {1, 2}  # what was sent may have been done, as the error says


def test_a_commit_whose_answer_is_lost_is_not_its_own_conflict(redis_server: Any) -> None:
    """The operator would be told that somebody else was faster, and it was themselves."""
    with _CuttingProxy(redis_server.port) as proxy, opened(f"redis://127.0.0.1:{proxy.port}") as store:
        assert store.revision() == 0
        proxy.cut_after = b"first"

        commit(store, 1, detail="first")

        assert proxy.cuts == 1
        assert store.revision() == 1
        assert [record.detail for record in store.audit()] == ["first"]
        with pytest.raises(RevisionConflictError):
            commit(store, 1, detail="second")


def test_refused_credentials_are_named_and_not_shown(make_redis: Any) -> None:
    """The message goes to logs, so it says what is wrong and not with what."""
    server = make_redis("--requirepass", "another")
    with opened(server.url.replace("redis://", f"redis://:{PASSWORD}@")) as store:
        error = fails(store.load, within=2)
    assert "credentials" in str(error)
    assert PASSWORD not in str(error)
    with opened(server.url) as store:
        fails(store.load, within=2)
    with opened(server.url.replace("redis://", "redis://default:another@")) as store:
        commit(store, 1)


def test_what_the_server_repeats_of_the_password_is_not_shown(make_redis: Any) -> None:
    """A server that does not know AUTH quotes its arguments in the error."""
    server = make_redis("--rename-command", "AUTH", "")
    with opened(server.url.replace("redis://", f"redis://:{PASSWORD}@")) as store, pytest.raises(StoreError) as caught:
        store.load()

    assert "***" in str(caught.value)
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


def test_a_user_who_may_not_subscribe_can_still_use_the_rest(make_redis: Any) -> None:
    """Changes then come with the agent's revision check; nothing breaks and nothing spins."""
    server = make_redis("--user", "app", "on", ">pw", "~*", "+@all", "-subscribe", "&*")
    with opened(server.url.replace("redis://", "redis://app:pw@")) as store:
        commit(store, 1)
        began = time.monotonic()
        for _ in range(4):
            store.wait_for_change(timeout_seconds=0.1)
        assert time.monotonic() - began > 0.3


def test_a_replica_takes_no_commits(make_redis: Any) -> None:
    """After a failover an address may point at the old master for a while: an outage, not a fault of the data."""
    server = make_redis()
    with server.client() as client, opened(server.url) as store:
        commit(store, 1)
        client.execute_command("REPLICAOF", "127.0.0.1", "1")

        assert "replica" in str(fails(lambda: commit(store, 2), within=2))

        client.execute_command("REPLICAOF", "NO", "ONE")
        commit(store, 2)


def test_a_commit_waits_for_a_replica(make_redis: Any) -> None:
    """A failover right after the answer would otherwise lose what the operator was told is done."""
    master, replica = make_redis(), make_redis()
    replicate(master, replica)
    with master.client() as client, opened(master.url) as store:
        commit(store, 1)
        waited = client.info("commandstats")["cmdstat_wait"]["calls"]

        for revision in range(2, 6):
            commit(store, revision)

        assert client.info("commandstats")["cmdstat_wait"]["calls"] == waited + 4
        replica.pause()
        began = time.monotonic()
        commit(store, 6)
        took = time.monotonic() - began
        replica.resume()
        with replica.client() as copy:
            eventually(lambda: copy.hget(PREFIX + "state", "revision") == b"6")
    assert 0.05 < took < 1.9


def test_a_server_without_memory_is_an_outage_and_nothing_is_half_done(make_redis: Any) -> None:
    """State without its audit record, or a record of what never happened, would be worse than no commit."""
    server = make_redis()
    with server.client() as client, opened(server.url) as store:
        commit(store, 1)
        client.config_set("maxmemory", 1)

        error = fails(lambda: commit(store, 2), within=2)

        assert "maxmemory" in str(error)
        assert store.revision() == 1
        assert len(store.audit()) == 1
        client.config_set("maxmemory", 0)
        commit(store, 2)


@pytest.mark.parametrize("key", ["state", "audit", "workers", "counts", "leader"])
def test_a_key_of_another_kind_is_corruption(redis_server: Any, store: Store, key: str) -> None:
    """Somebody else writes to our keys; trying again will not help."""
    with redis_server.client() as client:
        client.execute_command(*(("LPUSH", PREFIX + key, "x") if key != "audit" else ("SET", PREFIX + key, "x")))
    uses: dict[str, Callable[[], object]] = {
        "state": store.load,
        "audit": lambda: commit(store, 1),
        "workers": store.workers,
        "counts": store.counts,
        "leader": lambda: beat(store, "a", lease_seconds=1),
    }

    with pytest.raises(StoreCorruptError):
        uses[key]()

    if key == "audit":
        assert store.revision() == 0


@pytest.mark.parametrize("field", ["body", "revision"])
def test_a_state_that_cannot_be_read_is_corruption(redis_server: Any, store: Store, field: str) -> None:
    """The gate then keeps what it knows."""
    commit(store, 1)
    with redis_server.client() as client:
        client.hset(PREFIX + "state", field, b"\xff{")

    with pytest.raises(StoreCorruptError):
        store.load() if field == "body" else store.revision()


def test_all_keys_are_in_one_slot_of_a_cluster(make_redis: Any) -> None:
    """A Cluster refuses scripts that touch several slots, or keys that they did not name."""
    server = make_redis("--cluster-enabled", "yes")
    with server.client() as client, opened(server.url) as store:
        client.execute_command("CLUSTER", "ADDSLOTS", *range(16384))  # ADDSLOTSRANGE needs Redis 7
        eventually(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"), within=20)

        commit(store, 1)
        store.register(a_worker())
        store.report(a_worker().id, ACKNOWLEDGEMENT, counts={}, batch=1)
        assert beat(store, "a", lease_seconds=60).is_leader
        store.resign("a")
        store.deregister(a_worker().id)

        assert store.age() >= 0
        assert all(key.startswith(PREFIX.encode()) for key in client.keys("*"))


def test_a_childs_end_does_not_touch_its_parents_connections(redis_server: Any, store: Store) -> None:
    """A recycled worker must not close the subscription of the process that it was forked from."""
    settle(store)
    commit(store, 1)
    settle(store)
    with redis_server.client() as client:
        before = {found["id"] for found in client.client_list()} - {str(client.client_id())}
        for _ in range(3):
            assert _in_child(lambda: _use_and_close(store)) == 0

        assert before <= {found["id"] for found in client.client_list()}
    with opened(redis_server.url) as other:
        commit(other, 2)
    assert store.wait_for_change(timeout_seconds=10) is not None


def test_closing_leaves_no_connection_behind(redis_server: Any) -> None:
    """Servers limit how many there may be."""
    with redis_server.client() as client:
        alone = len(client.client_list())
        with opened(redis_server.url) as store:
            commit(store, 1)
            settle(store)
            assert len(client.client_list()) > alone

        eventually(lambda: len(client.client_list()) == alone)


def test_sentinels_lead_to_the_master_and_to_the_next_one(make_redis: Any) -> None:
    """The address names the Sentinels, so that a failover needs no new settings."""
    master, replica = make_redis(), make_redis()
    replicate(master, replica)
    sentinel = make_redis(
        sentinel=f"sentinel monitor shop 127.0.0.1 {master.port} 1\n"
        "sentinel down-after-milliseconds shop 500\nsentinel failover-timeout shop 2000\n"
    )
    nodes = f"127.0.0.1:1,127.0.0.1:{sentinel.port}"
    with sentinel.client() as watcher, opened(f"redis+sentinel://{nodes}/shop/0") as store:
        eventually(recovers(lambda: commit(store, 1)))
        eventually(lambda: int(watcher.sentinel_master("shop")["num-slaves"]) == 1, within=15)
        with replica.client() as client:  # a commit waits for it too, but not for longer than a moment
            eventually(lambda: client.hget(PREFIX + "state", "revision") == b"1")

        master.kill()
        fails(store.revision, within=3)
        eventually(lambda: watcher.sentinel_get_master_addr_by_name("shop")[1] == replica.port, within=20)

        eventually(recovers(store.revision))
        assert store.revision() == 1
        eventually(recovers(lambda: commit(store, store.revision() + 1)))
        with replica.client() as client:
            assert int(client.hget(PREFIX + "state", "revision")) == store.revision()
    with opened(f"redis+sentinel://{nodes}/unheard-of/0") as store:
        assert "unheard-of" in str(fails(store.load, within=3))


def test_other_errors_of_the_server_are_ours_too(make_redis: Any) -> None:
    """A server with commands switched off must not surprise the agent with an error that it does not know."""
    server = make_redis("--rename-command", "EVAL", "", "--rename-command", "EVALSHA", "")
    with opened(server.url) as store, pytest.raises(StoreError, match="unknown command"):
        store.commit(MaintenanceState(1, (a_window(),)), expected_revision=0, audit=[a_record(1)])


def _use_and_close(store: Store) -> None:
    store.revision()
    assert store.wait_for_change(timeout_seconds=1)  # it subscribes itself, and does not read from its parent's socket
    store.close()


def _in_child(action: Callable[[], object]) -> int:
    pid = os.fork()
    if pid == 0:
        status = 1
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)
        try:
            action()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class _CuttingProxy:
    """Passes everything on, but ends the connection instead of bringing the answer to a certain command."""

    def __init__(self, target: int) -> None:
        self.cut_after: bytes | None = None
        self.cuts = 0
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def _start(self, run: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection, socket.create_connection(("127.0.0.1", self._target)) as server:
            while request := connection.recv(1 << 16):
                server.sendall(request)
                answer = server.recv(1 << 16)
                if self.cut_after is not None and self.cut_after in request and not answer.startswith(b"-NOSCRIPT"):
                    self.cut_after = None
                    self.cuts += 1
                    return
                connection.sendall(answer)
