"""Reads a history afterwards and finds every broken promise; pure.

The rules, by letter: (a) while a report said quiesced, no blocked operation was in its view in a live process;
(b) every committed change is applied within its bound, and a machine that is cut off keeps to what it knew; (c) no
admin is refused; (d) no revision or record is lost or doubled, and of two commands that exclude each other one wins;
(e) after the end everything is open, in every process; (f) no request is answered with an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .history import Began, Closing, Died, Ended, Ending, Fault, History, Opening, Outcome, Request, Verdict
from .ledger import Ledger, check_ledger
from .timeline import BOUND_SECONDS, CLOCK_SLACK_SECONDS, Timeline, covers, is_refused_by
from .violations import Violation


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much a history could prove; what never happened was not checked.

    Attributes:
        quiesced: reports that said quiesced and held for a time.
        held_seconds: how long they held, summed up.
        judged: requests to which exactly one answer was right.
        kept: requests to a machine that was cut off, and that knew what to refuse.
        passed_by_admins: requests of admins that were answered.
    """

    quiesced: int
    held_seconds: float
    judged: int
    kept: int
    passed_by_admins: int


def check(history: History, ledger: Ledger | None = None) -> list[Violation]:
    """Return every violation, in order of rule and time."""
    found = [
        *_ran_while_quiesced(history),
        *_answered_by_another_state(history),
        *_not_kept_while_cut_off(history),
        *_refused_admins(history),
        *_both_won(history),
        *_still_closed(history),
        *_errors(history),
        *([] if ledger is None else check_ledger(ledger, history)),
    ]
    return sorted(found, key=lambda violation: (violation.rule, violation.at or 0.0))


def cover(history: History) -> Coverage:
    """Return how much the history can prove."""
    spans = [(since, until) for _, since, until in _quiet_spans(history)]
    requests = history.of(Request)
    return Coverage(
        quiesced=len(spans),
        held_seconds=sum(min(until, since + 60) - since for since, until in spans),
        judged=sum(1 for _ in _judged(history)),
        kept=sum(known for _, _, known in _known_while_cut_off(history)),
        passed_by_admins=sum(request.is_admin and request.status // 100 == 2 for request in requests),
    )


def _quiet_spans(history: History) -> Iterator[tuple[Verdict, float, float]]:
    """Yield each report that said quiesced, and from when to when it bound: until its window's end was asked for."""
    opened_at = {opening.window: opening.asked for opening in history.of(Opening) if opening.window}
    endings = [each for each in history.of(Ending) if each.outcome in {Outcome.DONE, Outcome.UNKNOWN}]
    for verdict in history.of(Verdict):
        if not verdict.is_quiesced:
            continue
        since = opened_at.get(verdict.window, verdict.asked)
        ends = [each.asked for each in endings if covers(each, verdict.window, opened_at=since)]
        if verdict.holds_until is not None:
            ends.append(verdict.holds_until - CLOCK_SLACK_SECONDS)
        until = min(ends, default=float("inf"))
        if until > verdict.answered:
            yield verdict, verdict.answered, until


def _ran_while_quiesced(history: History) -> Iterator[Violation]:
    ends = {(each.pid, each.op): each.at for each in history.of(Ended)}
    deaths = {each.pid: each.alive_at for each in history.of(Died)}
    views = [
        (began, min(ends.get((began.pid, began.op), float("inf")), deaths.get(began.pid, float("inf"))))
        for began in history.of(Began)
        if not began.is_admin
    ]
    for verdict, since, until in _quiet_spans(history):
        for began, ended in views:
            if began.at < until and ended > since and is_refused_by(verdict.mode, began.kind):
                yield Violation(
                    "a",
                    max(began.at, since),
                    f"{began} ran until {ended} while {verdict} held, from {since} until {until}",
                )


def _judged(history: History) -> Iterator[tuple[Request, bool]]:
    timeline = Timeline(history)
    for request in history.of(Request):
        if request.is_admin or not request.status:
            continue
        expected = timeline.is_refused(
            request.kind, machine=request.machine, sent=request.sent, received=request.received
        )
        if expected is not None:
            yield request, expected


def _answered_by_another_state(history: History) -> Iterator[Violation]:
    for request, expected in _judged(history):
        if request.is_refusal != expected:
            yield Violation("b", request.sent, f"{request} should have been {'refused' if expected else 'passed'}")


def _known_while_cut_off(history: History) -> Iterator[tuple[Request, Fault, bool]]:
    """Yield requests to machines that were cut off, and whether what these knew before refuses them."""
    timeline = Timeline(history)
    requests = [each for each in history.of(Request) if each.status and not each.is_admin]
    for fault in history.of(Fault):
        for request in requests:
            is_inside = fault.held_from <= request.sent <= request.received <= fault.held_until
            if request.machine not in fault.cuts or not is_inside:
                continue
            known = timeline.is_refused(
                request.kind,
                machine=request.machine,
                sent=request.sent,
                received=request.received,
                known_at=fault.held_from,
            )
            if known is not None:
                yield request, fault, known


def _not_kept_while_cut_off(history: History) -> Iterator[Violation]:
    for request, fault, known in _known_while_cut_off(history):
        if request.is_refusal != known:
            yield Violation("b", request.sent, f"{request} differs from what was known when {fault} began")


def _refused_admins(history: History) -> Iterator[Violation]:
    for request in history.of(Request):
        if request.is_admin and request.is_refusal:
            yield Violation("c", request.sent, f"{request} is an admin's")


def _both_won(history: History) -> Iterator[Violation]:
    """Find windows that were opened while another of the same mode was certainly open."""
    openings = [each for each in history.of(Opening) if each.outcome is Outcome.DONE]
    endings = [each for each in history.of(Ending) if each.outcome in {Outcome.DONE, Outcome.UNKNOWN}]
    for first in openings:
        ends = [each.asked for each in endings if covers(each, first.window, opened_at=first.asked)]
        if first.holds_until is not None:
            ends.append(first.holds_until - CLOCK_SLACK_SECONDS)
        until = min(ends, default=float("inf"))
        for second in openings:
            if second.mode != first.mode or (second.returned, second.window) <= (first.returned, first.window):
                continue
            # The one that returned last may have come first, and have been ended before the other.
            was_ended = any(
                covers(each, second.window, opened_at=second.asked) and each.asked < first.returned for each in endings
            )
            if second.returned < until and not was_ended:
                yield Violation("d", second.asked, f"{second} was opened beside {first}")


def _still_closed(history: History) -> Iterator[Violation]:
    for closing in history.of(Closing):
        after = [each for each in history.of(Request) if each.sent >= closing.at and each.status]
        for request in after:
            if request.is_refusal and request.sent >= closing.at + BOUND_SECONDS[request.machine]:
                yield Violation("e", request.sent, f"{request} was refused although {closing}")
        serving = {each.pid for each in after if each.kind == "write" and not each.is_admin and each.status == 201}
        for pid in sorted(set(closing.pids) - serving):
            yield Violation("e", closing.at, f"process {pid} has answered no write although {closing}")
    if not history.of(Closing):
        yield Violation("e", None, "the trial has not come to its end")


def _errors(history: History) -> Iterator[Violation]:
    for request in history.of(Request):
        if request.status and not request.is_refusal and request.status not in {200, 201}:
            yield Violation("f", request.sent, f"{request} was answered with an error")
