"""Trials by chance: servers, operators and a client under a nemesis; a checker reads the history afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .trial.checker import check, cover
from .trial.trial import RedisSite, Trial


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "trial"
    place.mkdir()
    return place


@pytest.fixture
def seconds(request: pytest.FixtureRequest) -> float:
    """How long the nemesis rages: less in a run that is not about it."""
    is_asked_for = any(request.config.getoption(option, None) is not None for option in ("--seed", "--seeds"))
    return 7.0 if is_asked_for else 6.0


def test_on_sqlite(seed: int, seconds: float, folder: Path, some_ports: list[int]) -> None:
    """One machine: whatever dies, stops, fills up or is set back, what was proved is true."""
    prove_by(Trial(seed=seed, seconds=seconds, folder=folder, ports=some_ports[:2], redis=None), seed=seed)


def test_on_redis(seed: int, seconds: float, folder: Path, some_ports: list[int], redis_server: Any) -> None:
    """Two machines: the same with a store that restarts, freezes, forgets, and cannot be reached."""

    def flush() -> None:
        with redis_server.client() as client:
            client.flushall()

    redis = RedisSite(server=redis_server, flush=flush, port=redis_server.port, far_port=some_ports[2])

    prove_by(Trial(seed=seed, seconds=seconds, folder=folder, ports=some_ports[:2], redis=redis), seed=seed)


def prove_by(trial: Trial, *, seed: int) -> None:
    """Run the trial; it must have proved something, and found nothing."""
    history, ledger = trial.run()
    violations = check(history, ledger)
    coverage = cover(history)

    told = [f"{len(violations)} violations; again with: nox -s faults -- --seed {seed}"]
    told += [f"({each.rule}) at {each.at}: {each.text}" for each in violations]
    told += ["what the store holds:", *(f"{name}: {entry}" for name, log in ledger.logs.items() for entry in log)]
    assert not violations, "\n".join(told)
    assert coverage.quiesced >= 2, coverage
    assert coverage.judged >= 50, coverage
    assert coverage.passed_by_admins >= 10, coverage
