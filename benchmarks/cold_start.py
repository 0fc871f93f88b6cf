"""How long ``quiesce status`` takes from its start to its end, beside an interpreter that does nothing."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from .harness import Effort, Spread
from .report import Row

_BUDGET_MS = 150.0
_RUNS_PER_PROCESS = 5
_BARE = "python -c pass"


def measure(folder: Path, *, redis_url: str, effort: Effort) -> tuple[list[Row], dict[str, list[float]]]:
    """Return a row for each contender, and the milliseconds of every run; in a round each runs once, in any order."""
    status = [str(Path(sysconfig.get_path("scripts")) / "quiesce"), "status", "--store"]
    commands = {
        _BARE: [sys.executable, "-c", "pass"],
        "python -c 'import click'": [sys.executable, "-c", "import click"],
        "python -c 'import redis'": [sys.executable, "-c", "import redis"],
        "Quiesce, SQLite": [*status, f"sqlite:///{folder}/cold.db"],
        "Quiesce, Redis": [*status, redis_url],
    }
    samples: dict[str, list[float]] = {name: [] for name in commands}
    for command in commands.values():
        _run(command, folder=folder)  # leaves bytecode behind, as pip does when it installs
    names = list(commands)
    draw = random.Random(0)
    for _ in range(effort.processes * _RUNS_PER_PROCESS):
        draw.shuffle(names)
        for name in names:
            samples[name].append(_run(commands[name], folder=folder))
    bare = Spread.of(samples[_BARE]).median
    rows = [
        Row(
            what="quiesce status, cold",
            contender=name,
            unit="ms",
            spread=Spread.of(samples[name]),
            ratio=None if name == _BARE else Spread.of(samples[name]).median / bare,
            budget=_BUDGET_MS if "Quiesce" in name else None,
        )
        for name in commands
    ]
    return rows, {f"cold start: {name} (ms)": figures for name, figures in samples.items()}


def _run(command: list[str], *, folder: Path) -> float:
    """Run it in a folder without settings, with bytecode from a cache of its own; return its milliseconds."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environ["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    began = time.perf_counter()
    # Without a timeout: with one the end is polled for, every 50 ms in the end.
    subprocess.run(command, cwd=folder, env=environ, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - began) * 1000
