"""The commands ``workers list`` and ``workers forget``: who applies what is in force, and who is gone for good."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ..model import QuiescenceReport, WorkerReport
from ..web.documents import quiescence_document
from .connection import Connection, connected, who_asks
from .describing import count_of_workers
from .terminal import format_instant
from .waiting import warn_of_nobody
from .windows import changing


@click.group()
def workers() -> None:
    """List the workers of the application, and forget those that are gone."""


@workers.command("list")
@connected
def list_(connection: Connection) -> None:
    """List the processes that are attached to the store, with what each has confirmed."""
    with connection.open() as service:
        report = service.quiescence()
        warn_of_nobody(connection.terminal, service, report)
        connection.terminal.say(
            f"{count_of_workers(len(report.workers))} attached to {service.store.url}, revision {report.revision}",
            _lines(report),
        )
        connection.terminal.answer(
            {
                "store": service.store.url,
                "service": service.settings.service_name,
                "revision": report.revision,
                "workers": quiescence_document(report)["workers"],
            }
        )


@workers.command()
@click.argument("worker_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@connected
def forget(connection: Connection, *, worker_id: str, yes: bool) -> None:
    """Take a worker that fell silent off the list, so that no proof waits for it.

    Only you can know that its machine is gone: if it still runs, cut off from the store, a proof would be wrong.
    """
    if not yes:
        click.confirm(f"Is worker {worker_id!r:.80} gone for good, and not only cut off?", abort=True, err=True)
    with connection.open() as service, changing(connection):
        report = service.forget_worker(worker_id, actor=who_asks(), source="cli")
        connection.terminal.say(f"Forgot worker {report.worker.id}", [_describe(report)])
        connection.terminal.answer(
            {
                "store": service.store.url,
                "service": service.settings.service_name,
                "forgotten": {"id": report.worker.id, "host": report.worker.host, "pid": report.worker.pid},
            }
        )


def _lines(report: QuiescenceReport) -> Iterator[str]:
    confirmed = frozenset(report.confirmed)
    for worker in report.workers:
        yield f"{worker.worker.id}  {_describe(worker)}" + (", confirmed" if worker.worker.id in confirmed else "")


def _describe(report: WorkerReport) -> str:
    worker, acknowledgement = report.worker, report.acknowledgement
    applied = "nothing yet" if acknowledgement is None else f"revision {acknowledgement.revision}"
    return (
        f"pid {worker.pid} on {worker.host} ({worker.framework}) since {format_instant(worker.started_at)},"
        f" heard of {report.heartbeat_age:.1f} s ago, applies {applied}"
    )
