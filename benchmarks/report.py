"""The table: figures with their spread, their ratio to the bare application, and their budget."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from .harness import Spread

_HEADINGS = ("what", "contender", "median", "middle half", "to bare", "budget", "")
_SHOWN_VERSIONS = (
    *("quiesce", "fastapi", "starlette", "flask", "django", "redis"),
    *("waygate", "fastapi-maintenance", "django-maintenance-mode"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        what: what was measured.
        contender: who.
        unit: of all figures of this row.
        spread: the figure; for a count all three are the same.
        ratio: to the bare application, of the whole time.
        budget: the figure must not be above it; ``None``: no budget was set for it.
        note: what a reader must know about this figure.
    """

    what: str
    contender: str
    unit: str
    spread: Spread
    ratio: float | None = None
    budget: float | None = None
    note: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether the budget is met; ``None`` without one."""
        return None if self.budget is None else self.spread.median <= self.budget

    def cells(self) -> tuple[str, ...]:
        """Return what stands in the table."""
        is_one_figure = self.spread.lower == self.spread.upper
        verdict = {None: "", True: "met", False: "NOT met"}[self.is_met]
        return (
            self.what,
            self.contender,
            f"{_short(self.spread.median)} {self.unit}",
            "" if is_one_figure else f"{_short(self.spread.lower)} - {_short(self.spread.upper)}",
            "" if self.ratio is None else f"{_short(self.ratio)} x",
            "" if self.budget is None else f"{_short(self.budget)} {self.unit}",
            "; ".join(part for part in (verdict, self.note) if part),
        )


def as_text(rows: Sequence[Row]) -> str:
    """Return a table for a terminal."""
    lines = [_HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([shown[0], "-" * max(len(line) for line in shown), *shown[1:]])


def as_markdown(rows: Sequence[Row]) -> str:
    """Return a table for the README."""
    lines = [_HEADINGS, ("---", "---", "---:", "---:", "---:", "---:", "---"), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def as_json(rows: Sequence[Row], *, raw: Mapping[str, Sequence[float]]) -> str:
    """Return everything, down to the single samples."""
    document = {
        "machine": machine(),
        "versions": versions(),
        "rows": [{**asdict(row), "is_met": row.is_met} for row in rows],
        "raw": {name: list(samples) for name, samples in raw.items()},
    }
    return json.dumps(document, indent=1)


def machine() -> str:
    """Return what the figures were measured on."""
    model = next(_processor_names(), platform.machine())
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores ({model}), {platform.system()} {platform.release().split('-')[0]}, "
        f"{platform.python_implementation()} {platform.python_version()}, load average at the start {load:.1f}"
    )


def versions() -> dict[str, str]:
    """Return the version of everything that is installed and was measured."""
    found = {}
    for name in _SHOWN_VERSIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _processor_names() -> Iterator[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return iter(())
    return (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))


def _short(figure: float) -> str:
    if figure == int(figure) and abs(figure) < 1e15:
        return f"{int(figure):,}"
    if abs(figure) >= 100:
        return f"{figure:,.0f}"
    return f"{figure:.1f}" if abs(figure) >= 10 else f"{figure:.2f}"
