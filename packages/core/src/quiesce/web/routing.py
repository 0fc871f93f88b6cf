"""Which endpoint a method and a path lead to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from ..gate.paths import ID_SEGMENT, template_of
from .exchange import ApiRequest, ApiResponse

PREFIX = "/api/maintenance"
HEALTH_PATH = "/api/health/maintenance"


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint: how it is called, and whether only admins may.

    Attributes:
        method: in capitals; ``GET`` answers ``HEAD`` too.
        path: without the mount prefix; a last segment ``{id}`` stands for the id of a window or schedule.
        name: unique among the endpoints.
        summary: one line for documents.
        needs_admin: whether only admins may.
        is_page: whether it is for people at a browser, and so no part of the API that programs are told of.
    """

    method: str
    path: str
    name: str
    summary: str
    needs_admin: bool
    is_page: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """What an endpoint is given.

    Attributes:
        request: as it came.
        actor: the admin who asks; empty at an endpoint for everyone.
        id: what stands for ``{id}`` in the path; empty at any other.
        source: for the audit trail; ``http`` and the address of the client.
    """

    request: ApiRequest
    actor: str
    id: str
    source: str = "http"


Endpoint: TypeAlias = tuple[Route, Callable[[Call], ApiResponse]]


class RoutingTable:
    """Finds endpoints by method and path."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._by_path: dict[str, dict[str, Endpoint]] = {}
        for endpoint in endpoints:
            self._by_path.setdefault(endpoint[0].path, {})[endpoint[0].method] = endpoint
        self._exact = frozenset(path for path in self._by_path if not path.endswith(ID_SEGMENT))
        self._parents = tuple(path.removesuffix("{id}") for path in self._by_path if path not in self._exact)
        self.routes = tuple(route for methods in self._by_path.values() for route, _ in methods.values())

    def leads_somewhere(self, path: str) -> bool:
        """Whether some method is served at this path."""
        return path in self._exact or (path.startswith(self._parents) and template_of(path) in self._by_path)

    def find(self, method: str, path: str) -> Endpoint | None:
        """Return the endpoint; that of ``GET`` for ``HEAD``."""
        return self._at(path).get("GET" if method == "HEAD" else method)

    def methods(self, path: str) -> tuple[str, ...]:
        """Return the methods that are served at this path."""
        return tuple(name for method in self._at(path) for name in ((method, "HEAD") if method == "GET" else (method,)))

    def _at(self, path: str) -> dict[str, Endpoint]:
        return self._by_path.get(path if path in self._exact else template_of(path), {})


def id_of(route: Route, path: str) -> str:
    """Return what stands in this path for the ``{id}`` of the route."""
    return path.rpartition("/")[2] if route.path.endswith(ID_SEGMENT) else ""
