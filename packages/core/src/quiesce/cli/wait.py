"""The command ``wait``: the proof of quiescence for what is open already."""

from __future__ import annotations

from datetime import timedelta

import click

from ..model import QuiescenceReport
from ..web.documents import quiescence_document
from .connection import Connection, connected
from .values import Duration
from .waiting import prove_quiet


@click.command()
@click.option(
    "--timeout", "limit", type=Duration(may_be_zero=True), required=True, help="How long to wait; 0 looks once."
)
@click.option("--expect", type=click.IntRange(0, 100_000), help="How many workers must confirm. [default: 1]")
@connected
def wait(connection: Connection, *, limit: timedelta, expect: int | None) -> None:
    """Wait until nothing that is refused runs anywhere, and prove it."""
    reports: list[QuiescenceReport] = []
    with connection.open() as service:
        try:
            prove_quiet(connection, service, limit=limit, expect=expect, keep=reports.append)
        finally:
            if reports:
                connection.terminal.answer(
                    {
                        "store": service.store.url,
                        "service": service.settings.service_name,
                        "quiescence": quiescence_document(reports[-1]),
                    }
                )
