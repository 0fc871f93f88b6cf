"""Bypass passes: who may pass closed windows without being an admin of the application, and until when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from .modes import Mode
from .windows import MaintenanceWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class BypassPass:
    """Lets whoever carries it through windows for a while; only one that the state holds is good for anything.

    It stays in the state, marked, when it is revoked: a state that was lost and found again can then not revive it.

    Attributes:
        id: unique, short, printable; what is handed out is this id with its signature.
        name: who it is for.
        expires_at: first instant at which it is good for nothing (UTC).
        window_id: the only window that it opens; ``None``: it opens every normal one.
        opens_emergencies: whether it opens emergencies too.
        is_revoked: whether it was taken back before its time.
    """

    id: str
    name: str
    expires_at: datetime
    window_id: str | None = None
    opens_emergencies: bool = False
    is_revoked: bool = False

    def is_live(self, now: datetime) -> bool:
        """Whether it is good for anything at this instant."""
        return not self.is_revoked and now < self.expires_at

    def opens(self, window: MaintenanceWindow) -> bool:
        """Whether it opens this window while it is live."""
        if self.window_id not in {None, window.id}:
            return False
        return self.opens_emergencies or window.mode is not Mode.EMERGENCY


def merged_passes(known: Iterable[BypassPass], stored: Iterable[BypassPass]) -> tuple[BypassPass, ...]:
    """Return what two states say together: every pass that either holds, revoked if either says so."""
    passes = {each.id: each for each in stored}
    for each in known:
        other = passes.get(each.id, each)
        passes[each.id] = replace(each, is_revoked=each.is_revoked or other.is_revoked)
    return tuple(sorted(passes.values(), key=lambda each: (each.expires_at, each.id)))
