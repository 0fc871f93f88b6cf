"""The proof of the checker: systems with a mistake in their gate, each of which it must find out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path

import pytest

from quiesce.control.quiescence import SETTLE_SECONDS
from quiesce.testing import eventually

from .trial.checker import check
from .trial.client import send
from .trial.history import Began, Recorder, read_history
from .trial.mistakes import MISTAKES, Barrier
from .trial.operators import Operator
from .trial.systems import kill, start_server

LIMIT = timedelta(seconds=20)

Ask = Callable[..., int]
Race = Callable[[Operator, Barrier, Callable[[], None], Callable[[], bool]], None]


def count_before_renewal(
    operator: Operator, barrier: Barrier, write: Callable[[], None], has_begun: Callable[[], bool]
) -> None:
    """Let a write in, and close the gate, between the count and the renewal."""
    barrier.armed.touch()
    eventually(barrier.reached.exists)
    write()
    eventually(has_begun)
    window = operator.enable("normal")
    barrier.passed.touch()
    assert operator.prove(window, "normal", timeout=LIMIT)


def look_before_entering(
    operator: Operator, barrier: Barrier, write: Callable[[], None], has_begun: Callable[[], bool]
) -> None:
    """Close the gate, and prove the system quiet, between a write's look and its entry."""
    barrier.armed.touch()
    write()
    eventually(barrier.reached.exists)
    window = operator.enable("normal")
    assert operator.prove(window, "normal", timeout=LIMIT)
    barrier.passed.touch()
    eventually(has_begun)


RACES: dict[str, Race] = {
    "counts-before-renewal": count_before_renewal,
    "looks-before-entering": look_before_entering,
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_gate_with_a_mistake_is_found_out(mistake: str, tmp_path: Path, some_ports: list[int]) -> None:
    """A checker that has never found anything may be blind."""
    url, recorder, barrier = f"sqlite:///{tmp_path / 'maintenance.db'}", Recorder(tmp_path), Barrier(tmp_path)
    with ExitStack() as stack:
        operator = stack.enter_context(closing(Operator("a", store_url=url, folder=tmp_path)))
        store = operator.service.store
        assert store.age() < LIMIT.total_seconds()  # it is made now, for it must be some seconds old to prove anything
        server = start_server(
            "flask",
            machine="A",
            port=some_ports[0],
            workers=1,
            rotate_after=0,
            folder=tmp_path,
            environment={"MAINTENANCE_STORE_URL": url, "TRIAL_MISTAKE": mistake},
        )
        stack.callback(kill, server.process)

        def ask(op: str, kind: str, path: str = "/items") -> int:
            return send(recorder, machine="A", port=server.port, op=op, kind=kind, path=path).status

        def write() -> None:
            writing = threading.Thread(target=ask, args=("slipped", "write", "/items?seconds=60"))
            writing.start()
            stack.callback(writing.join)
            stack.callback(kill, server.process)  # before the thread is waited for

        def has_begun() -> bool:
            return any(began.op == "slipped" for began in read_history(tmp_path).of(Began))

        eventually(lambda: ask("first", "read") == 200 and store.age() > SETTLE_SECONDS, within=60)
        RACES[mistake](operator, barrier, write, has_begun)

    found = check(read_history(tmp_path))
    assert "a" in {violation.rule for violation in found}
