"""The command ``explain``: what would be decided on a request, and by which rule."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import unquote

import click

from ..model import BypassPass, Decision, InvalidValueError, Outcome
from ..web.documents import pass_document, window_document
from .connection import Connection, connected

_METHOD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_LONGEST_PATH = 8192

_TITLES = {
    Outcome.PASSED: ("would pass: no open window covers it", "green"),
    Outcome.EXEMPT: ("would pass: it is exempt", "green"),
    Outcome.BYPASSED: ("would pass", "green"),
    Outcome.WOULD_BLOCK: ("would pass, and be counted as one that a normal window refuses", "cyan"),
    Outcome.REFUSED: (
        "would be refused with 503, unless an administrator or a pass lets it through",
        "yellow",
    ),
}


@click.command()
@click.argument("method")
@click.argument("path")
@connected
def explain(connection: Connection, *, method: str, path: str) -> None:
    """Show what would be decided now on such a request, and by which rule.

    METHOD is an HTTP method or WEBSOCKET. PATH is the path as a client sends it, without the prefix at which the
    application is mounted; a query is left out. Marks and rules that the application makes in its code are known to its
    workers only.
    """
    method, path = _check_method(method), _check_path(path)
    with connection.open() as service:
        decision = service.explain(method, path)
        opening = () if decision.is_allowed else service.passes.opening(method, path)
        title, colour = _TITLES[decision.outcome]
        connection.terminal.say(f"{method} {path} {title}", _lines(decision, opening), colour=colour)
        connection.terminal.answer(
            {
                "method": method,
                "path": path,
                "outcome": str(decision.outcome),
                "is_allowed": decision.is_allowed,
                "operation_type": decision.operation.name,
                "rule": decision.rule,
                "window": None if decision.window is None else window_document(decision.window, now=datetime.now(UTC)),
                "passes": [pass_document(each) for each in opening],
                "revision": decision.revision,
                "store": service.store.url,
                "service": service.settings.service_name,
            }
        )


def _lines(decision: Decision, opening: tuple[BypassPass, ...]) -> Iterator[str]:
    yield f"type      {decision.operation.name}: {decision.operation.description}"
    yield f"rule      {decision.rule}"
    if decision.window is not None:
        yield f"window    {decision.window.id} ({decision.window.mode}): {decision.window.reason}"
    yield from (f"pass      {each.id} for {each.name} lets it through" for each in opening)
    yield f"revision  {decision.revision}"
    yield "as settings, plugins and built-in rules say; marks and rules in the application's code are not seen here"


def _check_method(method: str) -> str:
    if not _METHOD.fullmatch(method):
        raise InvalidValueError("METHOD", f"{method!r:.80} is no HTTP method")
    return method.upper()


def _check_path(path: str) -> str:
    if not path.startswith("/"):
        raise InvalidValueError("PATH", f"{path!r:.80} is no path; it starts with '/'")
    if len(path) > _LONGEST_PATH:
        raise InvalidValueError("PATH", f"is longer than {_LONGEST_PATH} characters")
    return unquote(path.partition("?")[0])
