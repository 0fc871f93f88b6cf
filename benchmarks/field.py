"""A field of contenders around one bare application, measured in three situations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from .harness import Effort, Run, Spread, added, take_turns
from .report import Row


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent, without any credential."""

    method: str
    path: str


READ = Request("GET", "/catalogue")
"""What every contender lets pass in maintenance: Quiesce because it reads, the others because it is exempt."""
WRITE = Request("POST", "/orders")


class Situation(Enum):
    """What is going on while it is measured."""

    NOTHING_OPEN = "nothing open"
    ALLOWED = "window open, allowed"
    REFUSED = "window open, refused"

    @property
    def request(self) -> Request:
        """What is sent in it."""
        return WRITE if self is Situation.REFUSED else READ


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Contenders that serve the same application in the same way.

    Attributes:
        title: what they serve.
        apps: the applications by their contenders' names; the first is the bare one.
        drive: makes a run of an application and a request.
        status: sends one request, returns the status of the answer.
        open_window: begins maintenance for every contender.
        budgets: microseconds that Quiesce may add (that a refusal may take in all).
    """

    title: str
    apps: Mapping[str, Any]
    drive: Callable[[Any, Request], Run]
    status: Callable[[Any, Request], int]
    open_window: Callable[[], None]
    budgets: Mapping[Situation, float]

    def measure(self, situation: Situation, *, effort: Effort) -> tuple[list[Row], dict[str, list[float]]]:
        """Return the rows of this situation, and the nanoseconds per request that they were made of."""
        request = situation.request
        bare = next(iter(self.apps))
        for name, app in self.apps.items():
            expected = 503 if situation is Situation.REFUSED and name != bare else 200
            found = self.status(app, request)
            if found != expected:
                raise SystemExit(f"{self.title}, {name}, {situation.value}: answered {found}, expected {expected}")
        samples = take_turns({name: self.drive(app, request) for name, app in self.apps.items()}, effort=effort)
        bare_median = Spread.of(samples[bare]).median
        rows = [
            Row(
                what=f"{self.title}: {situation.value}",
                contender="bare, in all" if name == bare else name,
                unit="us",
                spread=self._figure(samples, name, bare, situation).scaled(1e-3),
                ratio=None if name == bare else Spread.of(samples[name]).median / bare_median,
                budget=self.budgets.get(situation) if name.startswith("Quiesce") else None,
                note="in all" if situation is Situation.REFUSED and name != bare else "",
            )
            for name in self.apps
        ]
        return rows, {f"{self.title}: {situation.value}: {name}": each for name, each in samples.items()}

    @staticmethod
    def _figure(samples: Mapping[str, list[float]], name: str, bare: str, situation: Situation) -> Spread:
        if name == bare or situation is Situation.REFUSED:
            return Spread.of(samples[name])
        return Spread.of(added(samples, name, over=bare))
