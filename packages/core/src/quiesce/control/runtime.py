"""The parts of one process, each made when it is first needed: a command that only reads starts none of them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ..clock import Clock
from ..gate import Agent, Board, Gate, MaintenanceOperationClassifier, Policy
from ..model import BUILTIN_OPERATIONS, BoardError, OperationType, SettingsError
from ..plugins import PluginManager
from ..settings import Settings
from ..stores import Store, open_store
from .committing import Committer
from .lifecycle import Lifecycle
from .proof import prove

if TYPE_CHECKING:
    from ..gate.pass_signing import PassSigner

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
        self._gate: Gate | None = None
        self._agent: Agent | None = None
        self._lifecycle: Lifecycle | None = None
        self.count_jobs: Callable[[], Mapping[str, int]] = dict
        """Says which tracked jobs this process runs."""
        self._board: Board | None = None
        self._board_problem = ""
        self.store = store or open_store(
            settings.store_url, service_name=settings.service_name, plugins=_LatePlugins(self)
        )
        self.committer = Committer(store=self.store, clock=clock, board=self.board)

    @property
    def plugins(self) -> PluginManager:
        """The installed plugins; loads them."""
        with self._lock:
            if self._plugins is None:
                self._plugins = PluginManager.load(disabled=self.settings.disabled_plugins)
            return self._plugins

    @property
    def classifier(self) -> MaintenanceOperationClassifier:
        """The classifier; loads the plugins."""
        with self._lock:
            if self._classifier is None:
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
            if self._gate is None:
                policy = Policy(
                    exempt_paths=self.settings.exempt_paths,
                    is_enabled=self.settings.enabled,
                    is_simulating=self.settings.test_mode_simulation,
                    refuses_writes_when_stale=self.settings.on_stale == "refuse-writes",
                )
                board = self.board() or Board(None)
                self._gate = Gate(classifier=self.classifier, policy=policy, board=board, clock=self.clock)
                if self.settings.secret_key is not None:
                    self._gate.passes.trust(self.pass_signer)
                self._agent = self._make_agent(self._gate)
            return self._gate

    @property
    def pass_signer(self) -> PassSigner:
        """What signs bypass passes.

        Raises:
            SettingsError: ``MAINTENANCE_SECRET_KEY`` is not set.
        """
        if self.settings.secret_key is None:
            raise SettingsError(["MAINTENANCE_SECRET_KEY: is not set; it signs passes, and there is no default"])
        from ..gate.pass_signing import PassSigner  # noqa: PLC0415 - 7 ms that a process without a key does not pay

        return PassSigner(self.settings.secret_key)

    def adopt_framework(self, framework: str) -> None:
        """Say what this process runs; holds for registrations from now on."""
        self._framework = framework
        if self._agent is not None:
            self._agent.framework = framework

    @property
    def agent(self) -> Agent | None:
        """The agent, if this process has a gate."""
        return self._agent

    def board(self) -> Board | None:
        """Return the machine's board, opened anew if its file was replaced; ``None`` when it cannot be had."""
        with self._lock:
            board = self._board if self._gate is None else self._gate.board
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
            if self._gate is not None:
                self._gate.use(self._board)
            return self._board

    def close(self) -> None:
        """Stop the agent and release the store."""
        if self._lifecycle is not None:
            self._lifecycle.stop()
        if self._agent is not None:
            self._agent.stop()
        self.store.close()

    def _make_agent(self, gate: Gate) -> Agent:
        agent = Agent(
            store=self.store,
            gate=gate,
            clock=self.clock,
            framework=self._framework,
            test_log_level=logging.getLevelNamesMapping()[self.settings.test_mode_logging_level],
            gone_after=self.settings.worker_gone_after.total_seconds(),
        )
        lifecycle = self._lifecycle = Lifecycle(
            plugins=self.plugins,
            commit=self.committer.commit,
            clock=self.clock,
            hook_timeout=self.settings.hook_timeout,
            keep_ended=self.settings.cleanup_interval,
            is_quiet=lambda: prove(self, expected_workers=1).quiesced,
            renewals=self.store.lease_renewals,
        )

        def lead() -> None:
            worker = agent.worker
            if worker is not None:
                lifecycle.step(gate.snapshot.state, actor=f"worker:{worker.id}")

        agent.on_lead = lead
        agent.count_jobs = self.count_jobs
        return agent


class _LatePlugins:
    """Loads the plugins only when a store's address asks for one."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def open_store(self, url: str) -> Store | None:
        return self._runtime.plugins.open_store(url)
