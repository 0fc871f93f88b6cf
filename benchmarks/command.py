"""The command: which measurements run, in which order, and how their table is shown."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from . import (
    asgi,
    asgi_peers,
    cold_start,
    dead_webhooks,
    emergency,
    heartbeats,
    memory,
    outbox,
    proving,
    rules,
    session_requests,
    sessions,
    stored_sessions,
    visibility,
    wsgi,
    wsgi_peers,
)
from .field import Field, Situation
from .harness import FULL, QUICK, Effort
from .peers import missing
from .redis_server import private_redis
from .report import Row, as_json, as_markdown, as_text, machine, versions
from .stores import running_services

PARTS = (
    "requests",
    "visibility",
    "proving",
    "heartbeats",
    "command",
    "memory",
    "rules",
    "sessions",
    "emergency",
    "outbox",
)


class Results:
    """Rows and raw samples, as they come."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.raw: dict[str, list[float]] = {}

    def add(self, found: tuple[Sequence[Row], dict[str, list[float]]]) -> None:
        """Take what one measurement found."""
        self.rows += found[0]
        self.raw |= found[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for, print the table; a budget that is not met is said to be so, and is no failure."""
    options = _parser().parse_args(arguments)
    effort = QUICK if options.quick else FULL
    logging.getLogger("quiesce").addHandler(logging.NullHandler())
    started = time.monotonic()
    described = f"{machine()}; " + ", ".join(f"{name} {version}" for name, version in versions().items())
    results = Results()
    for peer in missing():
        _say(f"{peer} or what it needs is not installed: left out")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quiesce-bench-")))
        redis_url = stack.enter_context(private_redis(folder))
        for part in options.only or PARTS:
            _say(f"{part} ...")
            _measure(part, results, folder=folder, redis_url=f"{redis_url}/{PARTS.index(part)}", effort=effort)
    print((as_markdown if options.markdown else as_text)(results.rows))
    print(f"\n{described}.")
    missed = [row for row in results.rows if row.is_met is False]
    budgets = sum(row.budget is not None for row in results.rows)
    print(f"{budgets - len(missed)} of {budgets} budgets met, in {time.monotonic() - started:.0f} s.")
    if options.quick:
        print("A quick run shows that everything works; its figures mean nothing.")
    if options.json is not None:
        options.json.write_text(as_json(results.rows, raw=results.raw), encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run.py", description="Measure Quiesce beside the bare application and peers."
    )
    parser.add_argument("--quick", action="store_true", help="only see that everything works, in half a minute")
    parser.add_argument("--only", action="append", choices=PARTS, help="only this part; may be given again")
    parser.add_argument("--markdown", action="store_true", help="print the table for the README")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there as well")
    return parser


def _measure(part: str, results: Results, *, folder: Path, redis_url: str, effort: Effort) -> None:
    if part == "requests":
        _measure_requests(results, folder=folder, redis_url=redis_url, effort=effort)
    elif part == "visibility":
        results.add(visibility.on_one_machine(folder, effort=effort))
        results.add(visibility.over_redis(folder, redis_url=redis_url, effort=effort))
    elif part == "proving":
        results.add(proving.measure(folder, redis_url=redis_url, effort=effort))
    elif part == "emergency":
        results.add(emergency.measure(folder, redis_url=redis_url, effort=effort))
    elif part == "outbox":
        results.add(outbox.measure(folder, redis_url=redis_url, effort=effort))
        results.add(dead_webhooks.measure(folder, effort=effort))
    elif part == "heartbeats":
        results.add(heartbeats.measure(redis_url=redis_url, effort=effort))
    elif part == "command":
        results.add(cold_start.measure(folder, redis_url=redis_url, effort=effort))
    elif part == "memory":
        results.add(memory.measure(folder, effort=effort))
    elif part == "sessions":
        results.add(sessions.measure(folder, redis_url=redis_url, effort=effort))
        results.add(session_requests.measure(folder, effort=effort))
        results.add(stored_sessions.measure(folder, redis_url=redis_url, effort=effort))
    else:
        results.add(rules.measure(effort=effort))


def _measure_requests(results: Results, *, folder: Path, redis_url: str, effort: Effort) -> None:
    with ExitStack() as stack:
        services = stack.enter_context(running_services(folder, redis_url=redis_url))

        def open_windows() -> None:
            for service in services.values():
                service.enable(reason="benchmark", actor="benchmark")

        def nothing() -> None:
            """The services are shared: the first field opens their windows for all."""

        fields: list[Field | None] = [
            asgi.field(services, open_window=open_windows),
            wsgi.field(services, open_window=nothing),
            stack.enter_context(
                asgi_peers.field(services["SQLite"], folder=folder, redis_url=redis_url, open_window=nothing)
            ),
            wsgi_peers.flask_field(services["SQLite"], open_window=nothing),
            wsgi_peers.django_field(folder=folder),
        ]
        present = [field for field in fields if field is not None]
        for situation in Situation:
            if situation is Situation.ALLOWED:
                for field in present:
                    field.open_window()
            for field in present:
                results.add(field.measure(situation, effort=effort))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
