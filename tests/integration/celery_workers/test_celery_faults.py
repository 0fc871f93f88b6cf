"""Celery workers that stop, die, lack the plugin, or lose their broker: what nobody knows is never shown as none."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
import redis

import quiesce_celery
from quiesce import EnhancedMaintenanceModeService, JobFate
from quiesce.testing import eventually

pytestmark = pytest.mark.slow


def test_stopped_worker_makes_the_counts_unknown_and_is_named(fleet: Any, operator: Any) -> None:
    """The trap: whoever asks the workers hears the other one, and takes its answer for all."""
    stopped = fleet.start("stopped")
    fleet.start("answers")
    operator.hold()
    eventually(lambda: operator.counts() == (0, 0, 0), within=20)

    os.kill(stopped.pid, signal.SIGSTOP)

    eventually(lambda: operator.counts() == (None, None, 0), within=20)
    assert "workers that fell silent: stopped@test" in operator.detail()
    os.kill(stopped.pid, signal.SIGCONT)
    eventually(lambda: operator.counts() == (0, 0, 0), within=20)


def test_worker_without_the_plugin_makes_the_counts_unknown_and_is_named(fleet: Any, operator: Any) -> None:
    """It takes tasks whatever we say; stopped, it does not even answer."""
    plain = fleet.start("plain", QUIESCE_TEST_PLAIN="1")
    fleet.start("ours")
    operator.hold()

    assert operator.counts()[:2] == (None, None)
    assert "plain@test" in operator.detail()
    os.kill(plain.pid, signal.SIGSTOP)
    assert operator.counts()[:2] == (None, None)

    fleet.kill("plain")
    eventually(lambda: operator.counts() == (0, 0, 0), within=20)


def test_tasks_of_a_worker_that_was_killed_are_lost(fleet: Any, operator: Any) -> None:
    """Whether it died before the hold or under it, with or without another worker that clears up after it."""
    victim = fleet.start("victim")
    fleet.start_task("run", "first", 600)
    fleet.start_task("run_late", "second", 600)
    operator.hold()
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    eventually(lambda: operator.counts()[:2] == (0, 0), within=20)

    alone = operator.stop(window_id="alone")
    fleet.start("witness")
    eventually(lambda: fleet.connection.hlen("quiesce:celery:running") == 0, within=20)
    with_witness = operator.stop(window_id="with-witness")

    expected = {("first", JobFate.LOST, False), ("second", JobFate.LOST, False)}
    assert {(each.id, each.fate, each.is_restorable) for each in alone} == expected
    assert {(each.id, each.fate, each.is_restorable) for each in with_witness} == expected


def test_broker_that_lost_everything_is_not_taken_for_an_idle_one(fleet: Any, operator: Any) -> None:
    """What the processes had written down is gone; what the pools are at is not."""
    fleet.start("alone")
    fleet.start_task("run", "long", 600)
    operator.hold()

    fleet.connection.flushall()

    eventually(lambda: operator.counts()[0] == 1, within=20)
    operator.hold()
    eventually(lambda: operator.counts() == (1, 0, 0), within=20)
    fleet.finish()
    eventually(lambda: operator.counts() == (0, 0, 0), within=20)


def test_broker_out_of_reach_is_an_error_and_not_zero(
    fleet: Any, redis_server: Any, service: EnhancedMaintenanceModeService
) -> None:
    """Nobody answered: that is not nothing."""
    assert [answer.problem for answer in service.jobs.queues()] == [""]

    redis_server.kill()

    with pytest.raises(redis.ConnectionError):
        quiesce_celery.job_counts()
    (answer,) = service.jobs.queues()
    assert (answer.plugin, answer.counts) == ("celery", ())
    assert "ConnectionError" in answer.problem


def test_broker_that_hangs_is_unknown_within_two_seconds(fleet: Any, redis_server: Any, operator: Any) -> None:
    """A question without an answer must not hold up whoever asks."""
    assert operator.counts() == (0, None, 0)
    redis_server.pause()

    with pytest.raises(redis.TimeoutError):
        quiesce_celery.job_counts()

    redis_server.resume()
    assert operator.counts() == (0, None, 0)
