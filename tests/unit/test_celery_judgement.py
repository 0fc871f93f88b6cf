"""What is concluded from what Celery's workers wrote down; no broker, no worker."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from quiesce import JobFate
from quiesce_celery.counting import judge
from quiesce_celery.fates import fate_of, tag_of
from quiesce_celery.looking import Seen
from quiesce_celery.notes import Report, Run, restored_id

WORKER = Report(
    node="a@test", incarnation="i", machine="m", pid=1, began="1", pool="prefork", is_listening=True, held="h"
)
RUN = Run(
    key="k",
    id="id",
    name="task",
    queue="q",
    list="q",
    tag="t",
    node="a@test",
    incarnation="i",
    machine="m",
    pid=2,
    began="2",
    pool="prefork",
    is_late=False,
)
QUIET = Seen(
    hold="h",
    workers=(WORKER,),
    silent=(),
    strangers=0,
    listed=frozenset({"a@test"}),
    runs=(),
    lost=(),
    unacknowledged=0,
)


def numbers(seen: Seen, *, waiting: int = 0) -> tuple[int | None, int | None, int | None]:
    found = judge(seen, waiting=waiting)
    return found.running, found.reserved, found.queued


def test_workers_that_have_confirmed_the_hold_and_do_nothing_are_quiet() -> None:
    """The one way to be."""
    assert judge(QUIET, waiting=3).is_quiet
    assert numbers(QUIET, waiting=3) == (0, 0, 3)


@pytest.mark.parametrize(
    "seen",
    [
        replace(QUIET, workers=(), silent=(WORKER,)),
        replace(QUIET, silent=(replace(WORKER, incarnation="j"),)),
        replace(QUIET, strangers=1),
        replace(QUIET, workers=(replace(WORKER, pool="gevent"),)),
    ],
)
def test_what_nobody_can_say_is_not_known(seen: Seen) -> None:
    """A partial answer is not taken for all, and no answer is not none."""
    assert numbers(seen)[:2] == (None, None)


def test_stranger_is_named_by_what_celery_lists() -> None:
    """An operator must find out which worker to restart."""
    seen = replace(QUIET, strangers=1, listed=frozenset({"a@test", "plain@test"}))

    assert "plain@test" in judge(seen, waiting=0).detail
    assert "a@test" not in judge(seen, waiting=0).detail


def test_reservations_are_not_known_without_a_hold() -> None:
    """Workers take tasks at any moment then."""
    assert numbers(replace(QUIET, hold="")) == (0, None, 0)


@pytest.mark.parametrize("held", ["", "an older one"])
def test_worker_that_has_not_confirmed_this_hold_is_a_reservation(held: str) -> None:
    """What it confirmed of a hold before says nothing about this one."""
    assert numbers(replace(QUIET, workers=(replace(WORKER, held=held),))) == (0, 1, 0)


def test_more_of_what_the_processes_and_the_pools_say_counts() -> None:
    """The broker may have lost the one, and the other is a moment old."""
    busy = replace(WORKER, active=1)

    assert numbers(replace(QUIET, runs=(RUN,)))[0] == 1
    assert numbers(replace(QUIET, workers=(busy,)))[0] == 1
    assert numbers(replace(QUIET, workers=(busy,), runs=(RUN, replace(RUN, key="l"))))[0] == 2
    assert numbers(replace(QUIET, workers=(busy,), runs=(replace(RUN, incarnation="j"),)))[0] == 2


def test_unacknowledged_messages_that_nobody_works_on_wait() -> None:
    """A worker that was killed leaves them, and they come back."""
    late = replace(RUN, is_late=True)

    assert numbers(replace(QUIET, unacknowledged=3), waiting=1) == (0, 0, 4)
    assert numbers(replace(QUIET, unacknowledged=3, runs=(late,)), waiting=1) == (1, 0, 3)
    assert numbers(replace(QUIET, unacknowledged=3, workers=(replace(WORKER, reserved=2),)), waiting=1) == (0, 2, 2)


@pytest.mark.parametrize(
    ("outcome", "fate", "is_restorable"),
    [
        ("killed", JobFate.TERMINATED, True),
        ("stopped", JobFate.STOPPED, True),
        ("SUCCESS", JobFate.FINISHED, False),
        ("FAILURE", JobFate.FINISHED, False),
        ("RETRY", JobFate.STOPPED, False),
        ("gone", JobFate.LOST, False),
        ("", JobFate.LOST, False),
    ],
)
def test_task_that_has_ended_has_its_fate(outcome: str, fate: JobFate, *, is_restorable: bool) -> None:
    """Put back is what was ended by us; what Celery runs again, or nobody knows of, is not."""
    record = fate_of(RUN, outcome, is_running=False, is_silent=False)

    assert (record.fate, record.is_restorable) == (fate, is_restorable)


@pytest.mark.parametrize("outcome", ["", "killed"])
def test_task_that_runs_still_is_not_put_back(outcome: str) -> None:
    """Its worker may have died between the decision to kill it and the deed."""
    assert fate_of(RUN, outcome, is_running=True, is_silent=False).fate is JobFate.RUNNING
    assert fate_of(RUN, outcome, is_running=True, is_silent=True).fate is JobFate.LOST
    assert not fate_of(RUN, outcome, is_running=True, is_silent=False).is_restorable


def test_message_that_cannot_be_copied_is_not_promised_back() -> None:
    """Nobody knows which of several queues it came from."""
    assert not fate_of(replace(RUN, list=""), "killed", is_running=False, is_silent=False).is_restorable


def test_id_under_which_a_task_is_put_back_follows_from_its_record() -> None:
    """Or a second call, after a crash, would put it back under another."""
    record = fate_of(RUN, "killed", is_running=False, is_silent=False)

    assert tag_of(record) == RUN.tag
    assert restored_id(record.id, tag_of(record)) == restored_id(RUN.id, RUN.tag)
    assert restored_id("id", "t") != restored_id("id", "u")


def test_what_is_written_down_is_read_as_it_was() -> None:
    """Another process reads it, of another version perhaps."""
    newer = json.dumps({**json.loads(RUN.encode()), "something": "new"})

    assert Run.decode(RUN.encode()) == Run.decode(newer) == RUN
    assert Report.decode(WORKER.encode()) == WORKER
