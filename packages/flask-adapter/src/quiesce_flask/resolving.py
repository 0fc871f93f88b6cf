"""Finds the view behind a method and a path, and what it was marked as by ``@operation``."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter, RoutingException

from quiesce import WEBSOCKET, OperationType, operation_of


def view_operation_resolver(app: Flask) -> Callable[[str, str], OperationType | str | None]:
    """Return a resolver for ``classifier.add_resolver``; routes that are added later are found too."""

    def resolve_view_operation(method: str, path: str) -> OperationType | str | None:
        for adapter in _adapters(app):
            try:
                endpoint, _ = adapter.match(
                    path, "GET" if method == WEBSOCKET else method, websocket=method == WEBSOCKET
                )
            except (HTTPException, RoutingException):
                continue  # no view of this application runs
            found = operation_of(app.view_functions.get(endpoint), method=method)
            if found is not None:
                return found
        return None

    return resolve_view_operation


def _adapters(app: Flask) -> Iterator[MapAdapter]:
    """Yield an adapter for each host or subdomain that has rules: a classification holds for all of them."""
    url_map = app.url_map
    if url_map.host_matching:
        for host in sorted({rule.host or "" for rule in url_map.iter_rules()}):
            yield url_map.bind(host)
    else:
        for subdomain in sorted({rule.subdomain or "" for rule in url_map.iter_rules()}):
            yield url_map.bind("localhost", subdomain=subdomain)
