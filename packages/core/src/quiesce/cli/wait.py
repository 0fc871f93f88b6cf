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
    "--timeout",
    "limit",
    type=Duration(may_be_zero=True),
    default="60s",
    help="How long to wait; 0 looks once. [default: 60s]",
)
@click.option(
    "--quiesced", is_flag=True, expose_value=False, help="Wait for quiescence; there is nothing else to wait for."
)
@click.option("--for", "steady", type=Duration(), help="For how long every look must find the system quiet.")
@click.option("--expect", type=click.IntRange(0, 100_000), help="How many workers must confirm. [default: 1]")
@connected
def wait(connection: Connection, *, limit: timedelta, steady: timedelta | None, expect: int | None) -> None:
    """Wait until nothing that is refused runs anywhere, and prove it."""
    if steady is not None and steady >= limit:
        raise click.UsageError("--for: the system cannot have been quiet for so long before --timeout")
    reports: list[QuiescenceReport] = []
    with connection.open() as service:
        try:
            prove_quiet(
                connection, service, limit=limit, expect=expect, steady=steady or timedelta(0), keep=reports.append
            )
        finally:
            if reports:
                connection.terminal.answer(
                    {
                        "store": service.store.url,
                        "service": service.settings.service_name,
                        "quiescence": quiescence_document(reports[-1]),
                    }
                )
