"""Settings that the store keeps for all processes: setting them, taking them back, and changing the key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from ..model import (
    ConfiguredSetting,
    ConflictError,
    InvalidValueError,
    KeyRotation,
    MaintenanceState,
    SettingsError,
)
from ..settings import SETTINGS, Setting, Settings
from ..spelling import nearest
from .journal import Journal
from .runtime import Runtime
from .stored_settings import COLLECTION, STORABLE, InForce, encode, read_value
from .validation import check_actor
from .writing import CommandWriter

LONGEST_VALUE = 262_144
"""In characters: a thousand long e-mail addresses fit."""

_WHY_NOT = {
    "MAINTENANCE_STORE_URL": "it is needed to find the store",
    "MAINTENANCE_SERVICE_NAME": "it is needed to find what is this service's in the store",
    "MAINTENANCE_CONFIG_FILE": "it is read before the store",
    "MAINTENANCE_SECRET_KEY": "it is the key that encrypts what the store keeps",
    "MAINTENANCE_ADMIN_TOKEN": "whoever can write to the store could make themselves an operator by it",
    "MAINTENANCE_WEBHOOK_ALLOW_PRIVATE": "it protects the networks of the machine from what the store says",
    "MAINTENANCE_EMAIL_TEMPLATES": "it names a folder of the machine",
}


class ConfigDesk:
    """Settings that operators change at run time; reached as ``service.config``.

    Every method raises ``StoreError`` when the store does not answer. What a process was given wins over the store.
    """

    def __init__(self, runtime: Runtime, *, writer: CommandWriter) -> None:
        self._runtime = runtime
        self._writer = writer

    def current(self) -> Settings:
        """Return the settings in force, as of a second ago at most; reads the store, so never ask in a request."""
        return self._runtime.stored.settings()

    def problems(self) -> Mapping[str, str]:
        """Return why what the store keeps is not in force in this process, by name; no value is in it."""
        return self._runtime.stored.in_force().problems

    def list(self) -> tuple[ConfiguredSetting, ...]:
        """Return every setting that the store can keep, in order of the reference; no secret is in it."""
        found = self._now()
        return tuple(_described(setting, found) for setting in STORABLE.values())

    def get(self, name: str) -> ConfiguredSetting:
        """Return one of them.

        Raises:
            InvalidValueError: it is no setting that the store can keep; says why.
        """
        return _described(_storable(name), self._now())

    def set(self, name: str, value: str, *, actor: str, source: str = "api") -> ConfiguredSetting:
        """Have the store keep a value; workers have it within two seconds, without a restart.

        Args:
            name: of the setting.
            value: as it would be written in the environment; encrypted if it is secret.
            actor: who asks.
            source: through what: ``cli``, ``api``.

        Raises:
            InvalidValueError: the store keeps no such setting, or the value is not valid; a secret one is not shown.
            SettingsError: the value is secret, and ``MAINTENANCE_SECRET_KEY`` is not set.
            MissingExtraError: the value is secret, and the package ``cryptography`` is not installed.
        """
        setting = _storable(name)
        value = _checked(setting, value)
        actor, now = check_actor(actor), self._runtime.clock.now()
        body = encode(name, value, settings=self._runtime.settings, at=now, by=actor)
        self._note("config.set", name, actor=actor, source=source)
        self._runtime.store.items.put(COLLECTION, {name: body})
        return _described(setting, self._now())

    def unset(self, name: str, *, actor: str, source: str = "api") -> ConfiguredSetting:
        """Have the store forget what it keeps of a setting; needs no key.

        Raises:
            InvalidValueError: it is no setting that the store can keep.
            ConflictError: the store keeps none.
        """
        setting = _storable(name)
        if not self._runtime.store.items.get(COLLECTION, [name]):
            raise ConflictError(f"the store keeps no {name}")
        self._note("config.unset", name, actor=check_actor(actor), source=source)
        self._runtime.store.items.put(COLLECTION, {name: None})
        return _described(setting, self._now())

    def rotate(self, *, actor: str, source: str = "api") -> KeyRotation:
        """Encrypt every secret in the store, operators' too, by the first of the keys in ``MAINTENANCE_SECRET_KEY``.

        Each is replaced in one step or stays as it was, so what an interruption leaves is done by the next call.

        Raises:
            SettingsError: ``MAINTENANCE_SECRET_KEY`` is not set.
            MissingExtraError: the package ``cryptography`` is not installed.
        """
        from .key_rotation import renew_secrets  # noqa: PLC0415 - once in a year

        actor = check_actor(actor)
        rotation = renew_secrets(
            self._runtime.store.items,
            settings=self._runtime.settings,
            begin=lambda: self._note("secrets.rotation_begun", "", actor=actor, source=source),
        )
        told = (
            f"{len(rotation.encrypted_anew)} encrypted anew, {len(rotation.up_to_date)} up to date,"
            f" {len(rotation.unreadable)} not readable"
        )
        self._note("secrets.rotated", told, actor=actor, source=source)
        self._runtime.stored.forget()
        return rotation

    def _now(self) -> InForce:
        self._runtime.stored.forget()
        return self._runtime.stored.in_force()

    def _note(self, action: str, detail: str, *, actor: str, source: str) -> None:
        def change(state: MaintenanceState, _: datetime, journal: Journal) -> MaintenanceState:
            journal.note(action, detail=detail)
            return replace(state)

        self._writer.commit(change, actor=actor, source=source)


def _storable(name: str) -> Setting:
    if name in STORABLE:
        return STORABLE[name]
    if name in _WHY_NOT:
        raise InvalidValueError("name", f"{name} cannot be kept in the store: {_WHY_NOT[name]}")
    if any(setting.name == name for setting in SETTINGS):
        raise InvalidValueError("name", f"{name} cannot be kept in the store: it is read once, when a process starts")
    near = nearest(name[:80].upper(), STORABLE)
    raise InvalidValueError("name", f"{name!r:.80} is no setting" + (f"; did you mean {near}?" if near else ""))


def _checked(setting: Setting, value: str) -> str:
    value = value.strip()
    if not value:
        raise InvalidValueError(setting.name, "is empty; 'quiesce config unset' takes back what the store keeps")
    if len(value) > LONGEST_VALUE:
        raise InvalidValueError(setting.name, f"is longer than {LONGEST_VALUE} characters")
    if not value.isprintable():
        raise InvalidValueError(setting.name, "holds line ends or other characters that do not print")
    try:
        read_value(setting, value)
    except SettingsError as exc:
        shown = "the value (not shown)" if setting.is_confidential else f"{value!r:.80}"
        raise InvalidValueError(setting.name, f"{shown} is not {setting.expected}") from exc
    return value


def _described(setting: Setting, found: InForce) -> ConfiguredSetting:
    value = getattr(found.settings, setting.attribute)
    is_set = value is not None and value != ()
    kept = found.kept.get(setting.name)
    return ConfiguredSetting(
        name=setting.name,
        source=found.settings.source_of(setting),
        is_set=is_set,
        is_secret=setting.is_confidential,
        value=_written(value) if is_set and not setting.is_confidential else None,
        stored_at=None if kept is None else kept.at,
        stored_by="" if kept is None else kept.by,
        problem=found.problems.get(setting.name, ""),
    )


def _written(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case tuple():
            return ", ".join(map(str, value))
    return str(value)
