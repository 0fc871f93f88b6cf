"""The bell that ends a wait within a process."""

from __future__ import annotations

import gc
import os
import threading
import time
import warnings
from pathlib import Path

from quiesce.stores.doorbell import Doorbell
from quiesce.testing import eventually


def test_a_ring_before_the_first_wait_is_heard_once() -> None:
    """Whoever rings does not know whether anybody listens yet."""
    bell = Doorbell()
    bell.ring()
    bell.ring(is_commit=True)
    began = time.monotonic()

    assert bell.wait(30)
    assert time.monotonic() - began < 10
    assert not bell.wait(0.01)


def test_rings_from_many_threads_never_stop_it() -> None:
    """A full pipe would block whoever rings, and that may be a request."""
    bell = Doorbell()
    bell.wait(0)

    def ring() -> None:
        for _ in range(2_000):
            bell.ring(is_commit=True)

    threads = [threading.Thread(target=ring) for _ in range(4)]
    heard = 0
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        heard += bell.wait(0.001)
    heard += bell.wait(0)

    assert heard
    bell.ring(is_commit=True)
    assert bell.wait(30)


def test_it_tells_which_descriptor_beside_it_has_something_to_tell() -> None:
    """A thread that waits for a server must hear its own process too, and the other way round."""
    bell = Doorbell()
    theirs, ours = os.pipe()
    quiet, silent = os.pipe()
    try:
        assert set(bell.listen(0, theirs, quiet)) == set()
        os.write(ours, b"x")
        assert set(bell.listen(30, theirs, quiet)) == {theirs}
        os.close(silent)
        assert set(bell.listen(30, theirs, quiet)) == {theirs, quiet}
        os.read(theirs, 1)
        os.close(quiet)
        bell.ring()
        assert set(bell.listen(30, theirs)) == set()
    finally:
        os.close(theirs)
        os.close(ours)


def test_a_child_and_its_parent_each_hear_their_own() -> None:
    """They share the pipe that the parent made; a ring in one must not be eaten by the other."""
    bell = Doorbell()
    bell.wait(0)
    bell.ring(is_commit=True)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of the threads of pytest-xdist
        pid = os.fork()
    if pid == 0:
        is_deaf = not bell.wait(0.1)
        bell.ring(is_commit=True)
        os._exit(0 if is_deaf and bell.wait(30) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

    assert bell.wait(30)


def test_its_descriptors_go_with_it() -> None:
    """A command-line tool or a test opens stores by the hundred."""

    def opened() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    def use() -> None:
        bell = Doorbell()
        bell.wait(0)

    use()
    gc.collect()
    before = opened()
    for _ in range(50):
        use()

    gc.collect()
    eventually(lambda: opened() <= before + 5)
