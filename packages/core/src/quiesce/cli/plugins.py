"""The command ``plugins``: every plugin that is installed, the broken ones too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

import click

from ..gate import MaintenanceOperationClassifier
from ..model import QuiesceError
from ..plugins import PluginInfo, PluginManager
from ..plugins.discovery import GROUP
from ..settings import Settings
from .connection import Connection, connected
from .failures import EXIT_INVALID, CommandFailedError, Failure


@dataclass(frozen=True, slots=True)
class _Found:
    """An installed plugin, and what is wrong with it, if anything."""

    info: PluginInfo
    error: str | None = None


@click.command()
@connected
def plugins(connection: Connection) -> None:
    """List the installed plugins with their hooks, and what is wrong with the broken ones."""
    settings = connection.settings()
    installed = sorted(entry_points(group=GROUP), key=lambda entry_point: entry_point.name)
    found = [_try(entry_point, settings) for entry_point in installed]
    problem = _problem_together(settings)
    count = len(found)
    connection.terminal.say(
        "No plugin is installed" if not count else f"{count} plugin{'s' * (count > 1)} installed", _lines(found)
    )
    connection.terminal.answer({"plugins": [_document(item) for item in found], "problem": problem})
    if problem is not None:
        broken = [item.info.name for item in found if item.error is not None]
        raise CommandFailedError(
            Failure(
                message=problem,
                kind="plugin",
                exit_code=EXIT_INVALID,
                facts={"broken": broken},
                lines=("uninstall it, or name it in MAINTENANCE_DISABLE_PLUGINS; until then no worker starts",),
            )
        )


def _try(entry_point: EntryPoint, settings: Settings) -> _Found:
    """Load one plugin alone."""
    disabled = frozenset(settings.disabled_plugins) & {entry_point.name}
    try:
        (info,) = PluginManager.load(disabled=disabled, entry_points=[entry_point]).plugins
    except QuiesceError as exc:
        distribution = entry_point.dist
        return _Found(
            PluginInfo(
                name=entry_point.name,
                distribution=None if distribution is None else distribution.name,
                version=None if distribution is None else distribution.version,
                module=entry_point.value,
            ),
            str(exc),
        )
    return _Found(info)


def _problem_together(settings: Settings) -> str | None:
    """Return what would keep a worker from starting: a broken plugin, or two that contradict each other."""
    try:
        manager = PluginManager.load(disabled=settings.disabled_plugins)
        MaintenanceOperationClassifier(rules=settings.rules, plugins=manager, operations=settings.operations)
    except QuiesceError as exc:
        return str(exc)
    return None


def _lines(found: list[_Found]) -> Iterator[str]:
    for item in found:
        info = item.info
        yield f"{info.name}  ({info.distribution or 'unknown distribution'} {info.version or ''}".rstrip() + ")"
        if item.error is not None:
            yield f"    BROKEN: {item.error}"
        elif info.disabled:
            yield "    disabled by MAINTENANCE_DISABLE_PLUGINS"
        else:
            yield f"    {', '.join(info.hooks) or 'no hooks'}"


def _document(item: _Found) -> dict[str, object]:
    info = item.info
    return {
        "name": info.name,
        "distribution": info.distribution,
        "version": info.version,
        "module": info.module,
        "hooks": list(info.hooks),
        "disabled": info.disabled,
        "error": item.error,
    }
