"""Settings that the store keeps, as they are told: where each comes from, and never what is secret."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class SettingSource(StrEnum):
    """Where the value in force comes from; what a process was given wins over the store, the store over the default."""

    APPLICATION = "application"
    """The configuration that the application handed over."""
    ENVIRONMENT = "environment"
    FILE = "file"
    STORE = "store"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredSetting:
    """One setting that the store can keep, as it is in force in this process.

    Attributes:
        name: of the setting, ``MAINTENANCE_…``.
        source: where the value in force comes from.
        is_set: whether there is a value at all.
        is_secret: whether it is told to nobody, and encrypted in the store.
        value: the one in force, as it would be written; ``None``: it is not set, or secret.
        stored_at: when the store was given one, in force or not (UTC); ``None``: it keeps none.
        stored_by: who gave it.
        problem: why the one in the store is not in force, if it cannot be read here.
    """

    name: str
    source: SettingSource
    is_set: bool
    is_secret: bool
    value: str | None = None
    stored_at: datetime | None = None
    stored_by: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRotation:
    """What became of each secret in the store; each is named, as the setting or as ``operator NAME``.

    Attributes:
        encrypted_anew: by the newest key, just now.
        up_to_date: those that were already.
        unreadable: those that none of the keys opens; they are as they were.
    """

    encrypted_anew: tuple[str, ...] = ()
    up_to_date: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
