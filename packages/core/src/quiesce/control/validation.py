"""What an operator may ask for; every fault is an ``InvalidValueError`` that names the field, and changes nothing."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from ..model import InvalidValueError, Lease, Mode, OperationType, SessionPolicy

LONGEST_REASON = 1000
"""In characters."""
LONGEST_DURATION = timedelta(days=366)
MOST_ANNOUNCEMENTS = 10
LEASE_RENEWAL_SECONDS = 2.0
"""How often the holder of a window renews its lease."""

_KIND = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")
_CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})
_INVISIBLE = frozenset({"Cf", "Zs"})
# Bidirectional embeddings, overrides and isolates make a text show in another order than it reads (UTR 36); the marks,
# joiners and other format characters that languages and emoji need are left alone.
_REORDERING = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))


def check_reason(reason: object) -> str:
    """Return the reason without surrounding blanks: 1 to 1,000 printable characters."""
    return _check_text("reason", reason, longest=LONGEST_REASON)


def check_resolution(text: object) -> str:
    """Return what was done about a threat without surrounding blanks: up to 1,000 printable characters; or nothing."""
    return "" if text == "" else _check_text("threat_resolved", text, longest=LONGEST_REASON)


def check_actor(actor: object, *, field: str = "actor") -> str:
    """Return the name of who acts, or of whose a window is: 1 to 200 printable characters."""
    return _check_text(field, actor, longest=200)


def check_user(user_id: object) -> str:
    """Return the application's own id of a user: 1 to 200 printable characters."""
    return _check_text("user", user_id, longest=200)


def check_mode(mode: object) -> Mode:
    """Return the mode that a name stands for."""
    try:
        return Mode(mode)  # type: ignore[arg-type]  # anything may come from a client; the lookup refuses it
    except ValueError:
        raise InvalidValueError("mode", f"{mode!r:.80} is none of {', '.join(Mode)}") from None


def check_session_policy(policy: object) -> SessionPolicy | None:
    """Return what a window does to sessions; ``None`` stays: what such a window does by itself."""
    if policy is None:
        return None
    try:
        return SessionPolicy(policy)  # type: ignore[arg-type]  # anything may come from a client; the lookup refuses it
    except ValueError:
        raise InvalidValueError("sessions", f"{policy!r:.80} is none of {', '.join(SessionPolicy)}") from None


def check_duration(field: str, duration: object) -> timedelta | None:
    """Return a positive span of at most 366 days from a ``timedelta`` or a number of seconds; ``None`` stays."""
    if duration is None:
        return None
    if isinstance(duration, timedelta):
        span = duration
    elif isinstance(duration, bool) or not isinstance(duration, int | float):
        raise InvalidValueError(field, f"{duration!r:.80} is not a number of seconds")
    elif not 0 <= duration <= LONGEST_DURATION.total_seconds():
        raise InvalidValueError(field, "is not between 0 and 366 days")
    else:
        span = timedelta(seconds=duration)
    if not timedelta(0) < span <= LONGEST_DURATION:
        raise InvalidValueError(field, f"{span.total_seconds():g} seconds is not between 0 and 366 days")
    return span


def check_operations(
    operations: object, known: Mapping[str, OperationType], *, field: str = "operations"
) -> frozenset[str] | None:
    """Return the names of the given types (names or types), each known; ``None`` stays: the mode's default."""
    if operations is None:
        return None
    if isinstance(operations, str) or not isinstance(operations, Iterable):
        raise InvalidValueError(field, "must be a list of operation types")
    names: set[str] = set()
    for operation in operations:
        name = operation.name if isinstance(operation, OperationType) else operation
        if not isinstance(name, str) or name.lower() not in known:
            raise InvalidValueError(
                field, f"{name!r:.80} is no known operation type; known are {', '.join(sorted(known))}"
            )
        names.add(name.lower())
    if not names:
        raise InvalidValueError(field, "names no operation type; leave it out for the mode's default")
    return frozenset(names)


def check_ticket(ticket: object) -> str:
    """Return a ticket's link or number: at most 500 printable characters; empty: none."""
    return "" if ticket in (None, "") else _check_text("ticket", ticket, longest=500)


def check_id(id_: object) -> str:
    """Return an id that an operator chose: 1 to 40 letters, digits, ``-`` or ``_``."""
    if not isinstance(id_, str) or not _ID.fullmatch(id_):
        raise InvalidValueError("id", f"{id_!r:.80} is not made of 1 to 40 letters, digits, '-' and '_'")
    return id_


def check_job_kind(kind: object) -> str:
    """Return what a job does: 1 to 64 letters, digits, ``-``, ``_``, ``.`` or ``:``."""
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise InvalidValueError("kind", f"{kind!r:.80} is not made of 1 to 64 letters, digits, '-', '_', '.' and ':'")
    return kind


def check_pass_name(name: object) -> str:
    """Return who a bypass pass is for: 1 to 64 printable characters."""
    return _check_text("name", name, longest=64)


def check_announcements(announce: object) -> tuple[timedelta, ...]:
    """Return spans before the start, the longest first, at most ten."""
    if isinstance(announce, str) or not isinstance(announce, Iterable):
        raise InvalidValueError("announce", "must be a list of durations")
    spans = {check_duration("announce", before) for before in itertools.islice(announce, MOST_ANNOUNCEMENTS + 1)}
    if None in spans or len(spans) > MOST_ANNOUNCEMENTS:
        raise InvalidValueError("announce", f"must be at most {MOST_ANNOUNCEMENTS} durations")
    return tuple(sorted((span for span in spans if span is not None), reverse=True))


def check_moment(field: str, moment: object) -> datetime:
    """Return a date and time, with or without a zone, from a ``datetime`` or its ISO 8601 text."""
    if isinstance(moment, str) and len(moment) <= 64:
        try:
            moment = datetime.fromisoformat(moment.strip())
        except ValueError:
            raise InvalidValueError(field, f"{moment!r:.80} is no time such as 2027-03-28T02:30") from None
    if not isinstance(moment, datetime):
        raise InvalidValueError(field, f"{moment!r:.80} is no time such as 2027-03-28T02:30")
    if not 2000 <= moment.year < 9000:
        raise InvalidValueError(field, f"the year {moment.year} is out of reach")
    return moment


def check_lease(lease: Lease) -> Lease:
    """Return the lease: its span is long enough for three renewals, and at most a day."""
    if not LEASE_RENEWAL_SECONDS * 3 <= lease.seconds <= 86400:
        raise InvalidValueError(
            "lease",
            f"{lease.seconds:g} s is not between {LEASE_RENEWAL_SECONDS * 3:g} s, three renewals, and a day",
        )
    return Lease(
        holder=_check_text("holder", lease.holder, longest=500), seconds=lease.seconds, releases=lease.releases
    )


def _check_text(field: str, value: object, *, longest: int) -> str:
    if not isinstance(value, str):
        raise InvalidValueError(field, "must be a text")
    import unicodedata  # noqa: PLC0415 - tables of 100 kB, which only a command needs

    text = value.strip()
    if all(unicodedata.category(character) in _INVISIBLE for character in text):
        raise InvalidValueError(field, "must not be empty")
    if len(text) > longest:
        raise InvalidValueError(field, f"is {len(text)} characters long; at most {longest} are allowed")
    for character in text:
        if unicodedata.category(character) in _CONTROLS or character in _REORDERING:
            raise InvalidValueError(field, f"contains the control character U+{ord(character):04X}")
    return text
