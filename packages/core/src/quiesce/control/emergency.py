"""Emergencies: one call that refuses first, steps that follow, and an end that is checked."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ..model import (
    AmbiguousWindowError,
    EmergencyProgress,
    EmergencyRecovery,
    EmergencyStep,
    InvalidValueError,
    MaintenanceState,
    MaintenanceWindow,
    Mode,
    NoOpenWindowError,
    NoSuchWindowError,
    NotRecoveredError,
    OperationType,
    RecoveryCheck,
    SessionPolicy,
    StoreError,
    effective,
)
from .emergency_acts import STEPS
from .emergency_checks import describe_checks, recovery_checks
from .emergency_notes import note_recovery, read_progress, read_recoveries
from .emergency_standby import Standby
from .journal import Journal
from .validation import check_actor, check_resolution
from .window_changes import ended
from .writing import CommandWriter

if TYPE_CHECKING:
    from .runtime import Runtime

_LOOK_SECONDS = 0.1

logger = logging.getLogger("quiesce")


class EmergencyMaintenanceHandler:
    """Begins emergencies, follows their steps, and ends them by their checklist; reached as ``service.emergency``."""

    def __init__(self, runtime: Runtime, *, writer: CommandWriter, enable: Callable[..., MaintenanceWindow]) -> None:
        self._runtime = runtime
        self._writer = writer
        self._enable = enable

    def activate(
        self,
        *,
        reason: str,
        actor: str,
        source: str = "api",
        duration: timedelta | float | None = None,
        timeout: timedelta | float | None = None,
        overlap: bool = False,
        operations: Iterable[OperationType | str] | None = None,
        allow: Iterable[OperationType | str] | None = None,
        ticket: str = "",
        notify_users: bool = True,
        sessions: SessionPolicy | str | None = None,
    ) -> MaintenanceWindow:
        """Refuse everything to everyone but admins, and return the window as soon as that is committed and shown.

        The steps follow by themselves: the leading worker carries them out, or this process when no worker lives; it
        must not end before they are done then, so ``wait`` for them.

        Args:
            reason: what users and the audit trail are told; 1 to 1,000 printable characters.
            actor: who asks.
            source: through what: ``cli``, ``http``, ``api``.
            duration: estimate, as a span or in seconds; ends nothing.
            timeout: after which the emergency is over by itself; without one only a person ends it.
            overlap: begin it although another emergency is on. What is open in another mode is never in the way.
            operations: the types to refuse; ``None``: all but those of admins.
            allow: types that pass all the same.
            ticket: a link or number.
            notify_users: whether users are told.
            sessions: as of ``service.enable``.

        Raises:
            InvalidValueError: something asked for is not valid; nothing changed.
            WindowOpenError: an emergency is on already, and no overlap was asked for.
            StoreError: the store does not answer.
        """
        window = self._enable(
            reason=reason,
            mode=Mode.EMERGENCY,
            duration=duration,
            timeout=timeout,
            overlap=overlap,
            operations=operations,
            allow=allow,
            ticket=ticket,
            notify_users=notify_users,
            sessions=sessions,
            actor=actor,
            source=source,
        )
        agent = self._runtime.agent
        if agent is None or agent.worker is None:
            Standby.of(self._runtime).attend(window.id)
        return window

    def progress(self, window_id: str | None = None) -> EmergencyProgress:
        """Return how far the steps are, of the emergency that began first or of the one named, also when it is over.

        Raises:
            NoOpenWindowError: no emergency is on, and none was named.
            NoSuchWindowError: nothing is known of an emergency of this id.
            StoreError: the store does not answer; nothing is known then.
        """
        if window_id is None:
            window_id = _choose(self._runtime.committer.load(), self._runtime.clock.now(), None, first=True).id
        noted = read_progress(self._runtime.store.items, window_id)
        if noted is not None:
            return noted
        window = self._runtime.committer.load().find(window_id)
        if window is None or window.mode is not Mode.EMERGENCY:
            raise NoSuchWindowError(window_id)
        return EmergencyProgress(window_id=window_id, steps=tuple(EmergencyStep(name=kind.name) for kind in STEPS))

    def wait(
        self,
        window_id: str | None = None,
        *,
        timeout: timedelta | float,
        watch: Callable[[EmergencyProgress], object] | None = None,
    ) -> EmergencyProgress:
        """Return the progress when every step is done or the emergency is over, or the last one when the time is up.

        Args:
            window_id: of the emergency; ``None``: the one that began first.
            timeout: how long to wait at most, as a span or in seconds.
            watch: is told the progress at each look.

        Raises:
            NoOpenWindowError: no emergency is on, and none was named.
            NoSuchWindowError: nothing is known of an emergency of this id.
            StoreError: the store did not answer until the time was up.
        """
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else float(timeout)
        deadline = time.monotonic() + seconds
        while True:
            try:
                progress = self.progress(window_id)
                window_id = progress.window_id
                if watch is not None:
                    watch(progress)
                if progress.is_settled or time.monotonic() >= deadline or not self._is_open(window_id):
                    return progress
            except StoreError:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(min(_LOOK_SECONDS, max(0.0, deadline - time.monotonic())))

    def checklist(
        self, window_id: str | None = None, *, threat_resolved: str = "", is_ledger_reviewed: bool = False
    ) -> tuple[RecoveryCheck, ...]:
        """Go through the checklist and end nothing; each line says whether it was looked at or is a person's word.

        Args:
            window_id: of the emergency; ``None``: the only one.
            threat_resolved: what was done about the threat; empty: it is not resolved.
            is_ledger_reviewed: whether a person has looked at the jobs that were ended.

        Raises:
            InvalidValueError: the text is not fit.
            NoOpenWindowError: no emergency is on, or not the one named.
            AmbiguousWindowError: several are on, and none was named.
            StoreError: the store does not answer.
        """
        window = _choose(self._runtime.committer.load(), self._runtime.clock.now(), window_id)
        return recovery_checks(
            self._runtime,
            window,
            threat_resolved=check_resolution(threat_resolved),
            is_ledger_reviewed=is_ledger_reviewed,
        )

    def recover(
        self,
        window_id: str | None = None,
        *,
        threat_resolved: str = "",
        is_ledger_reviewed: bool = False,
        force: bool = False,
        actor: str,
        source: str = "api",
    ) -> EmergencyRecovery:
        """End an emergency if every line of its checklist is ok, and return what was seen.

        Args:
            window_id: of the emergency; ``None``: the only one.
            threat_resolved: what was done about the threat.
            is_ledger_reviewed: whether a person has looked at the jobs that were ended.
            force: end it although a line is not ok; the audit trail says so.
            actor: who asks.
            source: through what.

        Raises:
            NotRecoveredError: a line is not ok; the emergency goes on, and the try is noted.
            InvalidValueError: something asked for is not valid; nothing changed.
            NoOpenWindowError: no emergency is on, or not the one named.
            AmbiguousWindowError: several are on, and none was named.
            StoreError: the store does not answer.
        """
        actor = check_actor(actor)
        if not isinstance(force, bool):
            raise InvalidValueError("force", "is neither True nor False")
        window = _choose(self._runtime.committer.load(), self._runtime.clock.now(), window_id)
        checks = self.checklist(window.id, threat_resolved=threat_resolved, is_ledger_reviewed=is_ledger_reviewed)
        is_ok = all(check.is_ok for check in checks)
        ends = is_ok or force
        self._writer.commit(_recovered(window, checks, ends=ends), actor=actor, source=source)
        recovery = EmergencyRecovery(
            window_id=window.id,
            at=self._runtime.clock.now(),
            actor=actor,
            checks=checks,
            was_ended=ends,
            was_forced=ends and not is_ok,
        )
        try:
            note_recovery(self._runtime.store.items, recovery)
        except StoreError as exc:
            logger.warning("the audit trail has the checklist of emergency %s, its notes have not: %s", window.id, exc)
        if not ends:
            raise NotRecoveredError(window.id, checks)
        return recovery

    def recoveries(self, window_id: str) -> tuple[EmergencyRecovery, ...]:
        """Return every try to end this emergency by its checklist, the oldest first.

        Raises:
            StoreError: the store does not answer.
        """
        return read_recoveries(self._runtime.store.items, window_id)

    def _is_open(self, window_id: str) -> bool:
        window = self._runtime.committer.load().find(window_id)
        return window is not None and window.is_open(self._runtime.clock.now())


def _choose(state: MaintenanceState, now: datetime, window_id: str | None, *, first: bool = False) -> MaintenanceWindow:
    open_ = [window for window in effective(state, now).windows if window.mode is Mode.EMERGENCY]
    if window_id is not None:
        open_ = [window for window in open_ if window.id == window_id]
    if not open_:
        raise NoOpenWindowError("no emergency is on" if window_id is None else f"no emergency {window_id!r:.80} is on")
    if len(open_) > 1 and not first:
        raise AmbiguousWindowError([window.id for window in open_])
    return open_[0]


def _recovered(
    window: MaintenanceWindow, checks: tuple[RecoveryCheck, ...], *, ends: bool
) -> Callable[[MaintenanceState, datetime, Journal], MaintenanceState]:
    def change(state: MaintenanceState, now: datetime, journal: Journal) -> MaintenanceState:
        is_ok = all(check.is_ok for check in checks)
        action = "emergency.recovered" if ends else "emergency.not_recovered"
        journal.note(action, window_id=window.id, detail=describe_checks(checks), result="done" if ends else "refused")
        if not ends:
            return replace(state)  # the very state would mean that there is nothing to write
        how = "by its checklist" if is_ok else "by force, against its checklist"
        return ended(state, window_id=window.id, end_all=False, now=now, journal=journal, by_checklist=how)[0]

    return change
