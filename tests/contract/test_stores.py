"""Every store keeps the contract of ``quiesce.testing``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from quiesce.stores import Store, open_store
from quiesce.testing import StoreContract


class TestMemory(StoreContract):
    """One process, one object."""

    is_shared = False
    hears_commits = True

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        with contextlib.closing(open_store("memory://")) as store:
            yield store

    @pytest.fixture
    def reopen(self, store: Store) -> Callable[[], Store]:
        return lambda: store


class TestSqlite(StoreContract):
    """One machine, one file."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        with contextlib.closing(open_store(f"sqlite:///{tmp_path}/maintenance.db")) as store:
            yield store

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Callable[[], Store]:
        return lambda: open_store(f"sqlite:///{tmp_path}/maintenance.db")


class TestSqliteForOneOfSeveralServices(TestSqlite):
    """Services that share a file must not notice each other."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        url = f"sqlite:///{tmp_path}/maintenance.db"
        with _used_by_another_service(url), contextlib.closing(open_store(url, service_name="shop")) as store:
            yield store

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Callable[[], Store]:
        return lambda: open_store(f"sqlite:///{tmp_path}/maintenance.db", service_name="shop")


@pytest.fixture
def empty_redis(shared_redis: Any) -> Iterator[str]:
    """The address of a server that holds nothing, and of which no board on this machine tells either."""
    yield str(shared_redis.url)
    for name in ("default", "sh}op"):
        with contextlib.closing(open_store(shared_redis.url, service_name=name)) as store:
            assert store.board_path is not None
            store.board_path.unlink(missing_ok=True)
    with shared_redis.client() as client:
        client.flushall()


class TestRedis(StoreContract):
    """Many machines, one server."""

    hears_commits = True

    @pytest.fixture
    def store(self, empty_redis: str) -> Iterator[Store]:
        with contextlib.closing(open_store(empty_redis)) as store:
            yield store

    @pytest.fixture
    def reopen(self, empty_redis: str) -> Callable[[], Store]:
        return lambda: open_store(empty_redis)


class TestRedisForOneOfSeveralServices(TestRedis):
    """Services that share a server must not notice each other."""

    @pytest.fixture
    def store(self, empty_redis: str) -> Iterator[Store]:
        with (
            _used_by_another_service(empty_redis),
            contextlib.closing(open_store(empty_redis, service_name="sh}op")) as store,
        ):
            yield store

    @pytest.fixture
    def reopen(self, empty_redis: str) -> Callable[[], Store]:
        return lambda: open_store(empty_redis, service_name="sh}op")


@contextlib.contextmanager
def _used_by_another_service(url: str) -> Iterator[None]:
    from quiesce.testing.store_samples import ACKNOWLEDGEMENT, a_count, a_worker, beat, commit

    with contextlib.closing(open_store(url)) as other:
        commit(other, 1)
        other.register(a_worker("theirs"))
        other.report("theirs", ACKNOWLEDGEMENT, counts={a_count(): 1}, batch=1)
        beat(other, "theirs", lease_seconds=60)
        yield
        assert other.revision() == 1
        assert [report.worker.id for report in other.workers()] == ["theirs"]
        assert other.counts() == {a_count(): 1}
        assert beat(other, "theirs", lease_seconds=60).is_leader
