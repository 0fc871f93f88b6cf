"""The command ``watch``: the workers, what they apply and still run, as it changes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import click

from ..control import EnhancedMaintenanceModeService
from ..model import MaintenanceWindow, QuiescenceReport, StoreError
from ..web.documents import quiescence_document, window_document
from .connection import Connection, connected
from .signals import SignalledError, TakenSignals

_STEP_SECONDS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What is shown at one moment.

    Attributes:
        report: the last verdict that could be had.
        windows: open ones.
        coming: the next one.
        trouble: why the store gave no newer answer; empty: it did.
    """

    store: str
    service: str
    at: datetime
    report: QuiescenceReport | None = None
    windows: tuple[MaintenanceWindow, ...] = ()
    coming: MaintenanceWindow | None = None
    trouble: str = ""


@click.command()
@click.option("--once", is_flag=True, help="Show it once, and end.")
@connected
def watch(connection: Connection, *, once: bool) -> int:
    """Show live who applies what is in force, and what still runs, until Ctrl-C."""
    view = None if connection.terminal.as_json else _view()
    # A KeyboardInterrupt can come where Python swallows it, and the picture would go on.
    with TakenSignals() as signals, connection.open() as service:
        if once:
            _show_once(connection, service, view)
            return 0
        frames = _frames(service, pause=signals.pause)
        try:
            if view is None:
                _tell_changes(frames, lambda frame: connection.terminal.line(_document(frame)))
            elif view.is_live():
                view.run(frames)
            else:
                _tell_changes(frames, view.show)
        except SignalledError as exc:
            return 0 if exc.number == signal.SIGINT else 128 + exc.number
    return 0


def _show_once(connection: Connection, service: EnhancedMaintenanceModeService, view: ModuleType | None) -> None:
    frame = _look(service)
    if view is None:
        connection.terminal.line(_document(frame))
    else:
        view.show(frame)


def _view() -> ModuleType:
    try:
        from . import watch_view  # noqa: PLC0415 - an extra: rich is installed for this command only
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] != "rich":
            raise
        raise click.UsageError("watch needs the extra 'watch': pip install 'quiesce[watch]'; --json does not") from exc
    return watch_view


def _frames(service: EnhancedMaintenanceModeService, *, pause: Callable[[float], None]) -> Iterator[Frame]:
    last = Frame(store=service.store.url, service=service.settings.service_name, at=datetime.now(UTC))
    while True:
        try:
            last = _look(service)
        except StoreError as exc:
            last = replace(last, trouble=str(exc), at=datetime.now(UTC))
        yield last
        pause(_STEP_SECONDS)


def _look(service: EnhancedMaintenanceModeService) -> Frame:
    report = service.quiescence()
    now = datetime.now(UTC)
    known = service.schedule.agenda().windows
    return Frame(
        store=service.store.url,
        service=service.settings.service_name,
        at=now,
        report=report,
        windows=tuple(window for window in known if window.is_open(now)),
        coming=next((window for window in known if not window.is_open(now)), None),
    )


def _tell_changes(frames: Iterator[Frame], tell: Callable[[Frame], None]) -> None:
    last: object = None
    for frame in frames:
        lasting = _lasting(_document(frame))
        if lasting != last:
            tell(frame)
            last = lasting


def _document(frame: Frame) -> dict[str, Any]:
    return {
        "store": frame.store,
        "service": frame.service,
        "store_error": frame.trouble or None,
        "windows": [window_document(window, now=frame.at) for window in frame.windows],
        "next_window": None if frame.coming is None else window_document(frame.coming, now=frame.at),
        "quiescence": None if frame.report is None else quiescence_document(frame.report),
    }


def _lasting(value: Any, *, name: str = "") -> Any:
    """Return the document without what changes at every look."""
    if name in {"at", "heartbeat_age", "age"}:
        return None
    if name == "obstacles":  # they say of the workers, with ages, what stands there without
        return len(value)
    if isinstance(value, dict):
        return {key: _lasting(inner, name=key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_lasting(inner) for inner in value]
    return value
