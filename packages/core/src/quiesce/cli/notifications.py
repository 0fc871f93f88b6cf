"""The commands ``notifications list|retry|test``: how far notifiers are, trying again, and trying one out."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ..model import NotifierStatus
from ..web.notification_documents import notifications_document, notifier_document, notifier_test_document
from .connection import Connection, connected, who_asks
from .failures import EXIT_UNFORESEEN
from .terminal import format_instant
from .windows import changing

_MOST_DEAD = 10


@click.group()
def notifications() -> None:
    """See who was told what, try again what failed, and try notifiers out."""


@notifications.command("list")
@connected
def list_(connection: Connection) -> None:
    """List every notifier: what waits, what fails, and what was given up."""
    with connection.open() as service:
        found = service.notifications.list()
        is_enabled = service.config.current().notifications_enabled
        if not is_enabled:
            connection.terminal.warn("MAINTENANCE_NOTIFICATIONS_ENABLED is false here: nothing is sent")
        if not found:
            connection.terminal.say("No notifier is installed")
        for notifier in found:
            colour = "red" if notifier.is_off or notifier.failing_since or notifier.dead else None
            connection.terminal.say(notifier.name, _lines(notifier), colour=colour)
        where = {"store": service.store.url, "service": service.settings.service_name}
        connection.terminal.answer({**where, **notifications_document(found, is_enabled=is_enabled)})


@notifications.command()
@click.argument("notifier", metavar="NOTIFIER")
@connected
def retry(connection: Connection, *, notifier: str) -> None:
    """Try again at once what failed, and what was given up.

    A notifier whose receiver wanted no more is switched on again. A worker does it; this command only says so.
    """
    with connection.open() as service, changing(connection):
        status = service.notifications.retry(notifier, actor=who_asks(), source="cli")
        connection.terminal.say(f"Trying {notifier} again", _lines(status))
        where = {"store": service.store.url, "service": service.settings.service_name}
        connection.terminal.answer({**where, **notifier_document(status)})


@notifications.command()
@click.argument("notifier", metavar="NOTIFIER")
@connected
def test(connection: Connection, *, notifier: str) -> int:
    """Send a notice from here that is marked as a test, to operators.

    It uses the settings of this shell, which need not be those of the workers, and those that the store keeps.
    """
    with connection.open() as service, changing(connection):
        tried = service.notifications.test(notifier, actor=who_asks())
        title = f"{notifier} took the test in {tried.seconds:.1f} s" if tried.is_ok else f"{notifier} did NOT deliver"
        lines = [tried.problem] if tried.problem else []
        connection.terminal.say(title, lines, colour="green" if tried.is_ok else "red")
        where = {"store": service.store.url, "service": service.settings.service_name}
        connection.terminal.answer({**where, **notifier_test_document(tried)})
        return 0 if tried.is_ok else EXIT_UNFORESEEN


def _lines(notifier: NotifierStatus) -> Iterator[str]:
    if notifier.cursor is None:
        yield "waiting   not known; no worker has seen it yet"
    else:
        yield f"waiting   {notifier.waiting} of the store's events"
    if notifier.is_off:
        yield f"OFF       {notifier.problem}; 'quiesce notifications retry {notifier.name}' switches it on"
    elif notifier.failing_since is not None:
        yield f"failing   since {format_instant(notifier.failing_since)}, {notifier.attempts} tries: {notifier.problem}"
        yield f"next try  {format_instant(notifier.next_try_at)}"
    elif notifier.problem:
        yield f"NOT SET UP where it is sent from: {notifier.problem}"
    if not notifier.is_attended:
        yield "workers   none that lives looks after it"
    for dead in notifier.dead[-_MOST_DEAD:]:
        again = ", to be sent again" if dead.is_due else ""
        yield f"given up  {dead.event.kind} ({dead.event.id}) after {dead.attempts} tries{again}: {dead.problem}"
    if len(notifier.dead) > _MOST_DEAD:
        yield f"          and {len(notifier.dead) - _MOST_DEAD} before these"
