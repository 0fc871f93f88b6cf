"""Who carries out the steps of an emergency: one process in the cluster, each step on a thread of its own.

Notes in the store say how far each is and who is at it. A leader that dies leaves them to the next: what it had begun
is begun again. A step that fails is tried again, later and later, as long as the emergency is open.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from ..logs import log_step
from ..model import (
    EmergencyProgress,
    EmergencyStep,
    MaintenanceState,
    MaintenanceWindow,
    Mode,
    QuiesceError,
    StepStatus,
    effective,
)
from .emergency_acts import STEPS, Attempt, Outcome, StepKind
from .emergency_notes import note_progress

if TYPE_CHECKING:
    from .runtime import Runtime

MOST_AT_ONCE = 4
"""So many emergencies are attended to at once, the oldest first; the others' steps wait."""

_FIRST_PAUSE_SECONDS = 2.0
_AWAY_SECONDS = 3.0
"""Who did not lead for so long does not know what another leader did meanwhile."""
_STOP_SECONDS = 2.0

logger = logging.getLogger("quiesce")


class EmergencySteps:
    """Starts what is due on threads of its own, so that neither heartbeat nor block ever waits for a step.

    Args:
        runtime: of this process.
        kinds: the steps.
    """

    def __init__(self, runtime: Runtime, *, kinds: Sequence[StepKind] = STEPS) -> None:
        self._runtime = runtime
        self._kinds = kinds
        self._runs: dict[str, _Run] = {}
        self._is_stopping = False
        self._led_as = ""
        self._led_at = float("-inf")

    def step(self, state: MaintenanceState, *, actor: str) -> None:
        """Start what is due under this state, unless it is being done already; returns at once."""
        if self._is_stopping or not self._runtime.settings.enabled:
            return
        now, me = self._runtime.clock.monotonic(), f"{os.getpid()} {actor}"
        if self._led_as != me or now - self._led_at > _AWAY_SECONDS:
            self._leave_all()
        self._led_as, self._led_at = me, now
        windows = effective(state, self._runtime.clock.now()).windows
        open_ = {window.id: window for window in windows if window.mode is Mode.EMERGENCY}
        for window_id in self._runs.keys() - open_.keys():
            self._runs.pop(window_id).leave(is_ended=True)
        for window in list(open_.values())[:MOST_AT_ONCE]:
            run = self._runs.get(window.id)
            if run is None:
                run = self._runs[window.id] = _Run(self._runtime, window, kinds=self._kinds, runner=actor)
            run.look()

    def stop(self) -> None:
        """Start nothing more, and leave what runs to whoever leads next; a plugin that is called is not waited for."""
        self._is_stopping = True
        runs = list(self._runs.values())
        self._leave_all()
        for run in runs:
            run.join(_STOP_SECONDS / len(runs))

    def _leave_all(self) -> None:
        while self._runs:
            self._runs.popitem()[1].leave(is_ended=False)


@dataclass(slots=True)
class _Turn:
    """Where one step is, in this process."""

    is_settled: bool = False
    retry_at: float = float("-inf")
    thread: threading.Thread | None = None


class _Run:
    """The steps of one emergency, as this process carries them out."""

    def __init__(self, runtime: Runtime, window: MaintenanceWindow, *, kinds: Sequence[StepKind], runner: str) -> None:
        self._runtime = runtime
        self._window = window
        self._kinds = kinds
        self._runner = runner
        self._turns = {kind.name: _Turn() for kind in kinds}
        self._starter: threading.Thread | None = None
        self._look_at = float("-inf")
        self._over = threading.Event()
        self._is_ended = False

    def look(self) -> None:
        """Start what is due; returns at once."""
        now = self._runtime.clock.monotonic()
        if now >= self._look_at and not _is_alive(self._starter) and any(map(self._is_due, self._turns.values())):
            self._look_at = now + _FIRST_PAUSE_SECONDS  # unless all goes well
            self._starter = self._start(self._begin)

    def leave(self, *, is_ended: bool) -> None:
        """Let what runs come to an end: the emergency has, or somebody else is to go on with it."""
        self._is_ended = is_ended
        self._over.set()

    def join(self, seconds: float) -> None:
        """Wait for what ends by itself once the emergency is over."""
        for thread in (self._starter, *(turn.thread for turn in self._turns.values())):
            if thread is not None:
                thread.join(seconds / (len(self._turns) + 1))

    def _is_due(self, turn: _Turn) -> bool:
        return not (turn.is_settled or _is_alive(turn.thread)) and self._runtime.clock.monotonic() >= turn.retry_at

    def _begin(self) -> None:
        progress = note_progress(
            self._runtime.store.items,
            self._window.id,
            lambda known: taken_over(known, runner=self._runner, names=tuple(self._turns)),
        )
        steps = {step.name: step for step in progress.steps}
        for kind in self._kinds:
            turn = self._turns[kind.name]
            if steps[kind.name].is_settled:
                turn.is_settled = True
            elif self._is_due(turn) and not self._over.is_set():
                turn.thread = self._start(self._carry_out, kind, turn, name=f"-{kind.name}")
        self._look_at = float("-inf")

    def _carry_out(self, kind: StepKind, turn: _Turn) -> None:
        turn.retry_at = self._runtime.clock.monotonic() + _FIRST_PAUSE_SECONDS  # unless all goes well
        begun = self._note(kind.name, lambda step: begin(step, now=self._runtime.clock.now()))
        if begun is None:
            return
        attempt = Attempt(runtime=self._runtime, window=self._window, step=begun, runner=self._runner, over=self._over)
        try:
            outcome = kind.act(attempt)
        except QuiesceError as exc:
            outcome = Outcome(problems=(str(exc),))
        except Exception as exc:  # noqa: BLE001 - a plugin, or its store, may raise anything; no step stops another
            outcome = Outcome(problems=(f"{exc!r:.300}",))
        pause = min(_FIRST_PAUSE_SECONDS * 2 ** min(begun.attempts - 1, 16), kind.longest_pause_seconds)
        turn.retry_at = self._runtime.clock.monotonic() + pause
        if self._over.is_set() and outcome.problems:
            if not self._is_ended:
                return  # whoever leads next begins it again
            outcome = replace(outcome, problems=(*outcome.problems, "the emergency was over before this was done"))
        ended = self._note(kind.name, lambda step: end(step, outcome, now=self._runtime.clock.now()))
        if ended is not None:
            turn.is_settled = ended.is_settled
            log_step(ended, window_id=self._window.id)

    def _note(self, name: str, change: Callable[[EmergencyStep], EmergencyStep]) -> EmergencyStep | None:
        """Note what became of a step; ``None``: somebody else has taken the emergency over, and their notes count."""

        def changed(progress: EmergencyProgress) -> EmergencyProgress:
            if progress.runner != self._runner:
                return progress
            return replace(
                progress, steps=tuple(change(step) if step.name == name else step for step in progress.steps)
            )

        progress = note_progress(self._runtime.store.items, self._window.id, changed)
        if progress.runner != self._runner:
            return None
        return next((step for step in progress.steps if step.name == name), None)

    def _start(self, act: Callable[..., None], *arguments: object, name: str = "") -> threading.Thread:
        def run() -> None:
            try:
                act(*arguments)
            except Exception as exc:  # noqa: BLE001 - a plugin's store may raise anything; what is due is tried again
                if not self._over.is_set():
                    logger.error("steps of emergency %s will be tried again: %s", self._window.id, exc)

        thread = threading.Thread(target=run, name=f"quiesce-emergency-{self._window.id}{name}", daemon=True)
        thread.start()
        return thread


def taken_over(progress: EmergencyProgress, *, runner: str, names: Sequence[str]) -> EmergencyProgress:
    """Return the progress as this runner takes it: with every step, and what another was at to be begun again."""
    steps = {name: EmergencyStep(name=name) for name in names} | {step.name: step for step in progress.steps}
    if progress.runner != runner:
        for name, step in steps.items():
            if step.status is StepStatus.RUNNING:
                steps[name] = replace(step, status=StepStatus.WAITING)
    return replace(progress, runner=runner, steps=tuple(steps.values()))


def begin(step: EmergencyStep, *, now: datetime) -> EmergencyStep:
    """Return the step as it is when an attempt begins; what the last one found stays until this one has ended."""
    return replace(
        step, status=StepStatus.RUNNING, attempts=step.attempts + 1, started_at=step.started_at or now, ended_at=None
    )


def end(step: EmergencyStep, outcome: Outcome, *, now: datetime) -> EmergencyStep:
    """Return the step as it is after an attempt."""
    return replace(
        step,
        status=outcome.status,
        count=outcome.count,
        detail=outcome.detail,
        problems=outcome.problems,
        ended_at=None if outcome.problems else now,
    )


def _is_alive(thread: threading.Thread | None) -> bool:
    return thread is not None and thread.is_alive()
