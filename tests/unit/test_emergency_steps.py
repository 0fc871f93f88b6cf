"""Who carries out the steps of an emergency: each by itself, once, again when it failed, and by the next leader."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from quiesce import EnhancedMaintenanceModeService
from quiesce.control.emergency_acts import Attempt, Outcome, StepKind, grace_left
from quiesce.control.emergency_notes import note_progress, note_step, read_progress
from quiesce.control.emergency_steps import EmergencySteps, begin, end, taken_over
from quiesce.model import EmergencyProgress, EmergencyStep, MaintenanceWindow, StepStatus, StoreUnreachableError
from quiesce.testing import FakeClock, eventually
from quiesce.testing.clock import NOON


class Act:
    """A step that does what the test says, and counts how often it was begun."""

    def __init__(self, *answers: Outcome | BaseException) -> None:
        self.answers = list(answers)
        self.begun: list[Attempt] = []
        self.hangs = False
        self.release = threading.Event()

    def __call__(self, attempt: Attempt) -> Outcome:
        self.begun.append(attempt)
        if self.hangs:
            self.release.wait(30)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer


DONE = Outcome(count=3, detail="done so")
FAILED = Outcome(problems=("no luck",))


@pytest.fixture
def acts() -> Iterator[Callable[..., Act]]:
    """Make acts; those that hang are let go with the test."""
    made: list[Act] = []

    def make(*answers: Outcome | BaseException, hangs: bool = False) -> Act:
        act = Act(*answers)
        act.hangs = hangs
        made.append(act)
        return act

    yield make
    for act in made:
        act.release.set()


@pytest.fixture
def leader(service: EnhancedMaintenanceModeService) -> Iterator[Callable[..., EmergencySteps]]:
    """Make the part of a worker that leads, with these steps."""
    with ExitStack() as stack:

        def make(**kinds: Act) -> EmergencySteps:
            steps = EmergencySteps(
                service._runtime, kinds=[StepKind(name, act, longest_pause_seconds=60) for name, act in kinds.items()]
            )
            stack.callback(steps.stop)
            return steps

        yield make


@pytest.fixture
def window(service: EnhancedMaintenanceModeService) -> MaintenanceWindow:
    return service.enable(reason="breach", mode="emergency", actor="a")


def beat(steps: EmergencySteps, service: EnhancedMaintenanceModeService, *, actor: str = "worker:one") -> None:
    steps.step(service.store.load(), actor=actor)


def noted(service: EnhancedMaintenanceModeService, window: MaintenanceWindow) -> dict[str, EmergencyStep]:
    progress = read_progress(service.store.items, window.id)
    return {} if progress is None else {step.name: step for step in progress.steps}


def has(service: Any, window: MaintenanceWindow, name: str, status: StepStatus) -> Callable[[], bool]:
    return lambda: name in (found := noted(service, window)) and found[name].status is status


def test_steps_are_carried_out_side_by_side_and_noted(service: Any, window: Any, leader: Any, acts: Any) -> None:
    """One that raises and one that hangs hold up neither the others nor the heartbeat that started them."""
    raising, hanging, fine = acts(RuntimeError("boom\n[MAINTENANCE]")), acts(DONE, hangs=True), acts(DONE)
    steps = leader(raising=raising, hanging=hanging, fine=fine)

    beat(steps, service)

    eventually(has(service, window, "fine", StepStatus.DONE))
    eventually(has(service, window, "raising", StepStatus.FAILED))
    found = noted(service, window)
    assert found["hanging"].status is StepStatus.RUNNING
    assert (found["fine"].count, found["fine"].detail, found["fine"].ended_at) == (3, "done so", NOON)
    assert found["raising"].problems == ("RuntimeError('boom\\n[MAINTENANCE]')",)
    progress = read_progress(service.store.items, window.id)
    assert progress is not None
    assert (progress.runner, progress.is_settled) == ("worker:one", False)


def test_what_is_done_is_done_once(service: Any, window: Any, leader: Any, acts: Any) -> None:
    """A heartbeat comes every second, as long as the emergency lasts; and the next leader does not begin anew."""
    act = acts(DONE)
    steps = leader(act=act)
    beat(steps, service)
    eventually(has(service, window, "act", StepStatus.DONE))

    for _ in range(5):
        beat(steps, service)
    successor = leader(act=act)
    beat(successor, service, actor="worker:two")

    eventually(lambda: (p := read_progress(service.store.items, window.id)) is not None and p.runner == "worker:two")
    assert len(act.begun) == 1


def test_a_step_that_fails_is_tried_again_later_and_later(
    service: Any, window: Any, leader: Any, acts: Any, clock: FakeClock
) -> None:
    """As long as the emergency lasts, and without hammering a broker that is down."""
    act = acts(FAILED, FAILED, StoreUnreachableError("gone"), DONE)
    steps = leader(act=act)
    seconds = 0
    tries: list[int] = []
    while not tries or not has(service, window, "act", StepStatus.DONE)():
        known = len(act.begun)
        beat(steps, service)
        eventually(lambda: not any(t.name.startswith("quiesce-emergency") for t in threading.enumerate()))
        if len(act.begun) > known:
            tries.append(seconds)
        clock.advance(1)
        seconds += 1
        assert seconds < 100

    assert tries == [0, 2, 6, 14]
    step = noted(service, window)["act"]
    assert (step.attempts, step.problems, step.started_at) == (4, (), NOON)


def test_what_a_dead_leader_was_at_is_begun_again_by_the_next(
    service: Any, window: Any, leader: Any, acts: Any
) -> None:
    """Killed in mid-step it says nothing more; its mark must not stand for somebody who is at it."""
    note_progress(service.store.items, window.id, lambda p: replace(p, runner="worker:dead"))
    note_step(service.store.items, window.id, "half", lambda step: begin(step, now=NOON))
    note_step(service.store.items, window.id, "whole", lambda step: end(begin(step, now=NOON), DONE, now=NOON))
    half, whole = acts(DONE), acts(DONE)

    beat(leader(half=half, whole=whole), service, actor="worker:next")

    eventually(has(service, window, "half", StepStatus.DONE))
    assert (len(half.begun), len(whole.begun)) == (1, 0)
    assert noted(service, window)["half"].attempts == 2


def test_a_leader_that_was_replaced_notes_nothing_more(service: Any, window: Any, leader: Any, acts: Any) -> None:
    """Woken after a long sleep it would say failed of what its successor has done."""
    late, act = acts(FAILED, hangs=True), acts(DONE)
    beat(leader(act=late), service, actor="worker:sleeping")
    eventually(lambda: bool(late.begun))

    beat(leader(act=act), service, actor="worker:next")
    eventually(has(service, window, "act", StepStatus.DONE))
    late.release.set()
    eventually(lambda: not any(t.name.startswith("quiesce-emergency") for t in threading.enumerate()))

    assert noted(service, window)["act"].status is StepStatus.DONE


def test_the_end_of_the_emergency_cuts_its_steps_short(service: Any, window: Any, leader: Any, acts: Any) -> None:
    """What was not done is said, and not done afterwards: nobody wants jobs ended when all is over."""
    failing = acts(FAILED, hangs=True)
    steps = leader(failing=failing)
    beat(steps, service)
    eventually(lambda: bool(failing.begun))

    service.disable(actor="a")
    beat(steps, service)
    assert failing.begun[0].over.is_set()
    failing.release.set()

    eventually(has(service, window, "failing", StepStatus.FAILED))
    assert noted(service, window)["failing"].problems[-1] == "the emergency was over before this was done"
    beat(steps, service)
    assert len(failing.begun) == 1


def test_a_worker_that_ends_leaves_its_steps_to_the_next(service: Any, window: Any, leader: Any, acts: Any) -> None:
    """A deployment in mid-emergency; an unfinished step must not be noted as failed, and is begun again at once."""
    cut, act = acts(FAILED, hangs=True), acts(DONE)
    steps = leader(act=cut)
    beat(steps, service)
    eventually(lambda: bool(cut.begun))
    cut.hangs = False
    stopping = threading.Thread(target=steps.stop)
    stopping.start()
    eventually(cut.begun[0].over.is_set)
    cut.release.set()
    stopping.join(20)

    assert noted(service, window)["act"].status is StepStatus.RUNNING
    beat(steps, service)
    beat(leader(act=act), service, actor="worker:next")
    eventually(has(service, window, "act", StepStatus.DONE))
    assert len(cut.begun) == 1


def test_a_leader_that_was_away_looks_anew(service: Any, window: Any, leader: Any, acts: Any, clock: FakeClock) -> None:
    """It leads again after another did: what that one had begun and not done is not taken for one's own."""
    act = acts(DONE)
    steps = leader(act=act)
    beat(steps, service)
    eventually(has(service, window, "act", StepStatus.DONE))
    note_progress(
        service.store.items,
        window.id,
        lambda p: replace(p, runner="worker:other", steps=tuple(begin(step, now=NOON) for step in p.steps)),
    )

    clock.advance(10)
    beat(steps, service)

    eventually(has(service, window, "act", StepStatus.DONE))
    assert len(act.begun) == 2


@pytest.mark.parametrize("mode", ["normal", "test"])
def test_other_windows_have_no_steps(service: Any, leader: Any, acts: Any, mode: str) -> None:
    """Planned work ends nobody's jobs by itself."""
    act = acts(DONE)
    window = service.enable(reason="upgrade", mode=mode, actor="a")

    beat(leader(act=act), service)

    assert noted(service, window) == {}
    assert not act.begun


def test_a_planned_emergency_has_its_steps_when_it_begins(
    service: Any, leader: Any, acts: Any, clock: FakeClock
) -> None:
    """Whoever opens it, and however: the promise is one about emergencies."""
    act = acts(DONE)
    window = service.schedule.add(
        reason="drill", mode="emergency", start=clock.now() + timedelta(hours=1), timeout=3600, actor="a"
    )
    steps = leader(act=act)
    beat(steps, service)
    assert noted(service, window) == {}

    clock.advance(3601)
    beat(steps, service)

    eventually(has(service, window, "act", StepStatus.DONE))


def test_nothing_is_done_where_nothing_is_enforced(make_service: Any, acts: Any) -> None:
    """``MAINTENANCE_MODE_ENABLED=false`` refuses nothing, so it ends nothing either."""
    service = make_service(enabled=False)
    act = acts(DONE)
    window = service.enable(reason="breach", mode="emergency", actor="a")

    steps = EmergencySteps(service._runtime, kinds=[StepKind("act", act, 60)])
    beat(steps, service)

    assert noted(service, window) == {}
    assert not act.begun


def test_notes_that_cannot_be_read_are_complained_of_now_and_then(
    service: Any, window: Any, leader: Any, acts: Any, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A line each second would bury what else the log says of an emergency; and the agent's thread lives on."""
    service.store.items.put("emergencies", {window.id: b"{"})
    act = acts(DONE)
    steps = leader(act=act)
    for _ in range(10):
        beat(steps, service)
        eventually(lambda: not any(t.name.startswith("quiesce-emergency") for t in threading.enumerate()))
        clock.advance(1)

    assert len([record for record in caplog.records if "will be tried again" in record.getMessage()]) == 5
    service.store.items.put("emergencies", {window.id: None})
    beat(steps, service)
    eventually(has(service, window, "act", StepStatus.DONE))


def test_taking_over_keeps_what_was_found() -> None:
    """Attempts, times and what an unknown newer version noted belong to the incident, not to the runner."""
    known = EmergencyProgress(
        window_id="w",
        runner="worker:dead",
        steps=(
            EmergencyStep(name="newer", status=StepStatus.DONE, attempts=1),
            EmergencyStep(name="jobs", status=StepStatus.RUNNING, attempts=2, started_at=NOON, problems=("p",)),
        ),
    )

    mine = taken_over(known, runner="worker:me", names=("block", "jobs"))

    assert [step.name for step in mine.steps] == ["block", "jobs", "newer"]
    assert mine.steps[1] == replace(known.steps[1], status=StepStatus.WAITING)
    assert taken_over(mine, runner="worker:me", names=("block", "jobs")) == mine


def test_jobs_have_their_grace_period_once() -> None:
    """A second attempt, or a second leader, must not give running jobs another half minute."""
    grace = timedelta(seconds=30)
    first = begin(EmergencyStep(name="jobs"), now=NOON)
    second = begin(first, now=NOON)

    assert grace_left(first, now=NOON + timedelta(seconds=9), grace=grace) == grace
    assert grace_left(second, now=NOON + timedelta(seconds=9), grace=grace) == timedelta(seconds=21)
    assert grace_left(second, now=NOON + timedelta(hours=9), grace=grace) == timedelta(0)
    assert grace_left(second, now=NOON - timedelta(hours=9), grace=grace) == grace
