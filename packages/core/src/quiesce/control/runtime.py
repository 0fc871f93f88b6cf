"""The parts of one process, each made when it is first needed: a command that only reads starts none of them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from ..clock import Clock
from ..gate import Board
from ..model import BUILTIN_OPERATIONS, AuditChain, BoardError, ConflictError, OperationType, SettingsError
from ..settings import Settings
from ..stores import Store, open_store
from .committing import Committer
from .stored_settings import StoredSettings

if TYPE_CHECKING:
    from ..gate import Agent, Gate, MaintenanceOperationClassifier
    from ..gate.pass_signing import PassSigner
    from ..plugins import PluginManager
    from .emergency_standby import Standby
    from .worker import Worker

_CLASSIFYING = ("classify_operation", "operation_types")

logger = logging.getLogger("quiesce")


class Runtime:
    """Settings, clock and store, and what is built on them."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        store: Store | None = None,
        plugins: PluginManager | None = None,
        framework: str,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self._framework = framework
        self._lock = threading.RLock()
        self._plugins = plugins
        self._classifier: MaintenanceOperationClassifier | None = None
        self._worker: Worker | None = None
        self.count_jobs: Callable[[], Mapping[str, int]] = dict
        """Says which tracked jobs this process runs."""
        self.standby: Standby | None = None
        """What carries out the steps of emergencies that were begun here, if no worker does."""
        self._board: Board | None = None
        self._board_problem = ""
        self.store = store or open_store(
            settings.store_url, service_name=settings.service_name, plugins=_LatePlugins(self)
        )
        self.chain = AuditChain(settings.secret_keys)
        """What chains the audit records."""
        self.committer = Committer(store=self.store, clock=clock, board=self.board, chain=self.chain)
        self.stored = StoredSettings(settings, store=self.store, clock=clock)
        """The settings in force: those that this process was given, with what the store keeps."""

    @property
    def plugins(self) -> PluginManager:
        """The installed plugins; loads them."""
        with self._lock:
            if self._plugins is None:
                from ..plugins import PluginManager  # noqa: PLC0415 - most commands ask no plugin

                self._plugins = PluginManager.load(disabled=self.settings.disabled_plugins)
            return self._plugins

    @property
    def has_plugins(self) -> bool:
        """Whether plugins were loaded, or given to this process."""
        return self._plugins is not None

    def plugins_named(self, names: Collection[str]) -> PluginManager:
        """Return the loaded plugins or, if none are, only those of these names: adapters take a second to import."""
        if self._plugins is not None:
            return self._plugins
        from importlib.metadata import entry_points  # noqa: PLC0415 - only who must call a plugin waits for this

        from ..plugins import PluginManager  # noqa: PLC0415 - most commands ask no plugin
        from ..plugins.discovery import GROUP  # noqa: PLC0415 - the same

        wanted = [each for each in entry_points(group=GROUP) if each.name in names]
        return PluginManager.load(
            disabled=frozenset(self.settings.disabled_plugins) & frozenset(names), entry_points=wanted
        )

    def add_plugin(self, plugin: object, *, name: str) -> None:
        """Add a plugin, unless something was built without it that would have asked it."""
        with self._lock:
            if self._worker is not None:
                raise ConflictError(f"plugin {name!r} comes too late: this process serves requests already")
            if self._classifier is not None and any(hasattr(plugin, hook) for hook in _CLASSIFYING):
                raise ConflictError(
                    f"plugin {name!r} comes too late: add what classifies before anything is classified"
                )
            self.plugins.register(plugin, name)

    @property
    def classifier(self) -> MaintenanceOperationClassifier:
        """The classifier; loads the plugins."""
        with self._lock:
            if self._classifier is None:
                from ..gate import MaintenanceOperationClassifier  # noqa: PLC0415 - most commands classify nothing

                self._classifier = MaintenanceOperationClassifier(
                    rules=self.settings.rules, plugins=self.plugins, operations=self.settings.operations
                )
            return self._classifier

    @property
    def known_operations(self) -> Mapping[str, OperationType]:
        """The operation types that are known without loading any plugin."""
        if self._classifier is not None:
            return self._classifier.operations
        return {operation.name: operation for operation in (*BUILTIN_OPERATIONS, *self.settings.operations)}

    @property
    def gate(self) -> Gate:
        """The gate of this process; made with its agent, which starts at the first request."""
        with self._lock:
            if self._worker is None:
                from .worker import Worker  # noqa: PLC0415 - a command is none

                self._worker = Worker(self, framework=self._framework)
            return self._worker.gate

    @property
    def pass_signer(self) -> PassSigner:
        """What signs bypass passes.

        Raises:
            SettingsError: ``MAINTENANCE_SECRET_KEY`` is not set.
        """
        if self.settings.secret_key is None:
            raise SettingsError(["MAINTENANCE_SECRET_KEY: is not set; it signs passes, and there is no default"])
        from ..gate.pass_signing import PassSigner  # noqa: PLC0415 - 7 ms that a process without a key does not pay

        return PassSigner(self.settings.secret_keys)

    def adopt_framework(self, framework: str) -> None:
        """Say what this process runs; holds for registrations from now on."""
        self._framework = framework
        if self._worker is not None:
            self._worker.agent.framework = framework

    @property
    def agent(self) -> Agent | None:
        """The agent, if this process has a gate."""
        return None if self._worker is None else self._worker.agent

    def board(self) -> Board | None:
        """Return the machine's board, opened anew if its file was replaced; ``None`` when it cannot be had."""
        with self._lock:
            board = self._board if self._worker is None else self._worker.gate.board
            if board is not None and board.is_current():
                return board
            try:
                self._board = Board(self.store.board_path)
            except BoardError as exc:
                if str(exc) != self._board_problem:
                    self._board_problem = str(exc)
                    logger.warning("%s", exc)
                return None
            self._board_problem = ""
            if self._worker is not None:
                self._worker.gate.use(self._board)
            return self._board

    def close(self) -> None:
        """Stop the agent and release the store."""
        if self.standby is not None:
            self.standby.stop()
        if self._worker is not None:
            self._worker.stop()
        self.store.close()


def settings_of(config: object | None) -> Settings:
    """Return the settings that an application's configuration stands for; ``None``: those of the environment.

    Raises:
        SettingsError: settings are wrong; every fault is listed.
    """
    if config is None:
        return Settings.load()
    return config if isinstance(config, Settings) else Settings.from_config(config)


class _LatePlugins:
    """Loads the plugins only when a store's address asks for one."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def open_store(self, url: str) -> Store | None:
        return self._runtime.plugins.open_store(url)
