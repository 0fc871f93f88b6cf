"""The verdict: never quiet while anything is unknown."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.control.quiescence import LATE_SECONDS, SETTLE_SECONDS, judge_quiescence
from quiesce.gate import LEASE_SECONDS
from quiesce.model import (
    Acknowledgement,
    MaintenanceState,
    MaintenanceWindow,
    Mode,
    QuiescenceReport,
    RequestInFlight,
    WorkerInfo,
    WorkerReport,
)
from quiesce.testing.clock import NOON

REVISION = 7
GONE_AFTER = 300.0


def a_window(window_id: str = "n", mode: Mode = Mode.NORMAL, **changes: Any) -> MaintenanceWindow:
    window = MaintenanceWindow(id=window_id, mode=mode, reason="r", owner="o", starts_at=NOON)
    return replace(window, **changes)


STATE = MaintenanceState(REVISION, (a_window("n"), a_window("e", Mode.EMERGENCY), a_window("t", Mode.TEST)))
CONFIRMING = Acknowledgement(REVISION, windows=frozenset({"n", "e"}))


def a_report(
    name: str = "1", *, age: float = 0.2, acknowledgement: Acknowledgement | None = CONFIRMING
) -> WorkerReport:
    worker = WorkerInfo(name, "host-a", 4711, "boot/1", 99, "flask", NOON)
    return WorkerReport(worker, acknowledgement, age)


def judge(*reports: WorkerReport, state: MaintenanceState = STATE, **changes: Any) -> QuiescenceReport:
    arguments: dict[str, Any] = {"now": NOON, "store_age": 1e6, "gone_after": GONE_AFTER} | changes
    return judge_quiescence(state, reports, **arguments)


def test_quiet_when_every_worker_confirms() -> None:
    """The one state in which the dangerous part may begin."""
    report = judge(a_report("1"), a_report("2"))

    assert report.quiesced
    assert report.confirmed == ("1", "2")
    assert (report.unconfirmed, report.obstacles, report.in_flight) == ((), (), {})
    assert (report.revision, report.at) == (REVISION, NOON)


UNKNOWN = {
    "nothing acknowledged": a_report(acknowledgement=None),
    "an older revision": a_report(acknowledgement=replace(CONFIRMING, revision=REVISION - 1)),
    "a window is missing": a_report(acknowledgement=replace(CONFIRMING, windows=frozenset({"n"}))),
    "no window at all": a_report(acknowledgement=replace(CONFIRMING, windows=frozenset())),
    "only other windows": a_report(acknowledgement=replace(CONFIRMING, windows=frozenset({"n", "t", "old"}))),
    "late": a_report(age=LATE_SECONDS + 0.01),
    "very late": a_report(age=GONE_AFTER - 0.01),
    "late and it never acknowledged": a_report(age=100, acknowledgement=None),
    "a heartbeat from the future": a_report(age=-5.0),
    "an age that is no number": a_report(age=math.nan),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_unconfirmed_worker_is_never_quiet_and_is_named(case: str) -> None:
    """Protocol rule 6: unknown is not zero."""
    report = judge(a_report("0"), UNKNOWN[case], a_report("2"))

    assert not report.quiesced
    assert report.unconfirmed == ("1",)
    assert report.confirmed == ("0", "2")
    (obstacle,) = report.obstacles
    assert "worker 1 (pid 4711 on host-a)" in obstacle


def test_running_requests_are_counted_and_the_oldest_is_named() -> None:
    """The operator must know what is waited for."""
    running = replace(
        CONFIRMING, in_flight={"job_creation": 2}, bypassing=3, oldest=RequestInFlight("POST", "/api/jobs/9", 12.34)
    )
    other = replace(CONFIRMING, in_flight={"job_creation": 1, "batch_operations": 1})

    report = judge(a_report("1", acknowledgement=running), a_report("2", acknowledgement=other), a_report("3"))

    assert not report.quiesced
    assert report.in_flight == {"job_creation": 3, "batch_operations": 1}
    assert (report.confirmed, report.unconfirmed) == (("3",), ())
    assert "still runs 2 job_creation; the oldest: POST /api/jobs/9 for 12.3 s" in report.obstacles[0]


def test_unconfirmed_workers_requests_are_counted_too() -> None:
    """Its last word is the best that is known."""
    late = a_report(age=60, acknowledgement=replace(CONFIRMING, in_flight={"batch_operations": 4}))

    assert judge(late).in_flight == {"batch_operations": 4}


def test_bypassing_requests_are_not_waited_for() -> None:
    """Protocol rule 5: the operator's own requests must not keep the operator waiting."""
    assert judge(a_report(acknowledgement=replace(CONFIRMING, bypassing=5))).quiesced


def test_newer_revision_with_the_same_windows_confirms() -> None:
    """Somebody extended the window meanwhile."""
    assert judge(a_report(acknowledgement=replace(CONFIRMING, revision=REVISION + 1))).quiesced


@pytest.mark.parametrize(
    "windows",
    [
        (),
        (a_window("t", Mode.TEST),),
        (a_window("n", ended_at=NOON),),
        (a_window("n", ends_at=NOON),),
        (a_window("n", starts_at=NOON + timedelta(seconds=1)),),
    ],
    ids=["none", "test only", "ended", "timed out", "not begun"],
)
def test_without_an_enforced_window_nothing_is_quiet(windows: tuple[MaintenanceWindow, ...]) -> None:
    """The next request would be let in."""
    acknowledgement = Acknowledgement(REVISION, windows=frozenset(w.id for w in windows))

    report = judge(a_report(acknowledgement=acknowledgement), state=MaintenanceState(REVISION, windows))

    assert not report.quiesced
    assert report.obstacles == ("no window is open that refuses anything",)


@pytest.mark.parametrize("age", [0.0, SETTLE_SECONDS - 0.01, -1.0, math.nan])
def test_no_verdict_on_a_store_that_was_just_emptied(age: float) -> None:
    """Its list of workers is short because they have not come back yet."""
    assert not judge(a_report(), store_age=age).quiesced
    assert judge(a_report(), store_age=SETTLE_SECONDS).quiesced


def test_expected_workers_must_be_there_and_confirmed() -> None:
    """``--expect N`` catches the machine that never reached the store."""
    assert not judge(a_report("1"), expected_workers=2).quiesced
    assert not judge(a_report("1"), a_report("2", age=10), expected_workers=2).quiesced
    assert judge(a_report("1"), a_report("2"), expected_workers=2).quiesced


def test_silent_worker_is_given_up_after_the_configured_time_only() -> None:
    """A machine that burned down must not block maintenance for ever."""
    assert not judge(a_report("1"), a_report("2", age=GONE_AFTER - 0.1)).quiesced

    report = judge(a_report("1"), a_report("2", age=GONE_AFTER))

    assert report.quiesced
    assert [worker.worker.id for worker in report.workers] == ["1"]


@pytest.mark.parametrize("gone_after", [0.0, 1.0, LATE_SECONDS])
def test_worker_is_never_given_up_while_it_may_still_admit(gone_after: float) -> None:
    """A process admits by its lease; a smaller setting must not make it vanish from the proof."""
    assert not judge(a_report("1"), a_report("2", age=LEASE_SECONDS - 0.1), gone_after=gone_after).quiesced


def test_verdict_says_until_when_it_holds() -> None:
    """The first enforced window that ends opens the gate again."""
    first = NOON + timedelta(minutes=5)
    state = MaintenanceState(
        REVISION,
        (
            a_window("n", ends_at=NOON + timedelta(hours=1)),
            a_window("e", Mode.EMERGENCY, ends_at=first),
            a_window("t", Mode.TEST, ends_at=NOON + timedelta(seconds=1)),
        ),
    )

    assert judge(a_report(), state=state).holds_until == first
    assert judge(a_report()).holds_until is None


acknowledgements = st.builds(
    Acknowledgement,
    revision=st.integers(REVISION - 2, REVISION + 2),
    windows=st.frozensets(st.sampled_from(["n", "e", "t", "x"])),
    in_flight=st.dictionaries(st.sampled_from(["job_creation", "batch_operations"]), st.integers(0, 2)),
    bypassing=st.integers(0, 3),
    is_stale=st.booleans(),
)
reports = st.builds(
    lambda number, acknowledgement, age: a_report(str(number), age=age, acknowledgement=acknowledgement),
    st.integers(0, 99),
    st.none() | acknowledgements | st.just(CONFIRMING),
    st.sampled_from([0.0, 0.5, LATE_SECONDS, LATE_SECONDS + 0.1, GONE_AFTER - 1, GONE_AFTER, 1e9, math.inf, math.nan]),
)


@given(st.lists(reports, max_size=4), st.integers(0, 3), st.sampled_from([0.0, SETTLE_SECONDS, 1e9]))
def test_quiet_exactly_when_every_listed_worker_proves_it(
    workers: list[WorkerReport], expected: int, store_age: float
) -> None:
    """The verdict against the protocol's rules, told once more in other words."""

    def proves(report: WorkerReport) -> bool:
        said = report.acknowledgement
        return (
            said is not None
            and 0 <= report.heartbeat_age <= LATE_SECONDS
            and said.revision >= REVISION
            and {"n", "e"} <= said.windows
            and sum(said.in_flight.values()) == 0
        )

    waited_for = [report for report in workers if math.isnan(report.heartbeat_age) or report.heartbeat_age < GONE_AFTER]

    report = judge(*workers, expected_workers=expected, store_age=store_age)

    assert report.quiesced == (
        all(proves(r) for r in waited_for)
        and sum(proves(r) for r in waited_for) >= expected
        and store_age >= SETTLE_SECONDS
    )
    assert report.quiesced == (not report.obstacles)
    assert len(report.workers) == len(waited_for)
