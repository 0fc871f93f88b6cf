"""What the store holds, and the pure function from it to what is in force."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from .alerts import Alert
from .audit_head import NO_HEAD, AuditHead
from .modes import Mode
from .operations import OperationType
from .passes import BypassPass
from .schedules import Schedule
from .sessions import FIRST_EPOCH, SessionEpoch, SessionPolicy
from .windows import MaintenanceWindow

MOST_COMMITS = 128
"""How many commits a state remembers; about twenty windows' worth."""


@dataclass(frozen=True, slots=True)
class MaintenanceState:
    """All that is committed together.

    A revision alone does not say what a state contains: a store that lost something begins anew from an older one, and
    two commits may then bear one revision. The commits do: a state that contains another's last commit comes after it.

    Attributes:
        revision: grows with every commit.
        windows: every window that somebody opened, scheduled or changed, and of the recurring ones those of which
            something must be remembered.
        schedules: the recurring windows; what they open need not stand in ``windows``.
        commits: ids of the commits that it contains, this one's last; the oldest are dropped. Empty: not known.
        sessions: up to where sessions are over.
        passes: the bypass passes that are out, revoked ones too, until they have expired.
        alerts: those that are open.
        audit: where the chain of audit records stands.
    """

    revision: int = 0
    windows: tuple[MaintenanceWindow, ...] = ()
    schedules: tuple[Schedule, ...] = ()
    commits: tuple[str, ...] = ()
    sessions: SessionEpoch = FIRST_EPOCH
    passes: tuple[BypassPass, ...] = ()
    alerts: tuple[Alert, ...] = ()
    audit: AuditHead = NO_HEAD

    @property
    def commit_id(self) -> str:
        """Id of the commit that made it; empty: not known."""
        return self.commits[-1] if self.commits else ""

    def contains(self, other: MaintenanceState) -> bool:
        """Whether nothing that is in ``other`` was lost on the way to this state.

        Of one that is older than all the commits that are still known here it is taken for granted.
        """
        if other.commit_id in self.commits or not other.revision:
            return True
        if not other.commits or not self.commits:  # from before commits had ids, or made by hand
            return self.revision >= other.revision
        return len(self.commits) >= MOST_COMMITS and revision_of(self.commits[0]) > other.revision

    def all_windows(self) -> Iterator[MaintenanceWindow]:
        """Return the windows, and those that the schedules add to them."""
        yield from self.windows
        if self.schedules:
            remembered = {window.id for window in self.windows}
            for schedule in self.schedules:
                yield from (window for window in schedule.windows() if window.id not in remembered)

    def find(self, window_id: str) -> MaintenanceWindow | None:
        """Return the window of this id, also one that a schedule adds."""
        return next((window for window in self.all_windows() if window.id == window_id), None)

    def find_schedule(self, schedule_id: str) -> Schedule | None:
        """Return the schedule of this id."""
        return next((schedule for schedule in self.schedules if schedule.id == schedule_id), None)

    def upcoming(self, now: datetime) -> list[MaintenanceWindow]:
        """Return the windows that are still to open, the next one first."""
        waiting = (w for w in self.all_windows() if not w.is_open(now) and not w.is_over(now))
        return sorted(waiting, key=lambda window: (window.starts_at, window.id))


@dataclass(frozen=True, slots=True)
class EffectiveMaintenance:
    """What is in force at one instant.

    Attributes:
        windows: the open windows, strictest mode first, then by start.
        next_change: the next instant (UTC) at which this may differ without a commit; ``None``: never.
    """

    windows: tuple[MaintenanceWindow, ...] = ()
    next_change: datetime | None = None

    @property
    def is_active(self) -> bool:
        """Whether any window is open, a test window included."""
        return bool(self.windows)

    @property
    def mode(self) -> Mode | None:
        """The strictest mode among the open windows."""
        return self.windows[0].mode if self.windows else None

    @property
    def enforced(self) -> tuple[MaintenanceWindow, ...]:
        """The open windows that refuse something."""
        return tuple(window for window in self.windows if window.mode.is_enforced)

    def blocking(self, operation: OperationType) -> MaintenanceWindow | None:
        """The strictest open window that refuses this type, or ``None``."""
        return next((w for w in self.windows if w.mode.is_enforced and w.covers(operation)), None)

    def testing(self, operation: OperationType) -> MaintenanceWindow | None:
        """The open test window that would refuse this type, or ``None``."""
        return next((w for w in self.windows if not w.mode.is_enforced and w.covers(operation)), None)

    @property
    def suspends_sessions(self) -> bool:
        """Whether the sessions of everyone but admins do not count now.

        So do those that a window revokes, from its start until the commit that notes it.
        """
        return any(
            window.session_policy is SessionPolicy.SUSPEND
            or (window.session_policy is SessionPolicy.REVOKE and not window.has_revoked_sessions)
            for window in self.windows
            if window.mode.is_enforced
        )

    @property
    def locks_sessions_out(self) -> bool:
        """Whether a window has revoked everyone's sessions and lets nobody but admins begin a new one."""
        return any(
            w.session_policy is SessionPolicy.REVOKE and w.has_revoked_sessions and w.refuses_logins
            for w in self.windows
            if w.mode.is_enforced
        )

    @property
    def refusing_logins(self) -> MaintenanceWindow | None:
        """The strictest open window that lets nobody but admins log in, or ``None``."""
        return next((w for w in self.windows if w.mode.is_enforced and w.refuses_logins), None)

    def blocked(self, operations: Iterable[OperationType]) -> tuple[OperationType, ...]:
        """Those of the given types that some open window refuses."""
        return tuple(operation for operation in operations if self.blocking(operation) is not None)


def commit_id(revision: int, unique: str) -> str:
    """Return the id of the commit that made this revision, told from others of the same revision by ``unique``."""
    return f"{revision:x}.{unique}"


def revision_of(commit: str) -> int:
    """Return the revision that a commit made."""
    return int(commit.partition(".")[0], 16)


def effective(state: MaintenanceState, now: datetime) -> EffectiveMaintenance:
    """Return what is in force at ``now``; overlapping windows add up and never end each other."""
    changes: list[datetime] = []
    windows: list[MaintenanceWindow] = []
    for window in (*state.windows, *_recurring(state, now, changes)):
        if window.is_over(now):
            continue
        if not window.is_open(now):
            changes.append(window.starts_at)
            continue
        windows.append(window)
        if window.ends_at is not None:
            changes.append(window.ends_at)
    windows.sort(key=lambda window: (-window.mode.strictness, window.starts_at, window.id))
    return EffectiveMaintenance(tuple(windows), min(changes, default=None))


def _recurring(state: MaintenanceState, now: datetime, changes: list[datetime]) -> Iterator[MaintenanceWindow]:
    """Return what schedules alone have open; make values of none that is far from its time."""
    if not state.schedules:
        return
    remembered = {window.id for window in state.windows}
    for schedule in state.schedules:
        for start in schedule.occurrences:
            if start > now:
                changes.append(start)
                break
            if start + schedule.length > now and schedule.window_id(start) not in remembered:
                yield schedule.window(start)
