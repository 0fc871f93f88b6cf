"""What a service is made of, and its life in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..clock import Clock, SystemClock
from ..model import OperationType
from ..settings import Settings
from ..stores import Store
from .jobs import JobTracker
from .runtime import Runtime, settings_of
from .writing import CommandWriter

if TYPE_CHECKING:
    from ..gate import Gate, Guard, MaintenanceOperationClassifier
    from ..gate.listening import Listener
    from ..plugins import PluginManager
    from .audit import AuditDesk
    from .configuration import ConfigDesk
    from .notifications import NotificationDesk
    from .operators import OperatorDesk
    from .passes import PassDesk
    from .schedule import MaintenanceSchedule
    from .second_proof import SecondProof
    from .sessions import MaintenanceSessionManager


class ServiceParts:
    """Builds the parts from the settings, and ends them.

    Args:
        config: ``Settings``, or any object or mapping that holds settings under their environment names; ``None``:
            the environment and the TOML file.
        store: instead of the one that the settings name.
        plugins: instead of the installed ones.
        clock: for tests.
        framework: what this process runs, shown in reports.

    Raises:
        SettingsError: settings are wrong; every fault is listed.
        StoreURLError: the store's address names no store that can work.
    """

    def __init__(
        self,
        config: object | None = None,
        *,
        store: Store | None = None,
        plugins: PluginManager | None = None,
        clock: Clock | None = None,
        framework: str = "python",
    ) -> None:
        self._runtime = Runtime(
            settings_of(config), clock=clock or SystemClock(), store=store, plugins=plugins, framework=framework
        )
        self._writer = CommandWriter(self._runtime)
        self._sessions: MaintenanceSessionManager | None = None
        self._jobs = JobTracker(self._runtime, guard=self.guard, writer=self._writer)
        self._runtime.count_jobs = self._jobs.counts_here

    @property
    def settings(self) -> Settings:
        """The settings that this process was given; ``config.current()`` are those with what the store keeps."""
        return self._runtime.settings

    @property
    def store(self) -> Store:
        """The store that this service writes to."""
        return self._runtime.store

    @property
    def clock(self) -> Clock:
        """The clock by which windows are judged."""
        return self._runtime.clock

    @property
    def gate(self) -> Gate:
        """The gate of this process, for adapters."""
        return self._runtime.gate

    @property
    def classifier(self) -> MaintenanceOperationClassifier:
        """The classifier, to which an application adds its rules."""
        return self._runtime.classifier

    def add_plugin(self, plugin: object, *, name: str) -> None:
        """Add a plugin that no entry point names, before this process serves; checked like an installed one.

        Every process that serves requests has to add it: hooks run in the one that leads the cluster at that time.

        Args:
            plugin: an object, or a module, whose functions carry ``@hookimpl``.
            name: by which ``MAINTENANCE_DISABLE_PLUGINS`` knows it and its results stand in the audit trail.

        Raises:
            PluginError: the name is taken, or a hook is faulty; nothing was added.
            ConflictError: it is too late: this process serves already, or operations were classified without it.
        """
        self._runtime.add_plugin(plugin, name=name)

    def adopt_framework(self, framework: str) -> None:
        """Say what this process runs; for adapters, before the first request."""
        self._runtime.adopt_framework(framework)

    def guard(self, operation: OperationType | str) -> Guard:
        """Return a context manager and decorator for what only the code knows to be an operation of this type.

        Raises:
            InvalidValueError: no such type is known.
        """
        from ..gate import Guard  # noqa: PLC0415 - a command guards nothing

        return Guard(self.gate, self.classifier.operation(operation))

    def start(self) -> None:
        """Register this process now rather than at its first request; may wait for the store, bounded."""
        self.gate.revive()

    def stop(self) -> None:
        """Take this process off the list of workers; it comes back with its next request."""
        if self._runtime.agent is not None:
            self._runtime.agent.stop()

    @property
    def jobs(self) -> JobTracker:
        """The jobs that the application runs by itself."""
        return self._jobs

    @property
    def sessions(self) -> MaintenanceSessionManager:
        """The sessions of the application's users."""
        from .sessions import MaintenanceSessionManager  # noqa: PLC0415 - for those who ask about sessions

        if self._sessions is None:
            self._sessions = MaintenanceSessionManager(runtime=self._runtime, writer=self._writer)
        return self._sessions

    def on_change(self, listener: Listener) -> None:
        """Have the listener called with what is in force, in this process, whenever that has changed."""
        _ = self.gate
        if self._runtime.agent is not None:
            self._runtime.agent.listeners.add(listener)

    @property
    def schedule(self) -> MaintenanceSchedule:
        """The commands on windows to come."""
        from .schedule import MaintenanceSchedule  # noqa: PLC0415 - time zones, for the few processes that plan

        return MaintenanceSchedule(self._runtime, writer=self._writer)

    @property
    def passes(self) -> PassDesk:
        """The commands on bypass passes."""
        from .passes import PassDesk  # noqa: PLC0415 - for the few processes that hand them out

        return PassDesk(self._runtime, writer=self._writer)

    @property
    def has_news(self) -> bool:
        """Whether this process has committed events, which people are to be told of."""
        return self._runtime.committer.told_after is not None

    @property
    def notifications(self) -> NotificationDesk:
        """What tells people: how far each notifier is, and trying again what failed."""
        from .notifications import NotificationDesk  # noqa: PLC0415 - for the few processes that ask about them

        return NotificationDesk(self._runtime, writer=self._writer)

    @property
    def config(self) -> ConfigDesk:
        """The settings that the store keeps, for all processes, and those in force with them."""
        from .configuration import ConfigDesk  # noqa: PLC0415 - for the few processes that ask about them

        return ConfigDesk(self._runtime, writer=self._writer)

    @property
    def operators(self) -> OperatorDesk:
        """The operators who prove by an authenticator who they are."""
        from .operators import OperatorDesk  # noqa: PLC0415 - for the few processes that enrol them

        return OperatorDesk(self._runtime, writer=self._writer)

    @property
    def audit(self) -> AuditDesk:
        """The audit trail."""
        from .audit import AuditDesk  # noqa: PLC0415 - for the few processes that look at it

        return AuditDesk(self._runtime, writer=self._writer)

    @property
    def second_proof(self) -> SecondProof:
        """What judges the second proof that an emergency needs over HTTP."""
        from .second_proof import SecondProof  # noqa: PLC0415 - for the few processes that are asked for one

        return SecondProof(self._runtime, writer=self._writer)

    def close(self) -> None:
        """Take this process off the list of workers and release the store."""
        self._runtime.close()
