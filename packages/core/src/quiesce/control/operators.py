"""Operators' authenticators: enrolling them, taking them back, and accepting each code once (RFC 6238)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import ModuleType

from ..model import (
    ConflictError,
    InvalidValueError,
    MaintenanceState,
    MissingExtraError,
    NoSuchOperatorError,
    Operator,
    StoreCorruptError,
    StoreUnreachableError,
)
from .journal import Journal
from .runtime import Runtime
from .secrets import secret_box
from .validation import check_actor
from .writing import CommandWriter

COLLECTION = "operators"
MOST_OPERATORS = 1_000
STEP_SECONDS = 30

_DRIFT = 1
"""How many steps a code may be early or late."""
_PAGE = 500
_TRIES = 20
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What is told of a new authenticator, once: the store keeps it encrypted, and nothing shows it again.

    Attributes:
        name: whose.
        secret: to be typed into the authenticator (base32).
        uri: the same as an ``otpauth`` address, for a QR code.
    """

    name: str
    secret: str = field(repr=False)
    uri: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeptOperator:
    """What the store holds of one operator.

    Attributes:
        operator: who.
        secret: opened.
        last_step: the time step of the code that was accepted last; only later ones are.
        body: as it is stored.
    """

    operator: Operator
    secret: str = field(repr=False)
    last_step: int
    body: bytes = field(repr=False)


class OperatorDesk:
    """Enrols operators; reached as ``service.operators``.

    Every method raises ``StoreError`` when the store does not answer. When it raises anything else nothing has changed.
    """

    def __init__(self, runtime: Runtime, *, writer: CommandWriter) -> None:
        self._runtime = runtime
        self._writer = writer
        self._items = runtime.store.items

    def prepare(self, name: str) -> Enrolment:
        """Make a secret for an operator; nothing is kept until ``enroll``.

        Args:
            name: the ``user_id`` that the application's ``identify`` gives; 1 to 200 printable characters.

        Raises:
            ConflictError: the operator is enrolled already.
            MissingExtraError: the extra ``totp`` is not installed.
            SettingsError: ``MAINTENANCE_SECRET_KEY`` is not set.
        """
        name = check_actor(name, field="name")
        secret_box(self._runtime.settings)
        self._check_is_free(name)
        service = self._runtime.settings.service_name
        issuer = "Quiesce" if service == "default" else f"Quiesce {service}"
        secret: str = _pyotp().random_base32()
        uri: str = _pyotp().TOTP(secret, interval=STEP_SECONDS).provisioning_uri(name=name, issuer_name=issuer)
        return Enrolment(name, secret, uri)

    def enroll(self, enrolment: Enrolment, *, code: str | None, actor: str, source: str = "api") -> Operator:
        """Keep what ``prepare`` made, and return the operator.

        Args:
            enrolment: what ``prepare`` returned.
            code: what the authenticator shows now, as a proof that it has the secret; ``None``: nobody looked.
            actor: who asks.
            source: through what: ``cli``, ``api``.

        Raises:
            InvalidValueError: the code is not the one of now.
            ConflictError: the operator is enrolled already, or too many are.
            MissingExtraError: the extra ``totp`` is not installed.
            SettingsError: ``MAINTENANCE_SECRET_KEY`` is not set.
        """
        now = self._runtime.clock.now()
        step = 0 if code is None else matching_step(enrolment.secret, code, now=now)
        if step is None:
            raise InvalidValueError("code", "is not what the authenticator should show now; is its clock right?")
        operator = Operator(name=enrolment.name, enrolled_at=now, enrolled_by=check_actor(actor))
        body = self._encode(KeptOperator(operator, enrolment.secret, step, b""))
        self._check_is_free(operator.name)
        if self._items.count(COLLECTION) >= MOST_OPERATORS:
            raise ConflictError(f"{MOST_OPERATORS} operators are enrolled; no more fit")
        confirmed = "confirmed by a code" if code is not None else "not confirmed by a code"
        self._note("operator.enrolled", actor=actor, source=source, detail=f"{operator.name}, {confirmed}")
        key = _key(operator.name)
        if not self._items.put(COLLECTION, {key: body}, expected={key: None}):
            self._check_is_free(operator.name)
        return operator

    def list(self) -> tuple[Operator, ...]:
        """Return who is enrolled, in order of name; needs neither key nor extra."""
        return tuple(sorted(self._all(), key=lambda operator: operator.name))

    def remove(self, name: str, *, actor: str, source: str = "api") -> Operator:
        """Forget an operator's authenticator; needs neither key nor extra.

        Raises:
            NoSuchOperatorError: no operator of this name is enrolled.
        """
        key = _key(name)
        body = self._items.get(COLLECTION, [key]).get(key)
        if body is None:
            raise NoSuchOperatorError(name)
        operator = _members(body)[0]
        self._note("operator.removed", actor=check_actor(actor), source=source, detail=operator.name)
        self._items.put(COLLECTION, {key: None})
        return operator

    def find(self, name: str) -> KeptOperator | None:
        """Return what the store holds of an operator, with the secret; ``None``: not enrolled.

        Raises:
            MissingExtraError: the extra ``totp`` is not installed here.
            SettingsError: ``MAINTENANCE_SECRET_KEY`` is not set, or not the one by which it was encrypted.
        """
        key = _key(name)
        body = self._items.get(COLLECTION, [key]).get(key)
        if body is None:
            return None
        operator, sealed, last_step = _members(body)
        _pyotp()
        secret = secret_box(self._runtime.settings).open(sealed, of=_place(name))
        return KeptOperator(operator, secret, last_step, body)

    def accept(self, kept: KeptOperator, code: str) -> bool:
        """Whether this is a code of now that nobody has used, in any process; it is used from then on."""
        name, known = kept.operator.name, kept
        key = _key(name)
        for _ in range(_TRIES):
            step = matching_step(known.secret, code, now=self._runtime.clock.now(), after=known.last_step)
            if step is None:
                return False
            written = self._encode(replace(known, last_step=step))
            if self._items.put(COLLECTION, {key: written}, expected={key: known.body}):
                return True
            found = self.find(name)
            if found is None:
                return False
            if found.body == written:  # our own change, whose answer was lost on the way
                return True
            known = found
        raise StoreUnreachableError(f"what is kept of operator {name!r:.80} changes too fast to be written")

    def _all(self) -> Iterator[Operator]:
        seen: set[str] = set()
        skip = 0
        while page := self._items.newest(COLLECTION, limit=_PAGE, skip=skip):
            skip += len(page)
            for item in page:
                if item.key not in seen:
                    seen.add(item.key)
                    yield _members(item.body)[0]

    def _check_is_free(self, name: str) -> None:
        if self._items.get(COLLECTION, [_key(name)]):
            raise ConflictError(f"operator {name!r:.80} is enrolled already; remove them first to enrol them anew")

    def _encode(self, kept: KeptOperator) -> bytes:
        operator = kept.operator
        members = {
            "name": operator.name,
            "at": operator.enrolled_at.isoformat(),
            "by": operator.enrolled_by,
            "secret": secret_box(self._runtime.settings).seal(kept.secret, of=_place(operator.name)),
            "last_step": kept.last_step,
            "turn": os.urandom(8).hex(),  # no two bodies are the same, so that one's own is known again
        }
        return json.dumps(members, separators=(",", ":")).encode("ascii")

    def _note(self, action: str, *, actor: str, source: str, detail: str) -> None:
        def change(state: MaintenanceState, _: datetime, journal: Journal) -> MaintenanceState:
            journal.note(action, detail=detail)
            return replace(state)

        self._writer.commit(change, actor=actor, source=source)


def matching_step(secret: str, code: str, *, now: datetime, after: int = -1) -> int | None:
    """Return the time step that a code is of, one early or late allowed; ``None``: none after the one given."""
    digits = code.replace(" ", "")
    if not (digits.isascii() and digits.isdigit()):
        return None
    pyotp = _pyotp()
    totp = pyotp.TOTP(secret, interval=STEP_SECONDS)
    current = int(now.timestamp()) // STEP_SECONDS
    steps = range(current - _DRIFT, current + _DRIFT + 1)
    return next((s for s in steps if s > after and pyotp.utils.strings_equal(totp.generate_otp(s), digits)), None)


def _pyotp() -> ModuleType:
    try:
        import pyotp  # noqa: PLC0415 - an extra, for who enrols operators
    except ModuleNotFoundError as exc:
        if exc.name != "pyotp":
            raise
        raise MissingExtraError("checking an operator's codes", extra="totp", package="pyotp") from exc
    return pyotp


def _key(name: str) -> str:
    """Return a key of bounded length, whatever an application takes for an id."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def _place(name: str) -> str:
    return f"operator:{name}"


def _members(body: bytes) -> tuple[Operator, str, int]:
    try:
        raw = json.loads(body)
        at = datetime.fromisoformat(raw["at"])
        operator = Operator(name=str(raw["name"]), enrolled_at=at, enrolled_by=str(raw["by"]))
        return operator, str(raw["secret"]), int(raw["last_step"])
    except _UNREADABLE as exc:
        raise StoreCorruptError(f"what is kept of an operator cannot be read: {exc!r:.200}") from exc
