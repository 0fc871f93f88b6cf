"""Which Celery application it is about: what the process configured, else the setting MAINTENANCE_CELERY_APP."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from quiesce import Settings, SettingsError

if TYPE_CHECKING:
    from celery import Celery

    from .broker import Broker

_lock = threading.Lock()
_configured: list[Celery] = []
_found: dict[str, Celery] = {}
_opened: dict[tuple[int, int], Broker] = {}


def configure(*, app: Celery | None) -> None:
    """Say which application it is about, instead of MAINTENANCE_CELERY_APP; ``None``: that setting again.

    It holds for this process. ``init_app`` does so too. ``quiesce jobs`` on the command line knows only the setting.
    """
    with _lock:
        _configured[:] = [] if app is None else [app]


def configured_broker() -> Broker | None:
    """Return the broker, or ``None`` when nobody said which application it is about.

    Raises:
        SettingsError: the setting names no Celery application.
        QuiesceError: its broker is no Redis.
    """
    with _lock:
        app = _configured[0] if _configured else None
    if app is None:
        settings = Settings.load()
        name = settings.celery_app
        if name is None:
            return None
        app = _find(name)
    return broker_of(app)


def broker_of(app: Celery) -> Broker:
    """Return the application's broker, connected once in each process."""
    key = (os.getpid(), id(app))
    found = _opened.get(key)
    if found is None or found.app is not app:
        from .broker import Broker  # noqa: PLC0415 - only who has Celery pays for it

        found = Broker.of(app)
        _opened.clear()  # of the parent process, or of another application
        _opened[key] = found
    return found


def _find(name: str) -> Celery:
    """Import the application as ``celery -A`` does; its module may well call ``init_app``."""
    from celery import Celery  # noqa: PLC0415 - only who has Celery pays for it
    from celery.app.utils import find_app  # noqa: PLC0415 - few processes import an application

    if name not in _found:
        try:
            found = find_app(name)
        except Exception as exc:  # the application's module is run here
            raise SettingsError([f"MAINTENANCE_CELERY_APP: {name!r} cannot be imported: {exc!r:.200}"]) from exc
        if not isinstance(found, Celery):
            raise SettingsError([f"MAINTENANCE_CELERY_APP: {name!r} is no Celery application"])
        _found[name] = found
    return _found[name]
