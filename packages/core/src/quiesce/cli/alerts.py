"""The command ``alerts``: what operators are to look at."""

from __future__ import annotations

import click

from ..web.alert_documents import alerts_document
from .connection import Connection, connected
from .describing import alert_line


@click.command()
@connected
def alerts(connection: Connection) -> None:
    """List the alerts that are open."""
    with connection.open() as service:
        status = service.get_maintenance_status()
        count = len(status.alerts)
        title = f"{count} alert{'' if count == 1 else 's'} open" if count else "No alert is open"
        lines = [alert_line(alert) for alert in status.alerts]
        connection.terminal.say(title, lines, colour="red" if count else "green")
        where = {"store": service.store.url, "service": service.settings.service_name}
        connection.terminal.answer({**where, **alerts_document(status.alerts, is_stale=status.is_stale)})
