"""Whether what the store has written down is what the operators were told; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from quiesce.model.audit_reports import AuditVerdict

from .history import Ending, Extending, Fault, History, Opening, Outcome
from .violations import Violation

RESEEDED = "store.reseeded"
ACTIONS = {
    "audit": ("window.enabled", "window.ended", "window.extended"),
    "events": ("started", "ended", "extended"),
}
"""What commands are called in each log: to open, to end, to extend a window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One record that a commit wrote beside the state."""

    revision: int
    at: str
    actor: str
    action: str
    window: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What the store holds at the end.

    Attributes:
        revision: of the state.
        logs: each log that commits write to, oldest entry first.
        verdict: of verifying the chain of the audit trail.
        findings: what was found then.
    """

    revision: int
    logs: dict[str, tuple[Entry, ...]]
    verdict: AuditVerdict = AuditVerdict.INTACT
    findings: tuple[str, ...] = ()


def check_ledger(ledger: Ledger, history: History) -> list[Violation]:
    """Find revisions and records that were lost or doubled; a loss by the nemesis excuses just what came before."""
    losses = [fault for fault in history.of(Fault) if fault.is_loss]
    found: list[Violation] = []
    if ledger.verdict is AuditVerdict.BROKEN or (ledger.verdict is AuditVerdict.RESTARTED and not losses):
        found.append(Violation("d", None, f"the audit trail is {ledger.verdict}: {'; '.join(ledger.findings)}"))
    for name, entries in ledger.logs.items():
        found += [Violation("d", None, f"{name}: {text}") for text in _repeated(entries)]
    found += [Violation("d", None, text) for text in _revisions(ledger, losses)]
    lost_until = max((loss.ended for loss in losses), default=float("-inf"))
    for name, actions in ACTIONS.items():
        if name in ledger.logs:
            checked = _commands(ledger.logs[name], history, actions=actions, lost_until=lost_until)
            found += [Violation("d", at, f"{text} in {name}") for at, text in checked]
    return found


def _repeated(entries: Sequence[Entry]) -> list[str]:
    texts = [f"written twice: {entry}" for entry, count in Counter(entries).items() if count > 1]
    disorder = [(before, entry) for before, entry in pairwise(entries) if entry.revision < before.revision]
    return texts + [f"{entry} stands after {before}" for before, entry in disorder]


def _revisions(ledger: Ledger, losses: Sequence[Fault]) -> list[str]:
    """Every commit writes to the audit trail, so every revision stands in it, once."""
    texts = []
    entries = ledger.logs["audit"]
    start = Entry(revision=0, at="", actor="", action="", window="", detail="")
    for before, entry in pairwise([start, *entries]):
        if entry.revision == before.revision and (entry.at, entry.actor) != (before.at, before.actor):
            texts.append(f"two commits have revision {entry.revision}: {before} and {entry}")
        elif entry.revision > before.revision + 1 and not (losses and entry.action == RESEEDED):
            texts.append(f"nothing stands between revisions {before.revision} and {entry.revision}")
    last = entries[-1].revision if entries else 0
    if last != ledger.revision:
        texts.append(f"the last entry is of revision {last}, the state of {ledger.revision}")
    return texts


def _commands(
    trail: Sequence[Entry], history: History, *, actions: tuple[str, str, str], lost_until: float
) -> list[tuple[float, str]]:
    """Compare each command with its entries in one log."""
    enabled, ended, extended = actions
    written = Counter((entry.action, entry.window) for entry in trail)
    found = []

    def expect(count: int, asked: float, text: str, *, outcome: Outcome = Outcome.DONE) -> None:
        least = 0 if outcome is Outcome.UNKNOWN or asked <= lost_until else 1
        if not least <= count <= 1:
            found.append((asked, f"{text} has {count} records"))

    for opening in history.of(Opening):
        count = sum(entry.action == enabled and f" {opening.reason} " in entry.detail for entry in trail)
        if opening.outcome in {Outcome.CONFLICT, Outcome.NOTHING}:
            if count:
                found.append((opening.asked, f"{opening} was told of a conflict and has {count} records"))
            continue
        expect(count, opening.asked, f"{opening}", outcome=opening.outcome)
        if opening.outcome is Outcome.DONE:
            expect(written[enabled, opening.window], opening.asked, f"{opening}")
    for ending in history.of(Ending):
        for window in ending.ended:
            expect(written[ended, window], ending.asked, f"{ending}")
    for extending in history.of(Extending):
        detail = f"by {extending.seconds} s"
        count = sum(entry.action == extended and entry.detail == detail for entry in trail)
        if extending.outcome in {Outcome.DONE, Outcome.UNKNOWN}:
            expect(count, extending.asked, f"{extending}", outcome=extending.outcome)
    return found
