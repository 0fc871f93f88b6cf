"""The store's contract: waiting, forking, ageing, closing."""
# ruff: noqa: S101 - a contract is made of assertions

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Callable

from ..model import MaintenanceState, StoreError
from ..stores.base import Store
from .store_samples import ACKNOWLEDGEMENT, Reopen, a_worker, commit, expects
from .waiting import eventually

_CHILD_SECONDS = 20
"""After this a child is taken to be stuck, and ended."""


class ProcessContract:
    """A store lives with the processes that use it."""

    is_shared: bool
    hears_commits: bool

    def test_the_address_is_fit_for_logs(self, store: Store) -> None:
        """It is printed in status and errors."""
        assert "://" in store.url
        assert store.url.isprintable()

    def test_only_a_shared_store_has_a_board(self, store: Store, reopen: Reopen) -> None:
        """All processes of a machine must look at the same file, and a store of one process needs none."""
        with contextlib.closing(reopen()) as other:
            assert (store.board_path is not None) == self.is_shared
            assert store.board_path == other.board_path

    def test_its_age_grows(self, store: Store, reopen: Reopen) -> None:
        """By its age an operator tells a store that has just lost its workers."""
        first = store.age()
        assert 0 <= first < 60

        with contextlib.closing(reopen()) as other:
            eventually(lambda: other.age() > first + 0.05)

    def test_waiting_ends_with_the_timeout(self, store: Store) -> None:
        """The agent has a heartbeat to send."""
        began = time.monotonic()

        for _ in range(3):
            store.wait_for_change(timeout_seconds=0.1)

        assert time.monotonic() - began < 5

    def test_waking_ends_the_wait(self, store: Store) -> None:
        """A process that stops does not want to wait for its agent."""
        ended = _waits(store, seconds=60)

        store.wake()

        ended()

    def test_a_wake_before_the_wait_is_not_lost(self, store: Store) -> None:
        """Between two waits the agent works, and that is when it is woken."""
        _settle(store)
        store.wake()
        began = time.monotonic()

        store.wait_for_change(timeout_seconds=30)

        assert time.monotonic() - began < 10

    def test_a_descriptor_beside_it_ends_the_wait(self, store: Store) -> None:
        """An agent listens to its machine as well as to the store, and must not sleep through what the one tells."""
        _settle(store)
        theirs, ours = os.pipe()
        try:
            began = time.monotonic()
            assert store.wait_for_change(timeout_seconds=0.05, beside=theirs) is None
            os.close(ours)

            store.wait_for_change(timeout_seconds=30, beside=theirs)

            assert time.monotonic() - began < 10
        finally:
            os.close(theirs)

    def test_a_wait_without_news_says_so(self, store: Store) -> None:
        """Otherwise every turn of the agent would ask the store."""
        _settle(store)

        assert store.wait_for_change(timeout_seconds=0.05) is None

    def test_a_commit_ends_the_wait_of_others(self, store: Store, reopen: Reopen) -> None:
        """This is what makes a change visible on another machine in milliseconds."""
        if not self.hears_commits:
            return
        with contextlib.closing(reopen()) as other:
            _settle(other)
            commit(store, 1)
            began = time.monotonic()

            change = other.wait_for_change(timeout_seconds=30)

            assert change is not None
            assert change.state in {None, MaintenanceState(1)}

            assert time.monotonic() - began < 10

    def test_a_child_can_use_the_store_of_its_parent(self, store: Store) -> None:
        """Servers load the application once and fork their workers; neither may spoil the store for the other."""
        commit(store, 1)

        if self.is_shared:
            assert _in_child(lambda: _use(store))
            assert len(store.workers()) == 2
            assert store.revision() == 3
        else:
            assert _in_child(lambda: _is_refused(store))
            assert store.revision() == 1
        commit(store, store.revision() + 1)

    def test_a_fork_amid_the_work_of_other_threads_hurts_neither_side(self, store: Store) -> None:
        """The lock or the connection of a vanished thread must not stay behind in the child."""
        if not self.is_shared:
            return
        store.register(a_worker("parent"))
        is_over = threading.Event()
        faults: list[BaseException] = []

        def work() -> None:
            batch = 0
            while not is_over.is_set():
                batch += 1
                try:
                    store.report("parent", ACKNOWLEDGEMENT, counts={}, batch=batch)
                except StoreError as exc:
                    faults.append(exc)

        threads = [threading.Thread(target=work) for _ in range(3)]
        waiter = threading.Thread(target=lambda: store.wait_for_change(timeout_seconds=60))
        for thread in (*threads, waiter):
            thread.start()
        try:
            outcomes = [_in_child(lambda: _use(store)) for _ in range(8)]
        finally:
            is_over.set()
            for thread in threads:
                thread.join()
            store.wake()
            waiter.join()

        assert outcomes == [True] * 8
        assert faults == []
        assert store.revision() == 16

    def test_a_closed_store_says_that_it_is_closed(self, store: Store) -> None:
        """Whoever goes on using it should learn why it fails; closing twice is no fault."""
        commit(store, 1)

        store.close()
        store.close()

        for use in (store.load, store.revision, store.workers, store.counts, store.audit, store.age):
            with expects(StoreError):
                use()
        store.wake()

    def test_closing_ends_a_wait(self, store: Store) -> None:
        """A process ends without waiting for its agent's timeout."""
        ended = _waits(store, seconds=60)

        store.close()

        ended()


def _use(store: Store) -> None:
    """Use the store in this thread and in another one, which would wait for ever for an inherited lock."""
    faults: list[BaseException] = []

    def use() -> None:
        try:
            _use_here(store)
        except BaseException as exc:  # noqa: BLE001 - carried over to the thread that judges
            faults.append(exc)

    use()
    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    if faults:
        raise faults[0]


def _use_here(store: Store) -> None:
    worker_id = f"child-{os.getpid()}-{threading.get_ident()}"
    store.wait_for_change(timeout_seconds=0.01)
    store.register(a_worker(worker_id))
    store.report(worker_id, ACKNOWLEDGEMENT, counts={}, batch=1)
    commit(store, store.revision() + 1)


def _is_refused(store: Store) -> None:
    with expects(StoreError):
        store.load()


def _settle(store: Store) -> None:
    """Let the store subscribe to what it listens to."""
    eventually(lambda: not store.wait_for_change(timeout_seconds=0.02))


def _waits(store: Store, *, seconds: float) -> Callable[[], None]:
    """Wait in a thread; return what checks that the wait has ended early."""
    _settle(store)
    thread = threading.Thread(target=lambda: store.wait_for_change(timeout_seconds=seconds), daemon=True)
    thread.start()

    def ended() -> None:
        thread.join(seconds / 3)
        assert not thread.is_alive()

    return ended


def _in_child(action: Callable[[], object]) -> bool:
    """Run ``action`` in a forked child: whether it raised nothing."""
    with warnings.catch_warnings():
        # Python 3.12 warns of threads; that stores bear them is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        status = 1
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(_CHILD_SECONDS)
        try:
            action()
            status = 0
        except BaseException:  # noqa: BLE001 - a child that went on would run the rest of the tests
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
