"""The settings that are about alerts."""

from __future__ import annotations

from . import settings_values as values
from .settings_entry import Setting, seconds_from

MOST_PER_MINUTE = 1_000_000

ALERTING: tuple[Setting, ...] = (
    Setting(
        "MAINTENANCE_ALERT_BLOCKED_PER_MINUTE",
        "alert_blocked_per_minute",
        "1000",
        "How many requests must be refused within a minute for an alert; with 0 there is none.",
        f"a whole number from 0 to {MOST_PER_MINUTE}",
        values.whole_number(most=MOST_PER_MINUTE),
    ),
    Setting(
        "MAINTENANCE_ALERT_AFTER",
        "alert_after",
        "30",
        "How long a worker may be unconfirmed, the store out of reach, or a notifier switched off before an alert.",
        seconds_from("5"),
        values.seconds(at_least=5),
    ),
    Setting(
        "MAINTENANCE_ALERT_OUTBOX_AFTER",
        "alert_outbox_after",
        "300",
        "How long a notice may wait at a notifier, or nobody be told at all, before an alert.",
        seconds_from("5"),
        values.seconds(at_least=5),
    ),
)
