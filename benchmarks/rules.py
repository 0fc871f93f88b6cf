"""What a classification costs, with few and with many rules, remembered and new, honest and hostile."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from quiesce import MaintenanceOperationClassifier
from quiesce.model import Rule, RuleKind

from .harness import Effort, Run, Spread, take_turns
from .report import Row

_COUNTS = (10, 100, 1000)
_KINDS: tuple[RuleKind, ...] = ("prefix", "glob", "regex")
_PATHS = 20_000
"""More than any cache of the classifier holds."""
_HOSTILE_BUDGET_US = 1000.0
_HOSTILE = {
    "dots": "/a/..",
    "slashes": "//",
    "escapes": "/%252e%252e%2f",
    "no UTF-8": "/\udcff\x00",
}


def measure(*, effort: Effort) -> tuple[list[Row], dict[str, list[float]]]:
    """Return the rows, and the nanoseconds per classification."""
    rows: list[Row] = []
    raw: dict[str, list[float]] = {}
    for what, runs, budget in _tasks():
        samples = take_turns(runs, effort=effort)
        few = Spread.of(next(iter(samples.values()))).median
        for name, figures in samples.items():
            spread = Spread.of(figures)
            rows.append(
                Row(
                    what=what,
                    contender=f"Quiesce, {name}",
                    unit="us",
                    spread=spread.scaled(1e-3),
                    budget=budget,
                    note="" if budget is not None or spread.median == few else f"{spread.median / few:.1f} x 10 rules",
                )
            )
            raw[f"{what}: {name}"] = figures
    return rows, raw


def _tasks() -> Iterator[tuple[str, dict[str, Run], float | None]]:
    classifiers = {f"{count:,} rules": MaintenanceOperationClassifier(rules=_rules(count)) for count in _COUNTS}
    yield "classification, path seen before", {name: _again(each) for name, each in classifiers.items()}, None
    yield "classification, new path", {name: _anew(each, _new_paths()) for name, each in classifiers.items()}, None
    most = classifiers[f"{_COUNTS[-1]:,} rules"]
    hostile = {f"{_COUNTS[-1]:,} rules, {name}": _anew(most, [_filled(unit)]) for name, unit in _HOSTILE.items()}
    yield "classification, hostile path of 8 kB", hostile, _HOSTILE_BUDGET_US


def _rules(count: int) -> Iterator[Rule]:
    """A third of each kind, for as many sections of a site."""
    for number in range(count):
        kind = _KINDS[number % len(_KINDS)]
        pattern = {"prefix": "/s{}/jobs", "glob": "/s{}/*/jobs", "regex": r"/s{}/\d+/jobs"}[kind].format(number)
        yield Rule(pattern, "job_creation", kind)


def _new_paths() -> list[str]:
    return [f"/s{number % 1000}/{number}/orders" for number in range(_PATHS)]


def _filled(unit: str) -> str:
    return (unit * (8192 // len(unit) + 1))[:8192]


def _again(classifier: MaintenanceOperationClassifier) -> Run:
    classify = classifier.classify

    def run(count: int) -> None:
        for _ in range(count):
            classify("GET", "/catalogue")

    return run


def _anew(classifier: MaintenanceOperationClassifier, paths: Iterable[str]) -> Run:
    """Ask about one path after the other, and again from the first: by then it is forgotten."""
    classify = classifier.classify
    following = itertools.cycle(paths)

    def run(count: int) -> None:
        for path in itertools.islice(following, count):
            classify("POST", path)

    return run
