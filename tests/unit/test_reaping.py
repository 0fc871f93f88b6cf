"""Who is taken off the list of workers: those that are known to be gone, and nobody else."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from quiesce.gate import this_machine
from quiesce.gate.reaping import Reaper
from quiesce.model import WorkerInfo
from quiesce.stores.memory import MemoryStore
from quiesce.testing import FakeClock
from quiesce.testing.clock import NOON

GONE_AFTER = 300.0


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def reaper(store: MemoryStore, clock: FakeClock) -> Reaper:
    return Reaper(store, clock=clock, gone_after=GONE_AFTER)


def elsewhere(worker_id: str = "far") -> WorkerInfo:
    return WorkerInfo(worker_id, "other-host", 1, "another machine", 1, "flask", NOON)


def a_dead_neighbour() -> WorkerInfo:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return replace(elsewhere("near"), machine=this_machine(), pid=process.pid)


def listed(store: MemoryStore) -> list[str]:
    return [report.worker.id for report in store.workers()]


def test_a_dead_process_of_this_machine_goes_at_once(store: MemoryStore, reaper: Reaper) -> None:
    """The operator should not wait for what the kernel knows already."""
    dead = a_dead_neighbour()
    store.register(dead)

    reaper.reap([(dead, 2.1)])

    assert listed(store) == []


def test_a_silent_process_of_another_machine_stays_until_it_is_given_up(
    store: MemoryStore, reaper: Reaper, clock: FakeClock
) -> None:
    """It may be cut off and still write; unconfirmed is never quiet."""
    store.register(elsewhere())

    for silence in (2.1, 200, GONE_AFTER - 1):
        reaper.reap([(elsewhere(), silence)])
        clock.advance(60)
    assert listed(store) == ["far"]
    for second in range(6):
        reaper.reap([(elsewhere(), GONE_AFTER + second)])
        clock.advance(1)

    assert listed(store) == []


def test_a_step_of_the_stores_clock_makes_nobody_gone(store: MemoryStore, reaper: Reaper, clock: FakeClock) -> None:
    """For one second every live worker looks as if it had been silent for an hour."""
    store.register(elsewhere())
    store.register(elsewhere("far too"))

    reaper.reap([(elsewhere(), 3600), (elsewhere("far too"), 3600)])
    clock.advance(3)
    reaper.reap([(elsewhere("far too"), 3603)])
    clock.advance(3)
    reaper.reap([(elsewhere(), 3600)])  # the second step finds it silent anew, not still

    assert listed(store) == ["far", "far too"]


def test_a_live_neighbour_is_left_alone(store: MemoryStore, reaper: Reaper, clock: FakeClock) -> None:
    """A stopped process writes again when it is continued."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        alive = replace(elsewhere("near"), machine=this_machine(), pid=process.pid, process_started=0)
        store.register(alive)

        for silence in (2.1, 100):
            reaper.reap([(alive, silence)])
            clock.advance(10)

        assert listed(store) == ["near"]
        process.communicate(b"\n")
