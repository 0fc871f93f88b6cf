"""The commands ``schedule add|list|show|cancel|change``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import click

from ..control.plan_fields import PlanFields
from ..control.schedule import Agenda
from ..model import MaintenanceWindow, Mode, Schedule, SessionPolicy
from ..web.documents import schedule_document, window_document
from .connection import Connection, connected, who_asks
from .describing import sessions_line, window_lines
from .failures import EXIT_INVALID
from .terminal import format_instant, format_span
from .values import Duration

_FIRST_SHOWN = 5

_FIELDS = (
    click.option("--reason", help="What users and the audit trail are told."),
    click.option("--start", metavar="TIME", help="ISO 8601; without an offset it is local time in --zone."),
    click.option("--zone", metavar="NAME", help="An IANA time zone such as Europe/Berlin. [default: UTC]"),
    click.option("--mode", type=click.Choice([str(mode) for mode in Mode]), help="How strict it is. [default: normal]"),
    click.option("--duration", type=Duration(), help="How long the work should take; an estimate, ends nothing."),
    click.option("--timeout", type=Duration(), help="How long after its start it ends by itself."),
    click.option("--end", metavar="TIME", help="The same as a time, like --start."),
    click.option("--rrule", metavar="RULE", help="Repeat by this RFC 5545 rule, e.g. FREQ=WEEKLY;BYDAY=SU."),
    click.option("--block", "operations", multiple=True, metavar="TYPE", help="A type to cover; repeatable."),
    click.option("--allow", multiple=True, metavar="TYPE", help="A type that passes all the same; repeatable."),
    click.option(
        "--announce", multiple=True, type=Duration(), help="How long before the start to announce it; repeatable."
    ),
    click.option("--ticket", metavar="TEXT", help="A link or number."),
    click.option(
        "--sessions",
        type=click.Choice([str(policy) for policy in SessionPolicy]),
        help="What becomes of the sessions of everyone but admins. [default: revoke; keep with --block]",
    ),
    click.option("--owner", metavar="NAME", help="Whose window it is. [default: you]"),
    click.option("--notify/--no-notify", "notify_users", default=None, help="Whether users are told. [default: yes]"),
    click.option("--overlap", is_flag=True, help="Although another window of the mode is open or planned then."),
)


def _with_fields(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_FIELDS):
        command = option(command)
    return command


@click.group(invoke_without_command=True)
@click.pass_context
def schedule(ctx: click.Context) -> None:
    """Plan windows: once, or by a rule."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(EXIT_INVALID)


@schedule.command()
@click.option("--id", "plan_id", metavar="ID", help="A name for it, of letters, digits, - and _. [default: made up]")
@_with_fields
@connected
def add(connection: Connection, *, plan_id: str | None, overlap: bool, **fields: Any) -> None:
    """Plan a window, or with --rrule many."""
    for field in ("reason", "start"):
        if fields[field] is None:
            raise click.UsageError(f"Missing option '--{field}'.")
    with connection.open() as service:
        planned = service.schedule.add(
            plan_id=plan_id, overlap=overlap, actor=who_asks(), source="cli", **_given(fields)
        )
        _tell(connection, "Planned", planned)


@schedule.command("list")
@connected
def list_(connection: Connection) -> None:
    """Show what is open and what is planned."""
    with connection.open() as service:
        agenda = service.schedule.agenda()
    now = datetime.now(UTC)
    if agenda.windows:
        connection.terminal.say("Windows", [_one_line(window, now=now) for window in _first_of_each(agenda)])
    if agenda.schedules:
        connection.terminal.say(
            "Schedules", [f"{s.id}: {s.rule} from {s.first} {s.zone}: {s.reason}" for s in agenda.schedules]
        )
    if not agenda.windows and not agenda.schedules:
        connection.terminal.say("Nothing is open, and nothing is planned")
    connection.terminal.answer(
        {
            "windows": [window_document(window, now=now) for window in agenda.windows],
            "schedules": [schedule_document(rule, now=now) for rule in agenda.schedules],
        }
    )


@schedule.command()
@click.argument("plan_id", metavar="ID")
@connected
def show(connection: Connection, *, plan_id: str) -> None:
    """Show one window or schedule."""
    with connection.open() as service:
        _tell(connection, "This is", service.schedule.get(plan_id))


@schedule.command()
@click.argument("plan_id", metavar="ID")
@connected
def cancel(connection: Connection, *, plan_id: str) -> None:
    """Take back a window to come, one of a schedule's windows, or a schedule; what is open stays open."""
    with connection.open() as service:
        _tell(connection, "Cancelled", service.schedule.cancel(plan_id, actor=who_asks(), source="cli"))


@schedule.command()
@click.argument("plan_id", metavar="ID")
@_with_fields
@connected
def change(connection: Connection, *, plan_id: str, overlap: bool, **fields: Any) -> None:
    """Change a window to come, or a schedule, in what is named; the rest stays as it is."""
    given = _given(fields)
    if not given:
        raise click.UsageError("name what is to change")
    with connection.open() as service:
        changed = service.schedule.change(plan_id, overlap=overlap, actor=who_asks(), source="cli", **given)
        _tell(connection, "Changed", changed)


def _given(fields: dict[str, Any]) -> PlanFields:
    given: PlanFields = {name: value for name, value in fields.items() if value is not None and value != ()}  # type: ignore[assignment] # the options above are these fields
    return given


def _tell(connection: Connection, done: str, planned: MaintenanceWindow | Schedule) -> None:
    now = datetime.now(UTC)
    title = f"{done} {'schedule' if isinstance(planned, Schedule) else 'window'} {planned.id}"
    if isinstance(planned, Schedule):
        connection.terminal.say(title, _schedule_lines(planned, now=now))
        connection.terminal.answer({"schedule": schedule_document(planned, now=now)})
    else:
        connection.terminal.say(title, window_lines(planned, now=now))
        connection.terminal.answer({"window": window_document(planned, now=now)})


def _first_of_each(agenda: Agenda) -> list[MaintenanceWindow]:
    """Return the windows of which there is something to say: of a schedule's coming ones only the first few."""
    shown: dict[str, int] = {}
    windows = []
    for window in agenda.windows:
        count = shown[window.schedule_id or window.id] = shown.get(window.schedule_id or window.id, 0) + 1
        if count <= _FIRST_SHOWN:
            windows.append(window)
    return windows


def _one_line(window: MaintenanceWindow, *, now: datetime) -> str:
    state = "is open  " if window.is_open(now) else "starts at"
    return f"{state} {format_instant(window.starts_at)}  {window.id} ({window.mode}): {window.reason}"


def _schedule_lines(rule: Schedule, *, now: datetime) -> Iterator[str]:
    yield f"rule      {rule.rule}"
    yield f"mode      {rule.mode}"
    yield f"reason    {rule.reason}"
    yield f"owner     {rule.owner}"
    yield f"first     {rule.first:%Y-%m-%d %H:%M} in {rule.zone}"
    yield f"length    {format_span(rule.length)}"
    if rule.estimated_duration is not None:
        yield f"estimate  {format_span(rule.estimated_duration)}"
    if rule.operations is not None:
        yield f"covers    {', '.join(sorted(rule.operations))}"
    if rule.allowed_operations:
        yield f"allows    {', '.join(sorted(rule.allowed_operations))}"
    yield sessions_line(rule)
    if rule.ticket:
        yield f"ticket    {rule.ticket}"
    coming = [start for start in rule.occurrences if start > now]
    for start in coming[:_FIRST_SHOWN]:
        yield f"starts    {format_instant(start)}: window {rule.window_id(start)}"
    if not coming:
        yield "starts    no more"
