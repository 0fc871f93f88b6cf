"""The command ``recover``: end an emergency by its checklist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import click

from ..model import CheckKind, NotRecoveredError, RecoveryCheck
from ..web.emergency_documents import checks_document, recovery_document
from .connection import Connection, connected, who_asks
from .failures import EXIT_CONFLICT, CommandFailedError, Failure
from .windows import changing, look_for_workers, where


@click.command()
@click.argument("window_id", metavar="WINDOW", required=False)
@click.option("--threat-resolved", metavar="TEXT", default="", help="What was done about the threat.")
@click.option(
    "--ledger-reviewed", "is_ledger_reviewed", is_flag=True, help="You have looked at the jobs that were ended."
)
@click.option("--check", is_flag=True, help="Go through the checklist and end nothing.")
@click.option("--force", is_flag=True, help="End it although a line is not ok; the audit trail says so.")
@connected
def recover(
    connection: Connection,
    *,
    window_id: str | None,
    threat_resolved: str,
    is_ledger_reviewed: bool,
    check: bool,
    force: bool,
) -> int:
    """End an emergency by its checklist, of which part is looked at and part is your word."""
    if check and force:
        raise click.UsageError("--check and --force contradict each other")
    with connection.open() as service, changing(connection):
        handler = service.emergency
        if check:
            checks = handler.checklist(
                window_id, threat_resolved=threat_resolved, is_ledger_reviewed=is_ledger_reviewed
            )
            is_ok = all(each.is_ok for each in checks)
            title = "The checklist is ok; nothing was ended" if is_ok else "NOT OK; nothing was ended"
            connection.terminal.say(title, _lines(checks), colour="green" if is_ok else "red")
            connection.terminal.answer({**where(service), "recovery": None, "checks": checks_document(checks)})
            return 0 if is_ok else EXIT_CONFLICT
        try:
            recovery = handler.recover(
                window_id,
                threat_resolved=threat_resolved,
                is_ledger_reviewed=is_ledger_reviewed,
                force=force,
                actor=who_asks(),
                source="cli",
            )
        except NotRecoveredError as exc:
            raise CommandFailedError(_describe(connection, exc)) from exc
        how = "by force" if recovery.was_forced else "by its checklist"
        connection.terminal.say(f"Ended emergency {recovery.window_id} {how}", _lines(recovery.checks))
        look_for_workers(connection, service)
        connection.terminal.answer(
            {
                **where(service),
                "recovery": recovery_document(recovery),
                "checks": checks_document(recovery.checks),
            }
        )
    return 0


def _lines(checks: Iterable[RecoveryCheck]) -> Iterator[str]:
    for check in checks:
        whose = "" if check.kind is CheckKind.CHECKED else " (your word)"
        yield f"{'ok    ' if check.is_ok else 'NOT OK'}  {check.name}{whose}: {check.detail}"


def _describe(connection: Connection, error: NotRecoveredError) -> Failure:
    disable = connection.command("disable", "--window", error.window_id)
    return Failure(
        message=f"emergency {error.window_id} goes on: its checklist is not ok",
        kind="not_recovered",
        exit_code=EXIT_CONFLICT,
        facts={"window_id": error.window_id, "checks": checks_document(error.checks)},
        lines=(*_lines(error.checks), f"end it all the same with --force, or without any checklist: {disable}"),
    )
