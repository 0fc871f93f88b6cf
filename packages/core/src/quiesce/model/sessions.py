"""Which sessions are valid: one epoch for all of them, and what an open window does to them.

An adapter stamps the epoch's generation into a session when somebody logs in, so that no clocks are compared. A session
without a stamp is of generation 0. Tokens that carry nothing but their time of issue (RFC 7519, ``iat``) are compared
with the time of the revocation; equal counts as old, because ``iat`` has whole seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from .errors import InvalidValueError

MOST_USERS = 256
"""How many users' sessions can be ended one by one before all have to be: the state has to stay small."""


class SessionPolicy(StrEnum):
    """What a window does to the sessions of everyone but admins."""

    REVOKE = "revoke"
    """They end for good; people log in anew afterwards."""
    SUSPEND = "suspend"
    """They do not count while the window is open, and are valid again afterwards."""
    KEEP = "keep"
    """Nothing happens to them."""


class SessionVerdict(StrEnum):
    """What is true of one session, or token, at this moment."""

    VALID = "valid"
    REVOKED = "revoked"
    """It is over, and the adapter clears it."""
    SUSPENDED = "suspended"
    """It does not count until the window ends, and must come through that untouched."""


@dataclass(frozen=True, slots=True)
class UserRevocation:
    """The end of one user's sessions.

    Attributes:
        user_id: whose.
        generation: sessions of a lower one are over.
        at: when (UTC).
    """

    user_id: str
    generation: int
    at: datetime


@dataclass(frozen=True, slots=True)
class SessionEpoch:
    """Up to where sessions are over, whatever their number.

    Attributes:
        generation: what a login is stamped with; grows by one with every revocation.
        valid_from: sessions of a lower generation are over, whosever they are.
        valid_after: when that was decided (UTC); ``None``: never.
        users: single users whose sessions were ended since, the oldest first.
        window_id: the window that ended everyone's; ``None``: an operator's own command, or nobody has.
    """

    generation: int = 0
    valid_from: int = 0
    valid_after: datetime | None = None
    users: tuple[UserRevocation, ...] = ()
    window_id: str | None = None

    def revoked(self, *, at: datetime, window_id: str | None = None) -> SessionEpoch:
        """Return the epoch in which every session of today is over, because of this window if there is one."""
        generation = self.generation + 1
        return SessionEpoch(generation, generation, at, window_id=window_id)

    def revoked_for(self, user_id: str, *, at: datetime) -> SessionEpoch:
        """Return the epoch in which this user's sessions of today are over.

        Raises:
            InvalidValueError: too many users' sessions were ended one by one since all of them were.
        """
        generation = self.generation + 1
        others = tuple(user for user in self.users if user.user_id != user_id)
        if len(others) >= MOST_USERS:
            raise InvalidValueError(
                "user", f"the sessions of {MOST_USERS} users were ended one by one; end those of everyone instead"
            )
        return replace(self, generation=generation, users=(*others, UserRevocation(user_id, generation, at)))

    @property
    def latest(self) -> datetime | None:
        """When sessions were last ended (UTC); ``None``: never."""
        ends = [user.at for user in self.users] + ([] if self.valid_after is None else [self.valid_after])
        return max(ends, default=None)

    def contains(self, other: SessionEpoch) -> bool:
        """Whether everything that is over in the other is over in this one, which came after it."""
        if other in (self, FIRST_EPOCH):
            return True
        if self.generation <= other.generation or self.valid_from < other.valid_from:
            return False
        if self.latest is None or other.latest is None or self.latest < other.latest:
            return False
        ended = {user.user_id: user.generation for user in self.users}
        return all(max(self.valid_from, ended.get(user.user_id, 0)) >= user.generation for user in other.users)

    def invalidations(self, *, above: int = 0) -> tuple[SessionInvalidation, ...]:
        """Return what was ended after this generation, the oldest first."""
        found = [
            SessionInvalidation(generation=user.generation, at=user.at, user_id=user.user_id) for user in self.users
        ]
        if self.valid_after is not None:
            found.append(SessionInvalidation(generation=self.valid_from, at=self.valid_after, window_id=self.window_id))
        return tuple(sorted((each for each in found if each.generation > above), key=lambda each: each.generation))

    def may_be_over(self, stamp: int) -> bool:
        """Whether a session of this generation is over, or would be if it were a certain user's."""
        return stamp < self.valid_from or (stamp < self.generation and bool(self.users))

    def is_over(self, user_id: str, *, stamp: int | None, issued_at: datetime | None) -> bool:
        """Whether a session of this user is over.

        Args:
            user_id: whose it is.
            stamp: its generation; ``None``: it carries none, and ``issued_at`` decides.
            issued_at: when it was issued (UTC); a session with neither is of generation 0.
        """
        if stamp is None and issued_at is not None:
            ends = [self.valid_after, *(user.at for user in self.users if user.user_id == user_id)]
            return any(at is not None and issued_at.timestamp() <= at.timestamp() for at in ends)
        generation = stamp or 0
        if generation < self.valid_from:
            return True
        return any(generation < user.generation for user in self.users if user.user_id == user_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInvalidation:
    """Sessions that are over: what plugins are told, so that they delete what is stored of them.

    Attributes:
        generation: stored sessions of a lower one are over.
        at: when that was decided (UTC); tokens issued until then are over.
        user_id: only this user's; ``None``: everyone's but the admins'.
        window_id: the window that did it; ``None``: an operator's own command.
    """

    generation: int
    at: datetime
    user_id: str | None = None
    window_id: str | None = None


FIRST_EPOCH = SessionEpoch()
"""In which nobody's sessions were ever ended."""


def merged_epochs(one: SessionEpoch, other: SessionEpoch) -> SessionEpoch:
    """Return the epoch in which whatever is over in either is over.

    When neither contains the other, after a store has lost something, every session of today is over: rather one log-in
    too many than one session too long.
    """
    older, newer = sorted((one, other), key=lambda epoch: epoch.generation)
    if newer.contains(older):
        return newer
    times = [at for at in (older.latest, newer.latest) if at is not None]
    return newer.revoked(at=max(times)) if times else newer
