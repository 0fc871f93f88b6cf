"""A short history made by hand, in which all is well; the tests of the checker spoil it."""

from __future__ import annotations

from dataclasses import replace

from .history import Began, Closing, Ending, Fact, Fault, Opening, Outcome, Request, Verdict

OPENING = Opening(
    asked=10, returned=11, by="a", outcome=Outcome.DONE, mode="normal", reason="a-1", window="w1", holds_until=None
)
ENDING = Ending(asked=20, returned=21, by="a", outcome=Outcome.DONE, target="w1", ended=("w1",))
VERDICT = Verdict(
    asked=12,
    answered=13,
    by="a",
    window="w1",
    mode="normal",
    revision=1,
    is_quiesced=True,
    holds_until=None,
    confirmed=(7,),
    unconfirmed=(),
)
BEGAN = Began(at=5, pid=7, op="x", kind="write", is_admin=False)
WRITE = Request(
    op="x",
    kind="write",
    is_admin=False,
    machine="A",
    sent=14,
    received=15,
    status=503,
    is_refusal=True,
    pid=0,
)
PASSED = replace(WRITE, status=201, is_refusal=False, pid=7)
CLOSING = Closing(at=90, pids=(7,))
LAST = replace(PASSED, op="last", sent=91, received=92)
CYCLE: tuple[Fact, ...] = (OPENING, VERDICT, ENDING, CLOSING, LAST)


def fault(began: float, ended: float, *, cuts: tuple[str, ...] = (), is_loss: bool = False) -> Fault:
    """Return a fault that was done and healed at once."""
    return Fault(began=began, held_from=began, held_until=ended, ended=ended, name="cut", cuts=cuts, is_loss=is_loss)
