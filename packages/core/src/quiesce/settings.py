"""Settings: the environment over a TOML file over defaults; the only reader of ``os.environ``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from .model import OperationType, Rule, SettingsError, SettingSource
from .settings_entry import Setting
from .settings_file import read_operations, read_rules, read_table, unknown_key
from .settings_table import SETTINGS
from .settings_values import IPNetwork, OnStale, UnreadableError, paths, split_keys
from .spelling import nearest

__all__ = ["CONFIG_FILE", "SETTINGS", "IPNetwork", "OnStale", "Setting", "Settings"]

CONFIG_FILE = "MAINTENANCE_CONFIG_FILE"
"""Environment variable that names the TOML file."""

_BY_NAME = {setting.name: setting for setting in SETTINGS}
_PREFIXES = ("MAINTENANCE_", "EMERGENCY_MODE_", "TEST_MODE_")
_NEARLY_OURS = ("MAINT", "EMERGENCY", "TEST_MODE")
_OPTIONAL = frozenset(
    {"webhook_url", "admin_token", "secret_key", "rq_url", "celery_app", "audit_retention"}
    | {"smtp_url", "email_from", "email_templates", "email_time_zone"}
)
_EXEMPT = paths(next(setting.default for setting in SETTINGS if setting.attribute == "exempt_paths"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be configured; ``SETTINGS`` says what each means and what may stand in it.

    Attributes:
        sources: where values come from that were not given as arguments, by attribute.
        unreadable: the names of settings that the store keeps, and this process cannot read.

    Raises:
        SettingsError: values are wrong; lists each of them.
    """

    enabled: bool = True
    default_timeout: timedelta = timedelta(hours=2)
    cleanup_interval: timedelta = timedelta(minutes=5)
    job_grace_period: timedelta = timedelta(seconds=30)
    emergency_session_cleanup: bool = True
    test_mode_simulation: bool = True
    test_mode_logging_level: str = "DEBUG"
    notifications_enabled: bool = True
    email_alerts: bool = True
    webhook_url: str | None = field(default=None, repr=False)
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    webhook_shape: str = "standard"
    webhook_events: tuple[str, ...] = ()
    webhook_allow_private: bool = False
    store_url: str = field(default="sqlite:///maintenance.db", repr=False)
    service_name: str = "default"
    admin_token: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    trusted_proxies: tuple[IPNetwork, ...] = ()
    exempt_paths: tuple[str, ...] = _EXEMPT
    on_stale: OnStale = "keep"
    worker_gone_after: timedelta = timedelta(minutes=5)
    audit_retention: timedelta | None = None
    disabled_plugins: tuple[str, ...] = ()
    hook_timeout: timedelta = timedelta(seconds=30)
    rq_url: str | None = field(default=None, repr=False)
    celery_app: str | None = None
    smtp_url: str | None = field(default=None, repr=False)
    email_from: str | None = None
    email_operators: tuple[str, ...] = ()
    email_users: tuple[str, ...] = ()
    email_templates: str | None = None
    email_time_zone: str | None = None
    alert_blocked_per_minute: int = 1000
    alert_after: timedelta = timedelta(seconds=30)
    alert_outbox_after: timedelta = timedelta(minutes=5)
    rules: tuple[Rule, ...] = ()
    operations: tuple[OperationType, ...] = ()
    sources: Mapping[str, SettingSource] = field(default_factory=dict, repr=False, compare=False)
    unreadable: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        faults: list[str] = []
        for setting in SETTINGS:
            raw = getattr(self, setting.attribute)
            if raw is not None or setting.attribute not in _OPTIONAL:
                object.__setattr__(self, setting.attribute, _read(setting, raw, faults))
        if faults:
            raise SettingsError(faults)

    @property
    def secret_keys(self) -> tuple[str, ...]:
        """The keys that ``secret_key`` holds: the one in use first, then former ones; empty without any."""
        return () if self.secret_key is None else split_keys(self.secret_key)

    def source_of(self, setting: Setting) -> SettingSource:
        """Return where the value of a setting comes from."""
        is_default = getattr(self, setting.attribute) == _DEFAULTS[setting.attribute]
        otherwise = SettingSource.DEFAULT if is_default else SettingSource.APPLICATION
        return self.sources.get(setting.attribute, otherwise)

    def with_stored(self, values: Mapping[str, object], *, unreadable: tuple[str, ...] = ()) -> Settings:
        """Return these settings with what the store keeps in place of defaults.

        Args:
            values: by attribute, as ``Setting.read`` returned them.
            unreadable: the names of those that are kept, but cannot be read here.
        """
        kept: dict[str, Any] = {
            setting.attribute: values[setting.attribute]
            for setting in SETTINGS
            if setting.attribute in values and self.source_of(setting) is SettingSource.DEFAULT
        }
        sources = {**self.sources, **dict.fromkeys(kept, SettingSource.STORE)}
        return replace(self, **kept, sources=sources, unreadable=unreadable)

    def check_readable(self, *prefixes: str) -> None:
        """Raise if the store keeps a setting, by the start of its name, that this process cannot read.

        For plugins: what was set is not the same as what was not, and neither is to be done without it.

        Raises:
            SettingsError: names each of them.
        """
        found = [name for name in self.unreadable if name.startswith(prefixes)]
        if found:
            raise SettingsError(
                [f"{name}: the store keeps it, but it cannot be read here; see 'quiesce config list'" for name in found]
            )

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, *, path: Path | str | None = None) -> Settings:
        """Return the settings of this process.

        Args:
            environ: instead of the process's environment.
            path: of the TOML file; else ``MAINTENANCE_CONFIG_FILE`` names it, else ``quiesce.toml`` or
                ``pyproject.toml`` in the working folder is read if it has a table ``[tool.quiesce]``.

        Raises:
            SettingsError: anything is wrong; lists every fault.
        """
        environ = os.environ if environ is None else environ
        faults: list[str] = []
        named = path or environ.get(CONFIG_FILE, "").strip() or None
        table = read_table(None if named is None else Path(named), faults)
        found = _from_table(table, faults)
        sources = dict.fromkeys(found, SettingSource.FILE)
        for setting in SETTINGS:
            raw = environ.get(setting.name, "").strip()
            if raw:
                found[setting.attribute] = _read(setting, raw, faults)
                sources[setting.attribute] = SettingSource.ENVIRONMENT
        faults += _misspelled(environ)
        if faults:
            raise SettingsError(faults)
        return cls(**found, sources=sources)

    @classmethod
    def from_config(cls, config: object) -> Settings:
        """Return the settings of this process, over which an application's own configuration goes.

        Args:
            config: a mapping (``app.config``), or an object whose attributes are named as the settings are.

        Raises:
            SettingsError: anything is wrong; lists every fault.
        """
        given: dict[str, object] = {}
        for setting in SETTINGS:
            raw = config.get(setting.name) if isinstance(config, Mapping) else getattr(config, setting.name, None)
            if raw is not None and raw != "":
                given[setting.attribute] = raw
        faults: list[str] = []
        read: dict[str, Any] = {
            name: _read(setting, given[name], faults) for setting in SETTINGS if (name := setting.attribute) in given
        }
        if faults:
            raise SettingsError(faults)
        loaded = cls.load()
        return replace(loaded, **read, sources={**loaded.sources, **dict.fromkeys(read, SettingSource.APPLICATION)})


_DEFAULTS = {each.name: each.default for each in fields(Settings)}


def _from_table(table: Mapping[str, Any], faults: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, raw in table.items():
        if key == "rules":
            found[key] = read_rules(raw, faults)
        elif key == "operations":
            found[key] = read_operations(raw, faults)
        elif key in _BY_NAME:
            found[_BY_NAME[key].attribute] = _read(_BY_NAME[key], raw, faults)
        else:
            faults.append(unknown_key(key, (*_BY_NAME, "rules", "operations")))
    return found


def _read(setting: Setting, raw: object, faults: list[str]) -> object:
    try:
        return setting.read(raw)
    except UnreadableError:
        shown = "the value (not shown)" if setting.is_confidential else f"{raw!r:.80}"
        faults.append(f"{setting.name}: {shown} is not {setting.expected}")
        return None


def _misspelled(environ: Mapping[str, str]) -> Iterator[str]:
    known = (*_BY_NAME, CONFIG_FILE)
    rests = {name.removeprefix(prefix): name for name in known for prefix in _PREFIXES if name.startswith(prefix)}
    for name in sorted(environ):
        prefix = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None)
        if name in known or not name.startswith(_NEARLY_OURS):
            continue
        if prefix is None:
            near = nearest(name, known, cutoff=0.9)
        else:
            rest = nearest(name.removeprefix(prefix), rests, cutoff=0.86)
            near = None if rest is None else rests[rest]
        if near is not None:
            yield f"{name:.80}: is no setting; did you mean {near}?"
