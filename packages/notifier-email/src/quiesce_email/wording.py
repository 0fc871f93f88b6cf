"""What a message says: pure, from the notice to words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quiesce import AlertRule, EventKind, Notice

from .plain_text import one_line
from .readers import Readers
from .times import duration, shown

_STATES: Mapping[EventKind, tuple[str, str]] = {
    EventKind.SCHEDULED: ("is scheduled", "Maintenance is planned."),
    EventKind.CHANGED: ("has changed", "The plan of a maintenance has changed."),
    EventKind.STARTING_SOON: ("starts soon", "Maintenance starts soon."),
    EventKind.STARTED: ("has started", "Maintenance has started."),
    EventKind.QUIESCED: ("is quiet", "The system is proved quiet: nothing that is refused still runs."),
    EventKind.EXTENDED: ("is extended", "Maintenance takes longer than planned and has been extended."),
    EventKind.OVERRUN: ("takes longer", "Maintenance takes longer than estimated."),
    EventKind.EXPIRING: ("is about to time out", "Maintenance ends by its timeout soon, finished or not."),
    EventKind.HOLDER_LOST: ("has lost its holder", "The program that held the maintenance fell silent."),
    EventKind.ENDED: ("has ended", "Maintenance is over."),
    EventKind.CANCELLED: ("is cancelled", "A planned maintenance is cancelled."),
    EventKind.STORE_RESEEDED: ("store was refilled", "The store had lost its state and was refilled by the workers."),
    EventKind.ALERT_OPENED: ("needs a look", "Something needs a look."),
    EventKind.ALERT_CLOSED: ("is well again", "What an alert was about is over."),
}
_ALERTS: Mapping[AlertRule, tuple[str, str]] = {
    AlertRule.BLOCK_RATE: ("many requests are refused", "Many requests are refused by maintenance."),
    AlertRule.WORKERS_UNCONFIRMED: (
        "a worker is unconfirmed",
        "Of some worker it is not known whether it applies the maintenance.",
    ),
    AlertRule.OUTBOX_STUCK: ("notices do not get out", "Notices about maintenance do not get out."),
    AlertRule.STORE_STALE: (
        "the store did not answer",
        "The store did not answer; workers went on with what they knew.",
    ),
}
NOT_KNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Words:
    """What there is to say, for templates to say it.

    Attributes:
        values: by the names that templates use; each is one line.
        facts: labels and values, in order.
    """

    values: Mapping[str, str]
    facts: tuple[tuple[str, str], ...]


def words(notice: Notice, *, readers: Readers, zone: str | None) -> Words:
    """Return what these readers are told; users nothing of people, tickets and details."""
    event, window = notice.event, notice.window
    state, headline = _STATES.get(event.kind, (event.kind.value.replace("_", " "), "Maintenance: something happened."))
    what = ""
    if event.alert is not None:
        what = "ALERT:" if event.kind is EventKind.ALERT_OPENED else "alert is over:"
        state, headline = _ALERTS.get(event.alert.rule, (str(event.alert.rule), headline))
    if event.kind is EventKind.ALERT_CLOSED:
        headline = _STATES[event.kind][1]
    mode = event.mode or (window.mode.value if window else "")
    completion = window.estimated_completion if window else None
    values = {
        "mark": "[TEST] " if notice.is_test else "",
        "service": notice.service_name,
        "state": state,
        "headline": headline,
        "mode": mode,
        "what": what or (f"{mode} maintenance" if mode else "maintenance"),
        "reason": event.reason or (window.reason if window else ""),
        "time": shown(event.at, zone=zone),
        "starts": shown(window.starts_at, zone=zone) if window else NOT_KNOWN,
        "expected_end": shown(completion, zone=zone) if completion else NOT_KNOWN,
        "duration": duration(window.estimated_duration) if window and window.estimated_duration else NOT_KNOWN,
        "test_note": "This is a test: nothing is refused." if notice.is_test else "",
    }
    labels = {"Service": "service", "Mode": "mode", "Reason": "reason", "Time": "time", "Starts": "starts"}
    labels |= {"Expected end": "expected_end", "Expected duration": "duration"}
    if readers is Readers.OPERATORS:
        closes = shown(window.closes_at, zone=zone) if window and window.closes_at else ""
        values |= {
            "closes": closes or ("when an operator ends it" if window else NOT_KNOWN),
            "ticket": window.ticket if window else "",
            "owner": window.owner if window else "",
            "actor": event.actor,
            "detail": event.detail,
            "alert": event.alert.name if event.alert else "",
            "since": shown(event.alert.since, zone=zone) if event.alert else "",
            "window": event.window_id,
            "notice": notice.id,
        }
        labels = {"Service": "service", "Alert": "alert", "Since": "since", **labels}
        labels |= {"Over at the latest": "closes", "Ticket": "ticket", "Owner": "owner", "By": "actor"}
        labels |= {"Detail": "detail", "Window": "window", "Notice": "notice"}
    kept = {name: one_line(value) for name, value in values.items() if name != "mark"}
    known = [(label, kept[name]) for label, name in labels.items()]
    facts = tuple((label, value) for label, value in known if value and (window or value != NOT_KNOWN))
    return Words({**kept, "mark": values["mark"]}, facts)
