"""What the store keeps of settings, and those in force: what the process was given, then these, then defaults."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ..clock import Clock
from ..model import QuiesceError, SettingsError, SettingSource
from ..settings import SETTINGS, Setting, Settings
from ..settings_values import UnreadableError
from ..stores import Store
from .secrets import secret_box

COLLECTION = "settings"
FRESH_SECONDS = 1.0
"""How long what was read from the store is taken for what it holds."""
STORABLE = {setting.name: setting for setting in SETTINGS if setting.is_storable}

_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)

logger = logging.getLogger("quiesce")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSetting:
    """What the store keeps of one setting.

    Attributes:
        text: as it was given, or the ciphertext of what is secret.
        at: when it was given.
        by: who gave it.
    """

    text: str = field(repr=False)
    at: datetime
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """The settings at one moment.

    Attributes:
        settings: in force.
        kept: what the store keeps, by name; what cannot even be parsed is not among it.
        problems: why a kept setting is not to be had, by name; no value is in them.
    """

    settings: Settings
    kept: Mapping[str, KeptSetting]
    problems: Mapping[str, str]


class StoredSettings:
    """Reads them at most once a second, and only when somebody asks; safe to share between threads.

    Args:
        settings: what this process was given.
        store: with the others.
        clock: for how old what was read is.
    """

    def __init__(self, settings: Settings, *, store: Store, clock: Clock) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._found: tuple[float, InForce] | None = None
        self._told: Mapping[str, str] = {}

    def in_force(self) -> InForce:
        """Return what holds now, as of a second ago at most.

        Raises:
            StoreError: the store does not answer.
        """
        now, found = self._clock.monotonic(), self._found
        if found is not None and 0 <= now - found[0] < FRESH_SECONDS:
            return found[1]
        read = self._read()
        self._found = now, read
        if read.problems != self._told:
            for name, problem in read.problems.items():
                logger.error("the store keeps %s, but it is not in force here: %s", name, problem)
            self._told = read.problems
        return read

    def settings(self) -> Settings:
        """Return the settings of ``in_force``, which says what is raised."""
        return self.in_force().settings

    def forget(self) -> None:
        """Have the store read again at the next question."""
        self._found = None

    def _read(self) -> InForce:
        kept: dict[str, KeptSetting] = {}
        problems: dict[str, str] = {}
        values: dict[str, object] = {}
        for name, body in self._store.items.get(COLLECTION, list(STORABLE)).items():
            setting = STORABLE[name]
            try:
                kept[name] = _decode(body, is_secret=setting.is_confidential)
                if self._settings.source_of(setting) is not SettingSource.DEFAULT:
                    continue  # it is not asked for, so it needs no key
                values[setting.attribute] = read_value(setting, _opened(setting, kept[name], self._settings))
            except _UNREADABLE:
                problems[name] = "what the store keeps of it is damaged; set it anew"
            except SettingsError as exc:
                problems[name] = exc.faults[0]
            except QuiesceError as exc:
                problems[name] = str(exc)
        missed = (name for name in problems if self._settings.source_of(STORABLE[name]) is SettingSource.DEFAULT)
        settings = self._settings.with_stored(values, unreadable=tuple(sorted(missed)))
        return InForce(settings=settings, kept=kept, problems=problems)


def encode(name: str, value: str, *, settings: Settings, at: datetime, by: str) -> bytes:
    """Return what is stored of a value, encrypted if it is secret.

    Raises:
        SettingsError: ``MAINTENANCE_SECRET_KEY`` is not set, and the value is secret.
        MissingExtraError: the package ``cryptography`` is not installed, and the value is secret.
    """
    members = {"name": name, "at": at.isoformat(), "by": by, "turn": os.urandom(8).hex()}
    if STORABLE[name].is_confidential:
        members["secret"] = secret_box(settings).seal(value, of=place(name))
    else:
        members["value"] = value
    return json.dumps(members, separators=(",", ":")).encode("ascii")


def read_value(setting: Setting, text: str) -> object:
    """Return the value that ``Settings`` holds for a text.

    Raises:
        SettingsError: it is not what the setting expects; shows nothing of it.
    """
    try:
        return setting.read(text)
    except UnreadableError as exc:
        raise SettingsError([f"{setting.name}: the value (not shown) is not {setting.expected}"]) from exc


def place(name: str) -> str:
    """Return what the ciphertext of a setting is sealed under."""
    return f"setting:{name}"


def _opened(setting: Setting, kept: KeptSetting, settings: Settings) -> str:
    return secret_box(settings).open(kept.text, of=place(setting.name)) if setting.is_confidential else kept.text


def _decode(body: bytes, *, is_secret: bool) -> KeptSetting:
    # A secret in plain text was put there by somebody without the key, and is not taken.
    raw = json.loads(body)
    return KeptSetting(
        text=str(raw["secret" if is_secret else "value"]),
        at=datetime.fromisoformat(raw["at"]),
        by=str(raw["by"]),
    )
