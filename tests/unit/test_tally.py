"""Counting decisions in bounded memory."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime

from quiesce import Decision, MaintenanceWindow, Mode, OperationType, Outcome
from quiesce.gate.tally import OTHER_PATHS, Tally
from quiesce.model import CallerKind

WINDOW = MaintenanceWindow(
    id="w", mode=Mode.NORMAL, reason="work", owner="ann", starts_at=datetime(2030, 1, 1, tzinfo=UTC)
)
REFUSED = Decision(Outcome.REFUSED, OperationType.JOB_CREATION, "rule", WINDOW, 1)
WOULD_BLOCK = replace(REFUSED, outcome=Outcome.WOULD_BLOCK)


def test_every_decision_is_counted_once_also_beyond_what_is_kept_pending() -> None:
    """attempt_count is a number that people quote."""
    tally = Tally()

    for _ in range(45_000):
        tally.add(REFUSED, "/api/jobs", "")

    (key,) = (taken := tally.take()).counts
    assert (key.window_id, key.operation, key.path) == ("w", "job_creation", "")
    assert taken.counts[key] == 45_000
    assert len(taken.samples) + taken.unlogged == 45_000
    assert len(taken.samples) <= 100
    assert not tally.take().counts


def test_kinds_of_decisions_do_not_mix() -> None:
    """Refusals, bypasses and would-be refusals are told apart in the status, for each type and window."""
    tally = Tally()
    other = replace(REFUSED, operation=OperationType.BATCH_OPERATIONS)
    bypassed = replace(REFUSED, outcome=Outcome.BYPASSED)

    for _ in range(1_500):
        tally.add(REFUSED, "/api/jobs", "")
        tally.add(other, "/batch", "bob")
        tally.add(bypassed, "/api/jobs", "ann")
        tally.add(WOULD_BLOCK, "/api/jobs", "")

    taken = tally.take()
    assert {(key.operation, key.outcome, key.path): count for key, count in taken.counts.items()} == {
        ("job_creation", Outcome.REFUSED, ""): 1_500,
        ("batch_operations", Outcome.REFUSED, ""): 1_500,
        ("job_creation", Outcome.BYPASSED, ""): 1_500,
        ("job_creation", Outcome.WOULD_BLOCK, "/api/jobs"): 1_500,
    }
    assert Outcome.BYPASSED not in {decision.outcome for decision, _, _ in taken.samples}
    assert len(taken.samples) + taken.unlogged == 4_500


def test_the_first_refusals_are_logged_with_path_and_user_each_time() -> None:
    """Between two looks of the agent the log shows who was refused what, whatever was refused before."""
    tally = Tally()
    for user in ("ann", "bob"):
        for number in range(150):
            tally.add(REFUSED, f"/{number}", user)

        taken = tally.take()

        assert [(path, who) for _, path, who in taken.samples] == [(f"/{number}", user) for number in range(100)]
        assert taken.unlogged == 50


def test_what_waits_for_the_agent_is_bounded() -> None:
    """The agent may be kept waiting by its store while a flood of refusals, each with a long path, goes on."""
    tally = Tally()

    for _ in range(9_500):
        tally.add(REFUSED, "/api/jobs", "")
        tally.add(WOULD_BLOCK, "/api/jobs", "")

    assert len(tally._listed) <= 100
    assert max(len(tally._unlisted), len(tally._others)) <= 2_000


def test_many_threads_lose_nothing() -> None:
    """Requests are decided on many threads at once, and the agent takes on another."""
    tally = Tally()
    taken = 0

    def add() -> None:
        for _ in range(15_000):
            tally.add(REFUSED, "/api/jobs", "")

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        taken += tally.take().counts.total()
    taken += tally.take().counts.total()

    assert taken == 60_000


def test_a_flood_of_paths_in_a_test_window_is_summed_up() -> None:
    """A scanner must not fill the store with paths."""
    tally = Tally()

    for number in range(3_000):
        tally.add(WOULD_BLOCK, f"/{number}", "")

    counts = tally.take().counts
    assert counts.total() == 3_000
    assert len(counts) <= 501
    assert sum(count for key, count in counts.items() if key.path == OTHER_PATHS) == 2_500


def test_a_refusal_without_a_window_is_logged_but_counted_for_none() -> None:
    """MAINTENANCE_ON_STALE=refuse-writes refuses without any window."""
    tally = Tally()

    tally.add(replace(REFUSED, window=None), "/orders", "bob")

    taken = tally.take()
    assert not taken.counts
    assert len(taken.samples) == 1


def test_refusals_of_users_and_passes_are_counted_apart() -> None:
    """A report says for whom it was closed: for people who had signed in, or for whoever came by."""
    tally = Tally()
    bypassed = replace(REFUSED, outcome=Outcome.BYPASSED)

    for _ in range(3_000):
        tally.add(REFUSED, "/api/jobs", "")
        tally.add(REFUSED, "/api/jobs", "bob")
    for user in ("ann", "pass:QA", "pass:QA"):
        tally.add(bypassed, "/api/jobs", user)
    tally.add(REFUSED, "/api/jobs", "bob")

    taken = tally.take()
    assert {(key.outcome, key.caller): count for key, count in taken.counts.items()} == {
        (Outcome.REFUSED, CallerKind.UNMARKED): 3_000,
        (Outcome.REFUSED, CallerKind.USER): 3_001,
        (Outcome.BYPASSED, CallerKind.UNMARKED): 1,
        (Outcome.BYPASSED, CallerKind.PASS): 2,
    }
    assert len(taken.samples) + taken.unlogged == 6_001
