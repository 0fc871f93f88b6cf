"""Services on each of the stores, as a worker has them: registered, their agent's thread alive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from quiesce import EnhancedMaintenanceModeService, Settings, Store
from quiesce.stores.redis import RedisStore

ADAPTERS = ("fastapi", "flask")
"""Plugins without a hook; workers that serve nothing start sooner when they do not import both frameworks."""


class MachineRedisStore(RedisStore):
    """A Redis store as one machine has it: with a board that the processes of no other machine see."""

    def __init__(self, url: str, *, board_folder: Path) -> None:
        super().__init__(url)
        self._machine_board_path = board_folder / f"database-{url.rpartition('/')[2]}-board"

    @property
    def board_path(self) -> Path:
        """In the folder that stands for the machine; one for each database."""
        return self._machine_board_path


def make_service(
    url: str, *, board_folder: Path | None = None, service_name: str = "default"
) -> EnhancedMaintenanceModeService:
    """Return a service on a store; with a folder it is on Redis, on the machine that this folder stands for."""
    store: Store | None = None if board_folder is None else MachineRedisStore(url, board_folder=board_folder)
    return EnhancedMaintenanceModeService(
        Settings(store_url=url, service_name=service_name, disabled_plugins=ADAPTERS), store=store
    )


@contextmanager
def running_services(folder: Path, *, redis_url: str) -> Iterator[dict[str, EnhancedMaintenanceModeService]]:
    """Yield a started service on every store, by the store's name."""
    services = {
        "memory": make_service("memory://"),
        "SQLite": make_service(f"sqlite:///{folder}/benchmark.db"),
        "Redis": make_service(redis_url, board_folder=folder),
    }
    with ExitStack() as stack:
        for service in services.values():
            stack.callback(service.close)
            service.start()
        yield services
