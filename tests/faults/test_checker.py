"""The checker of the trials, on histories made by hand: each rule bites, and none cries wolf."""

from __future__ import annotations

from dataclasses import replace

import pytest

from .trial.checker import Coverage, check, cover
from .trial.history import Died, Ended, Fact, History, Outcome, Request
from .trial.samples import BEGAN, CLOSING, CYCLE, ENDING, LAST, OPENING, PASSED, VERDICT, WRITE, fault


def rules(*facts: Fact) -> list[str]:
    return [violation.rule for violation in check(History(facts))]


def test_a_quiet_cycle_breaks_no_rule() -> None:
    """A checker that cries wolf would soon be switched off."""
    facts = (*CYCLE, WRITE, BEGAN, Ended(at=12.5, pid=7, op="x"))

    assert rules(*facts) == []


@pytest.mark.parametrize(
    "view",
    [
        (BEGAN,),
        (BEGAN, Ended(at=14, pid=7, op="x")),
        (BEGAN, Died(pid=7, alive_at=14)),
        (replace(BEGAN, at=19.9), Ended(at=30, pid=7, op="x")),
        (BEGAN, Ended(at=12, pid=8, op="x")),
    ],
    ids=["never-ended", "ended-later", "died-later", "began-before-the-end", "another-process-ended-its-own"],
)
def test_a_blocked_operation_that_ran_while_the_report_said_quiesced_is_found(view: tuple[Fact, ...]) -> None:
    """The promise that the whole product stands on."""
    assert rules(*CYCLE, *view) == ["a"]


@pytest.mark.parametrize(
    "view",
    [
        (replace(BEGAN, is_admin=True),),
        (replace(BEGAN, kind="read"),),
        (BEGAN, Died(pid=7, alive_at=12)),
        (replace(BEGAN, at=20),),
    ],
    ids=["admin", "not-blocked", "died-before", "after-the-end-was-asked-for"],
)
def test_what_may_run_while_the_report_says_quiesced_is_no_violation(view: tuple[Fact, ...]) -> None:
    """Admins, reads, the dead, and what comes when the operator has let go."""
    assert rules(*CYCLE, *view) == []


def test_a_read_counts_as_blocked_in_an_emergency() -> None:
    """The mode says what is blocked."""
    emergency = (replace(OPENING, mode="emergency"), replace(VERDICT, mode="emergency"), ENDING, CLOSING, LAST)

    assert rules(*emergency, replace(BEGAN, kind="read")) == ["a"]


def test_a_verdict_ends_with_the_time_that_it_names() -> None:
    """A window with a timeout promises nothing beyond it."""
    limited = (replace(OPENING, holds_until=16), replace(VERDICT, holds_until=16), ENDING, CLOSING, LAST)

    assert rules(*limited, replace(BEGAN, at=16.5)) == []
    assert rules(*limited, replace(BEGAN, at=15.5)) == ["a"]


def test_an_ending_that_nobody_knows_of_ends_the_verdict() -> None:
    """A lost answer may mean that the other operator has ended everything."""
    unknown = replace(ENDING, asked=14, returned=16, by="b", outcome=Outcome.UNKNOWN, target="", ended=())

    assert rules(*CYCLE, unknown, replace(BEGAN, at=15)) == []


@pytest.mark.parametrize(
    "request_",
    [PASSED, replace(WRITE, sent=22, received=23), replace(WRITE, kind="read"), replace(WRITE, sent=1, received=2)],
    ids=["passed-while-closed", "refused-after-the-end", "refused-without-cause", "refused-before-the-start"],
)
def test_an_answer_by_another_state_is_found(request_: Request) -> None:
    """Every committed change holds for the next request."""
    assert rules(*CYCLE, request_) == ["b"]


@pytest.mark.parametrize(
    "request_",
    [
        replace(PASSED, sent=10.5, received=15),
        replace(WRITE, sent=9, received=10.5),
        replace(WRITE, sent=15, received=20.5),
        replace(PASSED, sent=15, received=20.5),
        replace(WRITE, sent=20.5, received=22),
        replace(PASSED, status=0),
    ],
    ids=[
        "sent-too-early",
        "refused-near-the-start",
        "refused-near-the-end",
        "passed-near-the-end",
        "sent-near-the-end",
        "no-answer",
    ],
)
def test_a_request_beside_a_change_may_be_answered_either_way(request_: Request) -> None:
    """Only one that lies wholly between two changes has one right answer."""
    assert rules(*CYCLE, request_) == []


def test_a_window_that_may_have_been_opened_is_a_doubt_until_all_is_ended() -> None:
    """A command that nobody knows of may take effect late, but not after the state has moved on."""
    unknown = replace(OPENING, asked=30, returned=31, outcome=Outcome.UNKNOWN, reason="b-1", window="")
    fence = replace(ENDING, asked=40, returned=41, target="", ended=())

    assert rules(*CYCLE, unknown, fence, replace(WRITE, sent=35, received=36)) == []
    assert rules(*CYCLE, unknown, fence, replace(PASSED, sent=35, received=36)) == []
    assert rules(*CYCLE, unknown, fence, replace(WRITE, sent=30.2, received=30.8)) == []
    assert rules(*CYCLE, unknown, replace(fence, asked=30.5), replace(WRITE, sent=42, received=43)) == []
    assert rules(*CYCLE, unknown, fence, replace(WRITE, sent=42, received=43)) == ["b"]
    assert rules(*CYCLE, unknown, fence, replace(WRITE, sent=25, received=26)) == ["b"]


def test_a_command_that_found_nothing_to_end_proves_that_it_was_ended() -> None:
    """The answer to a lost ending comes with the next one."""
    lost = replace(ENDING, outcome=Outcome.UNKNOWN, ended=())
    nothing = replace(ENDING, asked=30, returned=31, outcome=Outcome.NOTHING, ended=())

    assert rules(OPENING, lost, nothing, CLOSING, LAST, replace(WRITE, sent=25, received=26)) == []
    assert rules(OPENING, lost, nothing, CLOSING, LAST, replace(WRITE, sent=32, received=33)) == ["b"]


def test_a_window_with_a_timeout_is_over_by_itself() -> None:
    """And not before, nor much after."""
    limited = (replace(OPENING, holds_until=16), CLOSING, LAST)

    assert rules(*limited, replace(PASSED, sent=14, received=15)) == ["b"]
    assert rules(*limited, replace(PASSED, sent=15, received=16)) == []
    assert rules(*limited, replace(WRITE, sent=17, received=18)) == ["b"]


def test_another_machine_has_its_bound_and_longer_after_a_cut() -> None:
    """Over a network a change takes time; while the network is cut it takes longer."""
    cut = fault(10.9, 12, cuts=("B",))

    unproved = (OPENING, ENDING, CLOSING, LAST)

    assert rules(*unproved, replace(PASSED, machine="B", sent=12.9, received=13)) == []
    assert rules(*unproved, replace(PASSED, machine="B", sent=13.1, received=14)) == ["b"]
    assert rules(*unproved, cut, replace(PASSED, machine="B", sent=16.9, received=17)) == []
    assert rules(*unproved, cut, replace(PASSED, machine="B", sent=17.1, received=18)) == ["b"]


def test_a_proof_binds_every_machine_at_once() -> None:
    """Whoever has acknowledged has no bound left."""
    early = replace(VERDICT, asked=11.1, answered=11.2)

    assert rules(*CYCLE, early, replace(PASSED, machine="B", sent=11.5, received=12)) == ["b"]
    assert rules(*CYCLE, replace(early, is_quiesced=False), replace(PASSED, machine="B", sent=11.5, received=12)) == []


def test_a_machine_that_is_cut_off_must_keep_to_what_it_knew() -> None:
    """Fail static: an error opens nothing that was closed."""
    cut = fault(15, 40, cuts=("B",))

    assert rules(*CYCLE, cut, replace(WRITE, machine="B", sent=30, received=31)) == []
    assert rules(*CYCLE, cut, replace(PASSED, machine="B", sent=30, received=31)) == ["b"]


def test_clocks_go_on_while_a_machine_is_cut_off() -> None:
    """A timeout needs no store."""
    limited = (replace(OPENING, holds_until=25), fault(15, 40, cuts=("B",)), CLOSING, LAST)

    assert rules(*limited, replace(PASSED, machine="B", sent=26, received=27)) == []
    assert "b" in rules(*limited, replace(PASSED, machine="B", sent=20, received=21))


def test_a_refused_admin_is_found() -> None:
    """No operator is ever locked out."""
    assert rules(*CYCLE, replace(WRITE, is_admin=True)) == ["c"]


def test_two_winners_are_found() -> None:
    """Of two operators who open the same at once, one must hear of the other."""
    second = replace(OPENING, asked=10, returned=12, by="b", reason="b-1", window="w2")

    assert rules(*CYCLE, second, replace(ENDING, target="w2", ended=("w2",))) == ["d"]
    assert rules(*CYCLE, replace(second, outcome=Outcome.CONFLICT, window="")) == []


@pytest.mark.parametrize(
    "facts",
    [
        (OPENING, ENDING, CLOSING),
        (OPENING, ENDING, CLOSING, LAST, replace(LAST, status=503, is_refusal=True)),
        (OPENING, ENDING, LAST),
    ],
    ids=["a-process-is-silent", "a-write-is-refused", "no-end"],
)
def test_what_stays_closed_after_the_end_is_found(facts: tuple[Fact, ...]) -> None:
    """The end of a maintenance is part of it."""
    assert "e" in rules(*facts)


def test_an_error_is_found() -> None:
    """Neither the store's trouble nor ours becomes the user's."""
    assert rules(*CYCLE, replace(PASSED, sent=22, received=23, status=500)) == ["f"]


def test_coverage_counts_what_was_proved() -> None:
    """A history in which nothing happened proves nothing."""
    cut = fault(13.5, 16, cuts=("A",))
    covered = cover(History((*CYCLE, cut, WRITE, replace(PASSED, is_admin=True))))

    assert covered == Coverage(quiesced=1, held_seconds=7, judged=2, kept=1, passed_by_admins=1)
    assert cover(History((CLOSING,))).quiesced == 0
