"""From the options that every command takes to the service; and how a command is written for the same store."""

from __future__ import annotations

import functools
import os
import pwd
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import click

from ..control import EnhancedMaintenanceModeService
from ..model import InvalidValueError, SettingsError
from ..settings import Settings
from .terminal import Terminal

_IN_PROCESS = (
    "lives inside one process, so a command would change a state that no worker sees; name the store that the workers"
    " share, such as sqlite:////path/to/maintenance.db or redis://host:6379/0"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where a command is to work, as the operator said it, and the terminal that it talks to."""

    terminal: Terminal
    store: str | None
    service: str | None
    config: str | None

    def settings(self) -> Settings:
        """Return the settings, with what the options say in place of what they hold.

        Raises:
            SettingsError: settings are wrong; lists every fault.
            InvalidValueError: an option is wrong.
        """
        if self.config == "":
            raise InvalidValueError("--config", "names no file")
        settings = Settings.load(path=self.config)
        for option, attribute, value in (
            ("--store", "store_url", self.store),
            ("--service", "service_name", self.service),
        ):
            if value is not None:
                settings = _with_option(settings, option, attribute, value)
        if settings.store_url.lower().startswith("memory:"):
            raise InvalidValueError(
                "MAINTENANCE_STORE_URL" if self.store is None else "--store", f"memory:// {_IN_PROCESS}"
            )
        return settings

    @contextmanager
    def open(self) -> Iterator[EnhancedMaintenanceModeService]:
        """Yield the service; it loads no plugin unless the store's scheme or an unknown type asks for one."""
        settings = self.settings()
        service = EnhancedMaintenanceModeService(settings, framework="cli")
        if not settings.enabled:
            self.terminal.warn(
                "MAINTENANCE_MODE_ENABLED is false here: workers with the same setting refuse nothing, whatever is open"
            )
        try:
            yield service
        except (KeyboardInterrupt, SystemExit, click.Abort):
            service.close()
            raise
        except BaseException:
            self._end(service)
            raise
        self._end(service)

    def _end(self, service: EnhancedMaintenanceModeService) -> None:
        if not service.has_news:
            service.close()
            return
        from .telling import tell_people  # noqa: PLC0415 - most commands change nothing

        self.terminal.afterwards.append(functools.partial(tell_people, service, self.terminal))

    def command(self, *words: str) -> str:
        """Return a command line for the same store, without any password."""
        options = {"--store": self.store, "--service": self.service, "--config": self.config}
        if self.store is not None and "@" in self.store:
            options["--store"] = "…"
        given = [word for option, value in options.items() if value is not None for word in (option, value)]
        return shlex.join(["quiesce", *words, *given])


def connected(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the common options; it gets them as its first argument, a ``Connection``."""

    @click.option("--store", metavar="URL", help="The store, instead of MAINTENANCE_STORE_URL.")
    @click.option("--service", metavar="NAME", help="The service's name, instead of MAINTENANCE_SERVICE_NAME.")
    @click.option("--config", metavar="FILE", help="The TOML file with the settings.")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document; errors as one on standard error.")
    @click.pass_obj
    @functools.wraps(command)
    def run(terminal: Terminal, /, **options: Any) -> Any:
        terminal.as_json = options.pop("as_json")
        where = {name: options.pop(name) for name in ("store", "service", "config")}
        return command(Connection(terminal=terminal, **where), **options)

    return run


def who_asks() -> str:
    """Return the operator's login name and machine; behind ``sudo`` the one who logged in at the terminal."""
    try:
        name = os.getlogin()
    except OSError:
        try:
            name = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            name = f"uid-{os.getuid()}"
    return f"{name}@{os.uname().nodename}"


def _with_option(settings: Settings, option: str, attribute: str, value: str) -> Settings:
    try:
        return replace(settings, **{attribute: value})  # type: ignore[arg-type]  # the attribute is a variable here
    except SettingsError as exc:
        raise InvalidValueError(option, exc.faults[0].partition(": ")[2] or str(exc)) from exc
