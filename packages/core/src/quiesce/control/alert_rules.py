"""The rules of alerts: what is wrong, whether it has lasted, and which alerts open and close for it. Pure.

Spans are of a clock that nobody sets (seconds), the times that people are told are of the wall clock. What a worker has
seen before it led, or while it could not look, is not known, and so opens and closes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ..model import Alert, AlertRule
from ..model.alerts import LONGEST_ALERT_TEXT

CLEAR_SECONDS = 30.0
"""So long the cause of an alert must be gone before it closes."""
LONGEST_GAP_SECONDS = 45.0
"""After a longer time without a look nothing has lasted."""


class Verdict(StrEnum):
    """What a look says of one cause."""

    BAD = "bad"
    GOOD = "good"
    UNCLEAR = "unclear"
    """Neither: what lasted until now has ended, and nothing else has begun."""
    MOOT = "moot"
    """There is nothing that it could be about any more, so its alert closes at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a look found of one cause.

    Attributes:
        rule, subject: of the alert that it is for.
        verdict: what was found.
        detail: in words.
        since: when it began, if that is known better than by looking.
        mark: what is bad; the time that it lasted begins anew with another one.
        open_after_seconds: how long it must be bad before its alert opens.
        clear_after_seconds: how long it must be good before its alert closes.
    """

    rule: AlertRule
    verdict: Verdict
    subject: str = ""
    detail: str = ""
    since: datetime | None = None
    mark: str = ""
    open_after_seconds: float = 0.0
    clear_after_seconds: float = CLEAR_SECONDS

    @property
    def name(self) -> str:
        """That of the alert."""
        return f"{self.rule}:{self.subject}" if self.subject else str(self.rule)


@dataclass(frozen=True, slots=True)
class Run:
    """How long looks have said the same."""

    verdict: Verdict
    mark: str
    seconds: float
    at: datetime


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known from earlier looks.

    Attributes:
        looked_at: when the last one was, in seconds.
        runs: by the name of the alert.
    """

    looked_at: float = float("-inf")
    runs: Mapping[str, Run] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AlertChange:
    """An alert that is to be opened or closed.

    Attributes:
        alert: as it is to stand in the state, or stands there.
        opens: whether it is to be opened; else closed.
        detail: what is told.
    """

    alert: Alert
    opens: bool
    detail: str


def judge(
    memory: Memory,
    findings: Iterable[Finding],
    *,
    open_alerts: Collection[Alert],
    window_id: str,
    seconds: float,
    at: datetime,
) -> tuple[Memory, tuple[AlertChange, ...]]:
    """Return what is to be remembered, and the alerts to open and close.

    An alert for whose cause nobody looks any more closes as one whose cause is gone.

    Args:
        memory: of the looks before.
        findings: of this look, one for each cause.
        open_alerts: as committed.
        window_id: the strictest open window, for alerts that open.
        seconds: the time of this look.
        at: the same by the wall clock (UTC).
    """
    opened = {alert.name: alert for alert in open_alerts}
    found = {finding.name: finding for finding in findings}
    for name, alert in opened.items():
        gone = Finding(rule=alert.rule, subject=alert.subject, verdict=Verdict.GOOD, detail="is looked after no more")
        found.setdefault(name, gone)
    known = memory.runs if 0 <= seconds - memory.looked_at <= LONGEST_GAP_SECONDS else {}
    runs: dict[str, Run] = {}
    changes: list[AlertChange] = []
    for name, finding in found.items():
        run = known.get(name)
        if run is None or (run.verdict, run.mark) != (finding.verdict, finding.mark):
            run = Run(finding.verdict, finding.mark, seconds, at)
        runs[name] = run
        change = _change(finding, run, opened.get(name), window_id=window_id, seconds=seconds, at=at)
        if change is not None:
            changes.append(change)
    return Memory(seconds, runs), tuple(changes)


def applied(
    alerts: tuple[Alert, ...], changes: Iterable[AlertChange], *, most: int
) -> tuple[tuple[Alert, ...], tuple[AlertChange, ...]]:
    """Return the alerts after those of the changes that still apply, and these: another worker may have been faster."""
    done = []
    for change in changes:
        is_open = any(alert.name == change.alert.name for alert in alerts)
        if change.opens and not is_open and len(alerts) < most:
            alerts = (*alerts, change.alert)
        elif not change.opens and change.alert in alerts:
            alerts = tuple(alert for alert in alerts if alert != change.alert)
        else:
            continue
        done.append(change)
    return alerts, tuple(done)


def _change(
    finding: Finding, run: Run, alert: Alert | None, *, window_id: str, seconds: float, at: datetime
) -> AlertChange | None:
    lasted = seconds - run.seconds
    detail = finding.detail[:LONGEST_ALERT_TEXT]
    if alert is None:
        if finding.verdict is not Verdict.BAD or lasted < finding.open_after_seconds:
            return None
        opened = Alert(
            rule=finding.rule,
            subject=finding.subject,
            since=min(finding.since or run.at, at),
            opened_at=at,
            window_id=window_id,
            detail=detail,
        )
        return AlertChange(opened, opens=True, detail=detail)
    is_over = finding.verdict is Verdict.GOOD and lasted >= finding.clear_after_seconds
    if finding.verdict is Verdict.MOOT or is_over:
        return AlertChange(alert, opens=False, detail=detail)
    return None


def lasting(since: Mapping[str, float], names: Iterable[str], *, seconds: float, gap: bool) -> dict[str, float]:
    """Return since when each of the names was there at every look; ``gap``: nobody has looked for too long."""
    known = {} if gap else since
    return {name: known.get(name, seconds) for name in names}
