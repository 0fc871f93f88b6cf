"""The store's contract: workers, their reports, counts, and who leads."""
# ruff: noqa: S101 - a contract is made of assertions

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace

from ..model import Acknowledgement, UnknownWorkerError
from ..stores.base import SILENT_SECONDS, Store
from .store_samples import ACKNOWLEDGEMENT, Reopen, a_count, a_worker, beat, commit, expects
from .waiting import eventually

_FRESH_SECONDS = 5.0


class WorkerContract:
    """A worker is listed until it leaves; what it reports is there whole, and once."""

    def test_a_registered_worker_has_acknowledged_nothing(self, store: Store, reopen: Reopen) -> None:
        """A worker that has only started must not count as confirmed."""
        store.register(a_worker())

        with contextlib.closing(reopen()) as other:
            (report,) = other.workers()
        assert report.worker == a_worker()
        assert report.acknowledgement is None
        assert 0 <= report.heartbeat_age < _FRESH_SECONDS

    def test_registering_again_replaces_the_record(self, store: Store) -> None:
        """A worker that comes back has to acknowledge anew."""
        store.register(a_worker(pid=1))
        store.report(a_worker().id, ACKNOWLEDGEMENT, counts={}, batch=1)

        store.register(a_worker(pid=2))

        (report,) = store.workers()
        assert report.worker.pid == 2
        assert report.acknowledgement is None

    def test_a_report_is_kept_whole(self, store: Store, reopen: Reopen) -> None:
        """The verdict is drawn from these fields alone."""
        store.register(a_worker())

        store.report(a_worker().id, ACKNOWLEDGEMENT, counts={}, batch=1)

        with contextlib.closing(reopen()) as other:
            assert other.workers()[0].acknowledgement == ACKNOWLEDGEMENT

    def test_a_later_report_replaces_the_earlier_one(self, store: Store) -> None:
        """Only the last word of a worker is true."""
        store.register(a_worker())
        store.report(a_worker().id, ACKNOWLEDGEMENT, counts={}, batch=1)

        store.report(a_worker().id, Acknowledgement(8), counts={}, batch=2)

        assert store.workers()[0].acknowledgement == Acknowledgement(8)

    def test_a_report_of_an_unknown_worker_writes_nothing(self, store: Store) -> None:
        """A worker that the store lost must register first, or nobody would wait for it."""
        with expects(UnknownWorkerError):
            store.report("ghost", ACKNOWLEDGEMENT, counts={a_count(): 1}, batch=1)

        assert store.workers() == ()
        assert store.counts() == {}

    def test_a_worker_that_left_is_unknown(self, store: Store) -> None:
        """A late report must not put a process back on the list that is gone."""
        store.register(a_worker())

        store.deregister(a_worker().id)

        assert store.workers() == ()
        with expects(UnknownWorkerError):
            store.report(a_worker().id, ACKNOWLEDGEMENT, counts={}, batch=1)

    def test_taking_off_an_unknown_worker_does_nothing(self, store: Store) -> None:
        """Two siblings may find the same process gone."""
        store.register(a_worker())

        store.deregister("ghost")

        assert len(store.workers()) == 1

    def test_workers_come_in_order_of_id(self, store: Store) -> None:
        """A list that an operator watches must not jump about."""
        for worker_id in ("c", "a", "b10", "b9"):
            store.register(a_worker(worker_id))

        assert [report.worker.id for report in store.workers()] == ["a", "b10", "b9", "c"]

    def test_a_heartbeat_ages_until_the_next_report(self, store: Store) -> None:
        """Lateness is what tells a silent worker."""
        store.register(a_worker())

        eventually(lambda: store.workers()[0].heartbeat_age > 0.2)
        store.report(a_worker().id, ACKNOWLEDGEMENT, counts={}, batch=1)

        assert store.workers()[0].heartbeat_age < 0.2

    def test_the_same_report_again_is_a_heartbeat(self, store: Store, reopen: Reopen) -> None:
        """A store may spare itself what has not changed, but not the sign of life, nor the answer."""
        store.register(a_worker())
        for batch in range(3):
            store.report(a_worker().id, ACKNOWLEDGEMENT, counts={}, batch=batch, lease_seconds=60)
        commit(store, 1)
        eventually(lambda: store.workers()[0].heartbeat_age > 1.0)

        heard = store.report(a_worker().id, ACKNOWLEDGEMENT, counts={}, batch=3, lease_seconds=60)

        with contextlib.closing(reopen()) as other:
            (report,) = other.workers()
        assert 0 <= report.heartbeat_age < 1.0
        assert report.acknowledgement == ACKNOWLEDGEMENT
        assert (heard.revision, heard.is_leader) == (1, True)

    def test_counts_that_come_with_the_same_report_are_added(self, store: Store) -> None:
        """Refused requests change nothing about the worker, and count all the same."""
        store.register(a_worker())
        for batch in range(3):
            store.report(a_worker().id, ACKNOWLEDGEMENT, counts={}, batch=batch)

        for batch in (3, 3, 4):
            eventually(lambda: store.workers()[0].heartbeat_age > 0.01)
            store.report(a_worker().id, ACKNOWLEDGEMENT, counts={a_count(): 2}, batch=batch)

        assert store.counts() == {a_count(): 4}

    def test_the_same_report_after_a_new_registration_is_written_whole(self, store: Store) -> None:
        """Registering takes the acknowledgement back; a store must not take it for written because it once was."""
        store.register(a_worker())
        for batch in range(2):
            store.report(a_worker().id, ACKNOWLEDGEMENT, counts={}, batch=batch)

        store.register(a_worker())
        store.report(a_worker().id, ACKNOWLEDGEMENT, counts={}, batch=2)

        assert store.workers()[0].acknowledgement == ACKNOWLEDGEMENT

    def test_the_same_report_of_a_worker_that_was_taken_off_is_refused(self, store: Store, reopen: Reopen) -> None:
        """Whoever is off the list has to register, however often the store has heard the same of it."""
        store.register(a_worker())
        for batch in range(2):
            store.report(a_worker().id, ACKNOWLEDGEMENT, counts={}, batch=batch)

        with contextlib.closing(reopen()) as other:
            other.deregister(a_worker().id)

            with expects(UnknownWorkerError):
                store.report(a_worker().id, ACKNOWLEDGEMENT, counts={}, batch=2)
            assert other.workers() == ()

    def test_counts_add_up_over_workers_and_windows(self, store: Store, reopen: Reopen) -> None:
        """The number of refused requests is the cluster's, each kind for itself."""
        store.register(a_worker("a"))
        store.register(a_worker("b"))
        tested = replace(a_count("w2", path="/x/\udcff"))

        store.report("a", ACKNOWLEDGEMENT, counts={a_count(): 3, tested: 1}, batch=1)
        store.report("b", ACKNOWLEDGEMENT, counts={a_count(): 4}, batch=1)

        with contextlib.closing(reopen()) as other:
            assert other.counts() == {a_count(): 7, tested: 1}

    def test_counts_outlive_their_worker(self, store: Store) -> None:
        """A worker that was recycled did refuse those requests."""
        store.register(a_worker())
        store.report(a_worker().id, ACKNOWLEDGEMENT, counts={a_count(): 3}, batch=1)

        store.deregister(a_worker().id)

        assert store.counts() == {a_count(): 3}

    def test_a_batch_is_counted_once(self, store: Store) -> None:
        """A report is sent again when its answer was lost."""
        store.register(a_worker())
        store.report(a_worker().id, ACKNOWLEDGEMENT, counts={a_count(): 3}, batch=5)

        store.report(a_worker().id, Acknowledgement(9), counts={a_count(): 3}, batch=5)
        store.report(a_worker().id, Acknowledgement(9), counts={a_count(): 3}, batch=4)

        assert store.counts() == {a_count(): 3}
        assert store.workers()[0].acknowledgement == Acknowledgement(9)
        store.report(a_worker().id, ACKNOWLEDGEMENT, counts={a_count(): 2}, batch=6)
        assert store.counts() == {a_count(): 5}

    def test_a_batch_is_counted_once_although_its_worker_registers_anew(self, store: Store) -> None:
        """The number belongs to the id, and an id to one process, which goes on counting."""
        store.register(a_worker())
        store.report(a_worker().id, ACKNOWLEDGEMENT, counts={a_count(): 3}, batch=5)

        store.register(a_worker())
        store.report(a_worker().id, ACKNOWLEDGEMENT, counts={a_count(): 3}, batch=5)

        assert store.counts() == {a_count(): 3}

    def test_reports_from_many_threads_lose_nothing(self, store: Store) -> None:
        """A process has one agent, but a store does not rely on it."""

        def report(number: int) -> None:
            store.register(a_worker(f"w{number}"))
            for batch in range(10):
                store.report(f"w{number}", ACKNOWLEDGEMENT, counts={a_count(): 1}, batch=batch)

        threads = [threading.Thread(target=report, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert store.counts() == {a_count(): 80}
        assert len(store.workers()) == 8

    def test_a_report_is_answered_with_the_revision(self, store: Store) -> None:
        """A worker that missed an announcement learns of the commit with its next heartbeat."""
        commit(store, 1)

        assert beat(store, "a", lease_seconds=0).revision == 1

    def test_a_report_names_workers_that_are_silent(self, store: Store) -> None:
        """A sibling finds out which of them have died, without listing all of a thousand workers each second."""
        store.register(a_worker("dead"))

        ((worker, seconds),) = eventually(lambda: beat(store, "alive", lease_seconds=0, asks_for_silent=True).silent)

        assert worker == a_worker("dead")
        assert SILENT_SECONDS <= seconds < SILENT_SECONDS + _FRESH_SECONDS
        assert beat(store, "alive", lease_seconds=0).silent == ()
        store.deregister("dead")
        assert beat(store, "alive", lease_seconds=0, asks_for_silent=True).silent == ()

    def test_without_a_lease_to_take_no_worker_leads(self, store: Store) -> None:
        """A worker that only acknowledges must not become the one that runs hooks."""
        assert not beat(store, "a", lease_seconds=0).is_leader
        assert beat(store, "b", lease_seconds=60).is_leader

    def test_one_worker_leads_at_a_time(self, store: Store, reopen: Reopen) -> None:
        """Hooks run once in the cluster only if there is one leader."""
        with contextlib.closing(reopen()) as other:
            assert beat(store, "a", lease_seconds=60).is_leader
            assert not beat(other, "b", lease_seconds=60).is_leader
            assert beat(store, "a", lease_seconds=60).is_leader

    def test_of_many_that_ask_at_once_one_leads(self, store: Store) -> None:
        """All workers ask in the same second after the leader is gone."""
        leaders: list[str] = []
        start = threading.Barrier(8)

        def ask(worker_id: str) -> None:
            start.wait()
            if beat(store, worker_id, lease_seconds=60).is_leader:
                leaders.append(worker_id)

        threads = [threading.Thread(target=ask, args=(f"w{number}",)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(leaders) == 1

    def test_a_lease_lapses(self, store: Store) -> None:
        """A leader that was killed must not keep the others from leading."""
        assert beat(store, "a", lease_seconds=0.3).is_leader

        eventually(lambda: beat(store, "b", lease_seconds=60).is_leader)

        assert not beat(store, "a", lease_seconds=60).is_leader

    def test_a_renewed_lease_lasts(self, store: Store) -> None:
        """Renewing must lengthen the lease, not only confirm it."""
        assert beat(store, "a", lease_seconds=0.1).is_leader

        assert beat(store, "a", lease_seconds=60).is_leader

        eventually(lambda: store.workers()[0].heartbeat_age > 0.2)
        assert not beat(store, "b", lease_seconds=60).is_leader

    def test_only_the_leader_can_resign(self, store: Store) -> None:
        """A worker that stops hands over at once, and one that does not lead changes nothing."""
        assert beat(store, "a", lease_seconds=60).is_leader

        store.resign("b")
        assert not beat(store, "b", lease_seconds=60).is_leader
        store.resign("a")
        assert beat(store, "b", lease_seconds=60).is_leader
