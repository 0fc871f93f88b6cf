"""The checker of what the store has written down, on ledgers made by hand: nothing lost, nothing doubled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from quiesce.model.audit_reports import AuditVerdict

from .trial.checker import check
from .trial.history import Extending, Fact, Fault, History, Outcome
from .trial.ledger import Entry, Ledger
from .trial.samples import CYCLE, OPENING, fault

ENABLED = Entry(
    revision=1, at="10.5", actor="a", action="window.enabled", window="w1", detail="normal: a-1 (covers the default)"
)
HOOK = Entry(revision=2, at="11", actor="worker:1", action="hook.on_activate", window="w1", detail="")
CLOSED = Entry(revision=3, at="20.5", actor="a", action="window.ended", window="w1", detail="")
TRAIL = (ENABLED, HOOK, CLOSED)


def ledger_faults(trail: Sequence[Entry], *facts: Fact, revision: int = 3) -> list[str]:
    ledger = Ledger(revision=revision, logs={"audit": tuple(trail)})
    return [violation.rule for violation in check(History((*CYCLE, *facts)), ledger)]


def test_a_whole_trail_breaks_no_rule() -> None:
    """A checker that cries wolf would soon be switched off."""
    assert ledger_faults(TRAIL) == []


@pytest.mark.parametrize(
    ("verdict", "is_lost", "expected"),
    [
        (AuditVerdict.BROKEN, False, ["d"]),
        (AuditVerdict.BROKEN, True, ["d"]),
        (AuditVerdict.RESTARTED, False, ["d"]),
        (AuditVerdict.RESTARTED, True, []),
        (AuditVerdict.INTACT, True, []),
    ],
)
def test_a_chain_is_whole_and_begins_anew_only_after_a_loss(
    verdict: AuditVerdict, *, is_lost: bool, expected: list[str]
) -> None:
    """What a killed writer left must not look like somebody's tampering, nor a loss like nothing."""
    losses = [fault(9.0, 9.5, is_loss=True)] if is_lost else []
    ledger = Ledger(revision=3, logs={"audit": TRAIL}, verdict=verdict, findings=("number 2",))

    assert [violation.rule for violation in check(History((*CYCLE, *losses)), ledger)] == expected


@pytest.mark.parametrize(
    ("trail", "revision"),
    [
        ((HOOK, CLOSED), 3),
        ((ENABLED, CLOSED), 3),
        ((ENABLED, HOOK, HOOK, CLOSED), 3),
        ((ENABLED, replace(CLOSED, revision=2)), 2),
        ((ENABLED, HOOK, replace(HOOK, actor="worker:2"), CLOSED), 3),
        ((ENABLED, CLOSED, HOOK), 3),
        ((HOOK, ENABLED, replace(HOOK, action="another"), CLOSED), 3),
        (TRAIL, 4),
        ((*TRAIL, replace(CLOSED, revision=4)), 4),
        ((ENABLED, HOOK, replace(CLOSED, window="w9")), 3),
    ],
    ids=[
        "lost",
        "gap",
        "twice",
        "fine",
        "shared-revision",
        "disorder",
        "back-and-forth",
        "short",
        "ended-twice",
        "another-window",
    ],
)
def test_a_lost_or_doubled_record_is_found(
    trail: tuple[Entry, ...], revision: int, request: pytest.FixtureRequest
) -> None:
    """The trail is what an auditor has."""
    is_fine = request.node.callspec.id == "fine"

    assert (ledger_faults(trail, revision=revision) == []) == is_fine


def test_a_loss_excuses_only_what_came_before_it() -> None:
    """Who empties the store may not blame it for the rest."""
    reseeded = replace(HOOK, revision=9, action="store.reseeded", window="")
    trail = (reseeded, replace(CLOSED, revision=10))

    def loss(at: float) -> Fault:
        return fault(at - 0.1, at, is_loss=True)

    assert ledger_faults(trail, loss(15), revision=10) == []
    assert ledger_faults(trail, revision=10) != []
    assert ledger_faults((*TRAIL, replace(reseeded, revision=5)), revision=5) == ["d"]
    assert ledger_faults(trail, loss(9), revision=10) != []
    assert ledger_faults((replace(CLOSED, revision=10),), loss(15), revision=10) != []


def test_events_out_of_order_are_found() -> None:
    """Whoever reads on from the last one would miss what came late."""
    started, ended = replace(ENABLED, action="started"), replace(CLOSED, action="ended")

    def faults(*events: Entry) -> list[str]:
        ledger = Ledger(revision=3, logs={"audit": TRAIL, "events": events})
        return [violation.rule for violation in check(History(CYCLE), ledger)]

    assert faults(started, ended) == []
    assert faults(ended, started) == ["d"]
    assert faults(started) == ["d"]


def test_an_extension_has_one_record() -> None:
    """Its span tells it from every other."""
    extending = Extending(asked=15, returned=16, by="a", outcome=Outcome.DONE, window="w1", seconds=61)
    entry = replace(HOOK, revision=3, action="window.extended", detail="by 61 s")
    trail = (ENABLED, HOOK, entry, replace(CLOSED, revision=4))

    assert ledger_faults(trail, extending, revision=4) == []
    assert ledger_faults(TRAIL, extending) == ["d"]
    assert ledger_faults(TRAIL, replace(extending, outcome=Outcome.UNKNOWN)) == []


def test_a_command_that_was_told_of_a_conflict_has_no_record() -> None:
    """What was refused must not have happened all the same."""
    refused = replace(OPENING, asked=12, returned=13, outcome=Outcome.CONFLICT, reason="b-1", window="")
    written = replace(ENABLED, revision=3, window="w2", detail="normal: b-1 (covers the default)")

    assert ledger_faults((ENABLED, HOOK, written, replace(CLOSED, revision=4)), refused, revision=4) == ["d"]
