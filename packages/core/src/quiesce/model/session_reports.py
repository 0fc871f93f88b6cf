"""What is known of sessions: how many, whose, and whether that knowledge can be relied on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStats:
    """How many sessions were active lately; ``None`` is not known, and not known is never taken for none.

    Attributes:
        users: sessions of everyone but admins, without those that are over.
        admins: sessions of admins.
        within: how far back was looked.
        is_estimate: whether there may be more: the index is full, or a worker saw more than it could note.
        is_tracked: whether a worker has told the index of activity in the last minute.
    """

    users: int | None
    admins: int | None
    within: timedelta
    is_estimate: bool
    is_tracked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveSession:
    """One session of the index.

    Attributes:
        id: tells it from others; a keyed hash, of which no cookie can be made.
        user_id: whose.
        is_admin: whether they were an admin then.
        idle: since it was last active, to within about ten seconds.
        is_over: whether it was ended since.
    """

    id: str
    user_id: str
    is_admin: bool
    idle: timedelta
    is_over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDeletion:
    """How far a plugin is with deleting what is stored of sessions that are over.

    Attributes:
        plugin: its name.
        generation: stored sessions of a lower one go.
        user_id: only this user's; ``None``: everyone's but the admins'.
        looked_at: how many stored things it has looked at.
        deleted: how many it has deleted.
        expected: about how many there are to look at; ``None``: not known.
        is_done: whether it has come to the end.
        position: where it goes on after a restart, in its own terms.
        idle: since it last told.
    """

    plugin: str
    generation: int
    user_id: str | None = None
    looked_at: int = 0
    deleted: int = 0
    expected: int | None = None
    is_done: bool = False
    position: str = ""
    idle: timedelta = timedelta(0)

    def __str__(self) -> str:
        of = "" if self.expected is None else f" of about {self.expected}"
        whose = "everyone's" if self.user_id is None else f"user {self.user_id}'s"
        state = "done" if self.is_done else f"under way, last heard of {self.idle.total_seconds():.0f} s ago"
        return (
            f"{self.plugin}: {whose} below {self.generation}: {self.deleted} deleted,"
            f" {self.looked_at}{of} looked at, {state}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionHealth:
    """Whether the management of sessions works; as a text it is one line for an operator.

    Attributes:
        is_ok: whether the store answered.
        store: its address, without any password.
        problem: what the store said; empty: nothing is wrong.
        generation: of the sessions that people log in to now; ``None``: not known.
        valid_after: when everyone's sessions were last ended (UTC); ``None``: never, or not known.
        indexed: how many sessions the index holds; ``None``: not known.
        is_tracked: whether a worker has told the index of activity in the last minute.
        is_stale: whether this process goes on with the last state that it knows.
        deletions: how far plugins are with what is stored of sessions that are over.
    """

    is_ok: bool
    store: str
    problem: str = ""
    generation: int | None = None
    valid_after: datetime | None = None
    indexed: int | None = None
    is_tracked: bool = False
    is_stale: bool = False
    deletions: tuple[SessionDeletion, ...] = ()

    def __str__(self) -> str:
        if not self.is_ok:
            return f"NOT ok: store {self.store}: {self.problem}"
        ended = "never" if self.valid_after is None else f"{self.valid_after:%Y-%m-%dT%H:%M:%SZ}"
        tracking = "activity is tracked" if self.is_tracked else "no worker tracks activity"
        stale = "; this process is STALE" if self.is_stale else ""
        deleting = "".join(f"; {deletion}" for deletion in self.deletions if not deletion.is_done)
        return (
            f"ok: store {self.store} answers; generation {self.generation}, everyone's sessions last ended: {ended};"
            f" {self.indexed} in the index, {tracking}{stale}{deleting}"
        )
