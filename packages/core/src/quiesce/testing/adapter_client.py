"""What the contract of an adapter asks of its subclass: a client of one small application."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Protocol

import pytest

from ..control import EnhancedMaintenanceModeService
from ..model import OperationType, Principal
from ..plugins import PluginManager
from ..settings import Settings

ADMIN_TOKEN = "contract-admin-token"  # noqa: S105 - of services that live for one test
SECRET_KEY = "contract-secret-key"  # noqa: S105 - of services that live for one test
PAYMENTS = OperationType("payments", "Taking payments", "Payments are paused.")
NO_HEADERS: Mapping[str, str] = MappingProxyType({})

MakeService = Callable[..., EnhancedMaintenanceModeService]


class Answer(NamedTuple):
    """A response; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class AdapterClient(Protocol):
    """Sends requests to the application, one after another."""

    def request(self, method: str, path: str, *, headers: Mapping[str, str] = NO_HEADERS, body: bytes = b"") -> Answer:
        """Return the whole answer; an error out of the application is a 500, as a server would make it.

        Args:
            method: in capitals.
            path: as on the wire, percent-encoded, with a query or without.
            headers: besides ``Host`` and ``Content-Length``, which are sent unless they are given.
            body: of the request.
        """

    def abandon(self, method: str, path: str) -> bytes:
        """Go away after the first piece of the answer's body, and return that piece."""


class AdapterBase:
    """The one thing that a subclass gives, and the services that it is given.

    Attributes:
        framework: the name under which the adapter's workers stand in reports.
    """

    framework: ClassVar[str]

    def client(
        self,
        *,
        service: EnhancedMaintenanceModeService,
        identify: Callable[[Any], Principal | None] | None = None,
    ) -> AdapterClient:
        """Build the application, put the adapter's ``init_app`` onto it, and return a client.

        The application has these routes, and nothing else:

        ============ ============= ===================================================================
        methods      path          answer
        ============ ============= ===================================================================
        GET          /items        200 ``items``
        POST         /items        201 ``made``
        GET, POST    /api/jobs     200 ``jobs``
        GET, POST    /admin/panel  200 ``panel``
        POST         /login        200 ``in``
        GET          /health       200 ``ok``
        GET, POST    /stream       200, three pieces; each is ``str(len(service.gate.in_flight))`` when it is made
        GET, POST    /boom         raises ``RuntimeError``
        GET          /guarded      200 ``guarded`` from inside ``with service.guard("payments")``
        GET          /payments     200 ``paid``; the view is marked ``@operation("payments")``
        ============ ============= ===================================================================
        """
        raise NotImplementedError

    @pytest.fixture
    def make_service(self) -> Iterator[MakeService]:
        """Make services with a memory of their own, and these settings besides; they are closed after the test."""
        with contextlib.ExitStack() as opened:

            def make(**settings: Any) -> EnhancedMaintenanceModeService:
                fixed = {"store_url": "memory://", "admin_token": ADMIN_TOKEN, "operations": (PAYMENTS,)}
                checked = Settings(**{"secret_key": SECRET_KEY, **fixed, **settings})
                # Whatever else is installed where the adapter is tested is not what its contract is about.
                service = EnhancedMaintenanceModeService(checked, plugins=PluginManager())
                opened.callback(service.close)
                return service

            yield make

    @pytest.fixture
    def service(self, make_service: MakeService) -> EnhancedMaintenanceModeService:
        """A service with nothing open."""
        return make_service()


class Users:
    """An application's users: the cookie ``user`` names one, who is an admin while the name is in ``admins``."""

    def __init__(self, *admins: str) -> None:
        self.admins = set(admins)
        self.asked = 0
        """How often ``identify`` was called."""

    def identify(self, request: Any) -> Principal | None:
        """Return the user of a request of Werkzeug or Starlette."""
        self.asked += 1
        user = request.cookies.get("user")
        return None if user is None else Principal(user_id=user, is_admin=user in self.admins)


def as_user(name: str) -> dict[str, str]:
    """Return the headers of a request from this user."""
    return {"Cookie": f"user={name}"}


def with_token() -> dict[str, str]:
    """Return the headers of a command by the admin token."""
    return {"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": "application/json"}
