"""What a package adds to the memory of a worker: fresh processes that serve one request, with and without it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .harness import Effort, Spread
from .memory_probe import CONTENDERS
from .peers import is_installed
from .report import Row

_BUDGET_MIB = 8.0
_PROBE_SECONDS = 60


def measure(folder: Path, *, effort: Effort) -> tuple[list[Row], dict[str, list[float]]]:
    """Return a row for each contender, and the MiB of every process."""
    names = [name for name, contender in CONTENDERS.items() if contender.peer is None or is_installed(contender.peer)]
    samples: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(effort.processes):
        probes = {name: _start(name, folder=folder) for name in names}
        for name, probe in probes.items():
            samples[name].append(_figure_of(probe))
    rows = []
    for name in names:
        bare = CONTENDERS[name].bare
        figures = samples[name]
        if bare is not None:
            figures = [mine - other for mine, other in zip(figures, samples[bare], strict=True)]
        rows.append(
            Row(
                what="memory of a worker" + (", in all" if bare is None else ", added"),
                contender=name,
                unit="MiB",
                spread=Spread.of(figures),
                ratio=None if bare is None else Spread.of(samples[name]).median / Spread.of(samples[bare]).median,
                budget=_BUDGET_MIB if "Quiesce" in name else None,
            )
        )
    return rows, {f"memory: {name} (MiB)": figures for name, figures in samples.items()}


def _start(name: str, *, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.memory_probe", name, str(folder)]
    return subprocess.Popen(command, cwd=Path(__file__).resolve().parents[1], stdout=subprocess.PIPE, text=True)


def _figure_of(probe: subprocess.Popen[str]) -> float:
    """Return the resident MiB that a process prints at its end."""
    try:
        output, _ = probe.communicate(timeout=_PROBE_SECONDS)
    finally:
        probe.kill()
    if probe.returncode != 0:
        raise SystemExit(f"{probe.args!r} ended with {probe.returncode}")
    return float(output)
