"""Finds installed plugins by their entry points, and imports them in order of their names."""

from __future__ import annotations

import importlib.metadata
import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..model import PluginError
from ..spelling import nearest
from .calls import describe

GROUP = "quiesce"

_log = logging.getLogger("quiesce")


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry point that may be imported.

    Attributes:
        name: of the entry point.
        distribution: that brought it.
        version: of the distribution, if it says.
        entry_point: what to import.
    """

    name: str
    distribution: str
    version: str | None
    entry_point: importlib.metadata.EntryPoint

    def load(self) -> object:
        """Import and return what the entry point names.

        Raises:
            PluginError: the import failed, in whatever way.
        """
        try:
            return self.entry_point.load()
        except (Exception, SystemExit) as exc:  # a plugin's module is run here, and some end the process
            problem = f"importing {self.entry_point.value!r} failed: {describe(exc)}"
            raise PluginError(self.name, self.distribution, problem) from exc


def discover(
    entry_points: Iterable[importlib.metadata.EntryPoint] | None = None, *, disabled: Iterable[str] = ()
) -> tuple[Candidate, ...]:
    """Return one candidate for each name, in order of names, nothing of them imported.

    A distribution that is on the path twice, as an editable install beside a stale copy is, counts once: the first.

    Raises:
        PluginError: two distributions use one name, which is not disabled.
    """
    disabled = frozenset(disabled)
    found: dict[str, Candidate] = {}
    for candidate in _candidates(entry_points):
        first = found.setdefault(candidate.name, candidate)
        if candidate.name not in disabled and _canonical(first.distribution) != _canonical(candidate.distribution):
            problem = f"distribution {first.distribution!r} has a plugin of this name too; uninstall one of them"
            raise PluginError(candidate.name, candidate.distribution, problem)
    return tuple(found[name] for name in sorted(found))


def warn_of_unknown(disabled: Iterable[str], known: Iterable[str]) -> None:
    """Log each name that is to be disabled but is not installed: it may be misspelled."""
    known = sorted(known)
    for name in sorted(set(disabled).difference(known)):
        near = nearest(name, known)
        hint = "" if near is None else f"; did you mean {near!r}?"
        _log.warning("[MAINTENANCE] plugin %r is to be disabled but is not installed%s", name, hint)


def _candidates(entry_points: Iterable[importlib.metadata.EntryPoint] | None) -> Iterator[Candidate]:
    if entry_points is None:
        entry_points = importlib.metadata.entry_points(group=GROUP)
    for entry_point in entry_points:
        name = _field(entry_point, "Name") or f"unknown, of {entry_point.value}"
        yield Candidate(entry_point.name, name, _field(entry_point, "Version"), entry_point)


def _field(entry_point: importlib.metadata.EntryPoint, name: str) -> str | None:
    if entry_point.dist is None:
        return None
    try:
        return entry_point.dist.metadata[name]
    except Exception:  # noqa: BLE001 -- half-removed distributions fail in ways that differ between Pythons
        return None


def _canonical(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()
