"""An emergency as it is told: each step and what came of it, and how the end was checked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class StepStatus(StrEnum):
    """How far a step of an emergency is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    """It failed and is tried again as long as the emergency lasts."""
    SKIPPED = "skipped"
    """There is nothing to do, and the detail says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyStep:
    """One of the things that an emergency does besides refusing requests.

    Attributes:
        name: ``block``, ``sessions``, ``jobs``, ``websockets``, ``logging``, ``notifications``.
        status: how far it is.
        attempts: how often it was begun.
        count: what it is about: sessions ended, jobs ended, sockets closed; ``None``: not known.
        detail: what came of it, in words.
        problems: what failed, or is not known; each names whose it is.
        started_at: of the first attempt (UTC).
        ended_at: when it was done (UTC).
    """

    name: str
    status: StepStatus = StepStatus.WAITING
    attempts: int = 0
    count: int | None = None
    detail: str = ""
    problems: tuple[str, ...] = ()
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def is_settled(self) -> bool:
        """Whether nothing more is to be expected of it."""
        return self.status in {StepStatus.DONE, StepStatus.SKIPPED}


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyProgress:
    """How far the steps of one emergency are.

    Attributes:
        window_id: of the emergency's window.
        steps: in the order in which they are told.
        runner: who carries them out: ``worker:ID``, or the command itself when no worker lives; empty: nobody yet.
    """

    window_id: str
    steps: tuple[EmergencyStep, ...]
    runner: str = ""

    @property
    def is_settled(self) -> bool:
        """Whether every step is done, or has nothing to do."""
        return all(step.is_settled for step in self.steps)


class CheckKind(StrEnum):
    """What stands behind a line of the checklist."""

    CHECKED = "checked"
    """This program looked."""
    ACKNOWLEDGED = "acknowledged"
    """A person said so, and nobody looked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryCheck:
    """One line of the checklist at the end of an emergency.

    Attributes:
        name: ``threat_resolved``, ``store_healthy``, ``workers_confirmed``, ``ledger_reviewed``.
        kind: whether it was looked at, or a person's word.
        is_ok: whether it stands in the way no more.
        detail: what was seen, or said.
    """

    name: str
    kind: CheckKind
    is_ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyRecovery:
    """One try to end an emergency by its checklist.

    Attributes:
        window_id: of the emergency's window.
        at: when (UTC).
        actor: who asked.
        checks: every line.
        was_ended: whether the window was ended by it.
        was_forced: whether it was ended although a line was not ok.
    """

    window_id: str
    at: datetime
    actor: str
    checks: tuple[RecoveryCheck, ...]
    was_ended: bool
    was_forced: bool = False
