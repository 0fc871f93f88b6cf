"""What the tests of the control plane share: a clock that is moved by hand, and services on real stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from quiesce.control import EnhancedMaintenanceModeService
from quiesce.plugins import PluginManager
from quiesce.settings import Settings
from quiesce.testing import FakeClock

MakeService = Callable[..., EnhancedMaintenanceModeService]


@pytest.fixture
def clock() -> FakeClock:
    """Noon, until the test moves it."""
    return FakeClock()


@pytest.fixture
def make_service(clock: FakeClock) -> Iterator[MakeService]:
    """Make services, on memory:// unless a store or an address is given; they are closed with the test."""
    made: list[EnhancedMaintenanceModeService] = []

    def make(url: str = "memory://", *, store: Any = None, plugins: Any = None, **settings: Any) -> Any:
        service = EnhancedMaintenanceModeService(
            Settings(store_url=url, **settings), store=store, plugins=plugins or PluginManager(), clock=clock
        )
        made.append(service)
        return service

    yield make
    for service in made:
        service.close()


@pytest.fixture
def service(make_service: MakeService) -> EnhancedMaintenanceModeService:
    """A service on a store in memory."""
    return make_service()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The address of a SQLite store of one's own."""
    return f"sqlite:///{tmp_path}/maintenance.db"


@pytest.fixture(params=["memory", "sqlite"])
def any_service(request: pytest.FixtureRequest, make_service: MakeService, sqlite_url: str) -> Any:
    """A service on each kind of store that needs no server."""
    return make_service("memory://" if request.param == "memory" else sqlite_url)
