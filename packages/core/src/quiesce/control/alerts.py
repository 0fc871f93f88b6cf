"""Alerts in the leading worker: looks at what they are about, and opens and closes each once in the cluster.

Those that are open stand in the state, so that compare-and-set on its revision makes each opening and closing one: with
its event and its audit record in the same commit, whoever leads, dies or takes over.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ..model import AlertRule, EventKind, MaintenanceState, effective
from ..model.alerts import MOST_ALERTS
from .alert_readings import find_stale, find_stuck, find_unconfirmed, refused_by_window
from .alert_rules import (
    CLEAR_SECONDS,
    LONGEST_GAP_SECONDS,
    AlertChange,
    Finding,
    Memory,
    Verdict,
    applied,
    judge,
    lasting,
)
from .block_rate import Sample, find_block_rate, with_sample
from .journal import Journal
from .outbox import HOOK
from .proof import prove

if TYPE_CHECKING:
    from .runtime import Runtime

LOOK_SECONDS = 5.0
"""How often it looks while a window refuses something or an alert is open."""
IDLE_SECONDS = 15.0
"""How often else, if there are notifiers; beside the state their places are all that it reads then."""

_STOP_SECONDS = 2.0

logger = logging.getLogger("quiesce")


class AlertWatch:
    """Looks on a thread of its own, so that the agent's heartbeat never waits for the store.

    Args:
        runtime: of this process.
        outage: when the agent was last without its store: begin and end by the monotonic clock.
    """

    def __init__(self, runtime: Runtime, *, outage: Callable[[], tuple[float, float]]) -> None:
        self._runtime = runtime
        self._outage = outage
        self._memory = Memory()
        self._samples: tuple[Sample, ...] = ()
        self._unconfirmed: dict[str, float] = {}
        self._looked_at = float("-inf")
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def step(self, state: MaintenanceState, *, actor: str) -> None:
        """Start a look under this state if one is due; returns at once."""
        if self._stopping.is_set() or (self._thread is not None and self._thread.is_alive()):
            return
        seconds = self._runtime.clock.monotonic()
        is_open = bool(effective(state, self._runtime.clock.now()).enforced)
        if not is_open:
            self._samples = (Sample(seconds, {}),)  # of windows that open later nothing is refused yet
        is_busy = is_open or bool(state.alerts) or seconds - self._outage()[1] < CLEAR_SECONDS
        if not is_busy and not self._notifiers():
            return
        if seconds - self._looked_at >= (LOOK_SECONDS if is_busy else IDLE_SECONDS):
            thread = threading.Thread(target=self._run, args=(actor,), name="quiesce-alerts", daemon=True)
            thread.start()
            self._thread = thread

    def stop(self) -> None:
        """Look no more, and wait a little for what runs."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)

    def look(self, *, actor: str) -> tuple[AlertChange, ...]:
        """Look now; return what was opened and closed by this process.

        Raises:
            StoreError: the store does not answer; nothing is judged then.
        """
        clock = self._runtime.clock
        seconds, at = clock.monotonic(), clock.now()
        gap = not 0 <= seconds - self._looked_at <= LONGEST_GAP_SECONDS
        self._looked_at = seconds
        state = self._runtime.committer.load()
        windows = effective(state, at).enforced
        findings = [
            *self._findings_of_windows([window.id for window in windows], seconds=seconds, gap=gap),
            *self._findings_of_system(),
        ]
        self._memory, changes = judge(
            self._memory,
            findings,
            open_alerts=state.alerts,
            window_id=windows[0].id if windows else "",
            seconds=seconds,
            at=at,
        )
        return self._commit(changes, actor=actor) if changes else ()

    def _run(self, actor: str) -> None:
        try:
            self.look(actor=actor)
        except Exception as exc:  # noqa: BLE001 - a plugin's store may raise anything; the next look comes soon
            if not self._stopping.is_set():
                logger.error("what alerts are about is not known: %s", exc)

    def _findings_of_windows(self, window_ids: list[str], *, seconds: float, gap: bool) -> list[Finding]:
        settings = self._runtime.settings
        if not window_ids:
            self._unconfirmed = {}
            self._samples = (Sample(seconds, {}),)
            return [
                Finding(rule=rule, verdict=Verdict.MOOT, detail="no window refuses anything any more")
                for rule in (AlertRule.BLOCK_RATE, AlertRule.WORKERS_UNCONFIRMED)
            ]
        report = prove(self._runtime, expected_workers=0)
        self._unconfirmed = lasting(self._unconfirmed, report.unconfirmed, seconds=seconds, gap=gap)
        after_seconds = settings.alert_after.total_seconds()
        findings = [find_unconfirmed(report, self._unconfirmed, after_seconds=after_seconds, seconds=seconds)]
        if settings.alert_blocked_per_minute:
            counts = refused_by_window(self._runtime.store.counts(), window_ids)
            self._samples = with_sample(self._samples, Sample(seconds, counts))
            findings.append(find_block_rate(self._samples, bound=settings.alert_blocked_per_minute))
        return findings

    def _findings_of_system(self) -> list[Finding]:
        settings, clock = self._runtime.settings, self._runtime.clock
        after_seconds = settings.alert_after.total_seconds()
        outage = self._outage()
        findings = [find_stale(outage, after_seconds=after_seconds, seconds=clock.monotonic(), at=clock.now())]
        if self._notifiers():
            findings += find_stuck(
                self._runtime.store,
                self._notifiers(),
                off_after_seconds=after_seconds,
                after_seconds=settings.alert_outbox_after.total_seconds(),
            )
        return findings

    def _notifiers(self) -> frozenset[str]:
        """Return the notifiers that tell people from here."""
        if not self._runtime.settings.notifications_enabled:
            return frozenset()
        return frozenset(self._runtime.plugins.implements(HOOK))

    def _commit(self, changes: tuple[AlertChange, ...], *, actor: str) -> tuple[AlertChange, ...]:
        done: tuple[AlertChange, ...] = ()

        def change(current: MaintenanceState) -> tuple[MaintenanceState, Journal] | None:
            nonlocal done
            alerts, done = applied(current.alerts, changes, most=MOST_ALERTS)
            if not done:
                return None
            journal = Journal(current, at=self._runtime.clock.now(), actor=actor, source="agent")
            for each in done:
                kind = EventKind.ALERT_OPENED if each.opens else EventKind.ALERT_CLOSED
                window = current.find(each.alert.window_id) if each.alert.window_id else None
                journal.tell_of_alert(kind, each.alert, window=window, detail=each.detail)
            return replace(current, revision=current.revision + 1, alerts=alerts), journal

        self._runtime.committer.commit(change)
        for each in done:
            became = "opened" if each.opens else "closed"
            logger.warning("alert %s is %s: %.300r", each.alert.name, became, each.detail)
        return done
