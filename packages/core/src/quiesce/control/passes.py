"""The commands on bypass passes: issue, revoke, and who holds one."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ..model import (
    BypassPass,
    ConflictError,
    InvalidValueError,
    MaintenanceState,
    Mode,
    NoSuchPassError,
    NoSuchWindowError,
)
from .commands import without_expired_passes
from .journal import Journal
from .runtime import Runtime
from .validation import check_actor, check_duration, check_pass_name
from .writing import CommandWriter

DEFAULT_LIFETIME = timedelta(hours=1)
LONGEST_LIFETIME = timedelta(hours=24)
MOST_PASSES = 50
"""How many can be out at once: the state carries them to every process."""


@dataclass(frozen=True, slots=True)
class IssuedPass:
    """A pass as it is handed out, once: nothing keeps its text.

    Attributes:
        granted: what the state holds.
        text: what its holder sends; whoever has it passes, so treat it as a password.
    """

    granted: BypassPass
    text: str = field(repr=False)


class PassDesk:
    """Issues and revokes bypass passes; reached as ``service.passes``.

    Every method raises ``StoreError`` when the store does not answer. When it raises anything else nothing has changed.
    """

    def __init__(self, runtime: Runtime, *, writer: CommandWriter) -> None:
        self._runtime = runtime
        self._writer = writer

    def issue(
        self,
        *,
        name: str,
        lifetime: timedelta | float | None = None,
        window_id: str | None = None,
        emergency: bool = False,
        actor: str,
        source: str = "api",
    ) -> IssuedPass:
        """Issue a pass, and return it once it is committed; workers of other machines take it as soon as they hear.

        Args:
            name: who it is for; 1 to 64 printable characters. Several passes may have one name.
            lifetime: from now, as a span or in seconds; an hour unless given, a day at most.
            window_id: the only window that it opens, open or still to come; ``None``: it opens every normal one.
            emergency: whether it opens emergencies too.
            actor: who asks.
            source: through what: ``cli``, ``api``.

        Raises:
            SettingsError: ``MAINTENANCE_SECRET_KEY`` is not set.
            InvalidValueError: something asked for is not valid.
            NoSuchWindowError: there is no such window, or it is over.
            ConflictError: too many passes are out.
        """
        signer = self._runtime.pass_signer
        name, actor, span = check_pass_name(name), check_actor(actor), _check_lifetime(lifetime)
        pass_id = secrets.token_hex(8)
        issued: list[BypassPass] = []

        def change(state: MaintenanceState, now: datetime, journal: Journal) -> MaintenanceState:
            if window_id is not None:
                _check_window(state, window_id, now=now, emergency=emergency)
            granted = BypassPass(
                id=pass_id, name=name, expires_at=now + span, window_id=window_id, opens_emergencies=emergency
            )
            kept = without_expired_passes(state, now).passes
            if len(kept) >= MOST_PASSES:
                raise ConflictError(f"{len(kept)} passes are out or were revoked and have not expired; no more fit")
            issued[:] = [granted]
            journal.note("pass.issued", window_id=window_id, detail=_describe(granted))
            return replace(state, passes=(*kept, granted))

        self._writer.commit(change, actor=actor, source=source, adds=True)
        return IssuedPass(issued[0], signer.sign(pass_id))

    def revoke(self, name_or_id: str, *, actor: str, source: str = "api") -> tuple[BypassPass, ...]:
        """Take back every live pass of this name, or the one of this id; return what was revoked. Needs no key.

        Raises:
            NoSuchPassError: there is none that is still good for anything.
        """
        revoked: list[BypassPass] = []

        def change(state: MaintenanceState, now: datetime, journal: Journal) -> MaintenanceState:
            meant = [each for each in state.passes if name_or_id in {each.id, each.name} and each.is_live(now)]
            if not meant:
                raise NoSuchPassError(name_or_id)
            revoked[:] = [replace(each, is_revoked=True) for each in meant]
            for each in meant:
                journal.note("pass.revoked", window_id=each.window_id, detail=_describe(each))
            marked = {each.id: each for each in revoked}
            return replace(state, passes=tuple(marked.get(each.id, each) for each in state.passes))

        self._writer.commit(change, actor=check_actor(actor), source=source)
        return tuple(revoked)

    def live(self) -> tuple[BypassPass, ...]:
        """Return the passes that are good for something now, the next to expire first."""
        state, now = self._runtime.committer.load(), self._runtime.clock.now()
        return tuple(sorted((p for p in state.passes if p.is_live(now)), key=lambda p: (p.expires_at, p.id)))

    def read(self, text: str) -> BypassPass | None:
        """Return the live pass that a text is, by what this process applies, or ``None``; asks no store."""
        gate = self._runtime.gate
        gate.renew()
        return gate.passes.read(text)

    def opening(self, method: str, path: str) -> tuple[BypassPass, ...]:
        """Return the live passes by which such a request would pass, if it is refused now."""
        gate = self._runtime.gate
        gate.adopt(self._runtime.committer.load())
        return gate.passes.opening(method.upper(), path)


def _check_lifetime(lifetime: timedelta | float | None) -> timedelta:
    span = check_duration("lifetime", lifetime) or DEFAULT_LIFETIME
    if span > LONGEST_LIFETIME:
        raise InvalidValueError("lifetime", f"{span.total_seconds():g} seconds is more than 24 hours")
    return span


def _check_window(state: MaintenanceState, window_id: str, *, now: datetime, emergency: bool) -> None:
    window = state.find(window_id)
    if window is None or window.is_over(now):
        raise NoSuchWindowError(window_id)
    if window.mode is Mode.TEST:
        raise InvalidValueError("window_id", f"{window_id} is a test window; it refuses nothing")
    if window.mode is Mode.EMERGENCY and not emergency:
        raise InvalidValueError("window_id", f"{window_id} is an emergency; say that the pass is to open emergencies")


def _describe(one: BypassPass) -> str:
    opened = "normal windows" if one.window_id is None else "its window"
    also = " and emergencies" if one.opens_emergencies and one.window_id is None else ""
    return f"{one.id} for {one.name} until {one.expires_at:%Y-%m-%dT%H:%M:%SZ}; opens {opened}{also}"
