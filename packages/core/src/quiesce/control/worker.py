"""What only a process that serves requests has: its gate, its agent, and what the leading one does besides."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ..gate import Agent, Board, Gate, Policy
from ..model import EffectiveMaintenance
from .alerts import AlertWatch
from .audit_upkeep import AuditUpkeep
from .emergency_logging import EmergencyLogging
from .emergency_steps import EmergencySteps
from .job_queues import JobQueues
from .lifecycle import Lifecycle
from .outbox import Outbox
from .proof import prove
from .session_upkeep import SessionUpkeep

if TYPE_CHECKING:
    from .runtime import Runtime


class Worker:
    """The gate with its agent, which starts at the first request.

    Attributes:
        gate: of this process.
        agent: of this process.
    """

    def __init__(self, runtime: Runtime, *, framework: str) -> None:
        settings, self._clock = runtime.settings, runtime.clock
        policy = Policy(
            exempt_paths=settings.exempt_paths,
            is_enabled=settings.enabled,
            is_simulating=settings.test_mode_simulation,
            refuses_writes_when_stale=settings.on_stale == "refuse-writes",
        )
        board = runtime.board() or Board(None)
        self.gate = Gate(classifier=runtime.classifier, policy=policy, board=board, clock=runtime.clock)
        if settings.secret_key is not None:
            self.gate.passes.trust(runtime.pass_signer)
        self.agent = Agent(
            store=runtime.store,
            gate=self.gate,
            clock=runtime.clock,
            framework=framework,
            test_log_level=logging.getLevelNamesMapping()[settings.test_mode_logging_level],
            gone_after=settings.worker_gone_after.total_seconds(),
            chain=runtime.chain,
        )
        self._lifecycle = Lifecycle(
            plugins=runtime.plugins,
            commit=runtime.committer.commit,
            clock=runtime.clock,
            hook_timeout=settings.hook_timeout,
            keep_ended=settings.cleanup_interval,
            is_quiet=lambda: prove(runtime, expected_workers=1).quiesced,
            renewals=runtime.store.lease_renewals,
            counts=runtime.store.counts,
        )
        self._sessions = SessionUpkeep(
            plugins=runtime.plugins,
            commit=runtime.committer.commit,
            items=runtime.store.items,
            clock=runtime.clock,
            interval=settings.cleanup_interval,
        )
        self._job_queues = JobQueues(
            plugins=runtime.plugins,
            store=runtime.store,
            load=runtime.committer.load,
            clock=runtime.clock,
            hook_timeout_seconds=settings.hook_timeout.total_seconds(),
            is_enforcing=settings.enabled,
        )
        self._emergency = EmergencySteps(runtime)
        self._outbox = Outbox(
            plugins=runtime.plugins,
            store=runtime.store,
            clock=runtime.clock,
            service_name=settings.service_name,
            hook_timeout_seconds=settings.hook_timeout.total_seconds(),
            settings=runtime.stored.settings,
        )
        self._alerts = AlertWatch(runtime, outage=lambda: self.agent.last_outage)
        self._audit = AuditUpkeep(runtime)
        self._logging = EmergencyLogging()
        if settings.enabled:
            self.agent.on_apply = self._logging.hear
        self.agent.on_lead = self._lead
        self.agent.listeners.add(self._look_at_news)
        self.agent.count_jobs = runtime.count_jobs

    def stop(self) -> None:
        """Let what runs come to its end, and take this process off the list of workers."""
        self._lifecycle.stop()
        self._sessions.stop()
        self._audit.stop()
        self._job_queues.stop()
        self._emergency.stop()
        self._outbox.stop()
        self._alerts.stop()
        self.agent.stop()
        self._logging.stop()

    def _look_at_news(self, _: EffectiveMaintenance) -> None:
        """Begin at once, not at the next heartbeat: a proof waits for the queues, people for an emergency's steps."""
        if self._clock.monotonic() < self.agent.leads_until:
            self._begin_what_is_urgent()

    def _begin_what_is_urgent(self) -> None:
        registered = self.agent.worker
        if registered is not None:
            state = self.gate.snapshot.state
            self._job_queues.step(state)
            self._emergency.step(state, actor=f"worker:{registered.id}")
            self._outbox.step(state)

    def _lead(self) -> None:
        self._begin_what_is_urgent()
        registered = self.agent.worker
        if registered is not None:
            state, actor = self.gate.snapshot.state, f"worker:{registered.id}"
            self._lifecycle.step(state, actor=actor)
            self._sessions.step(state, actor=actor)
            self._alerts.step(state, actor=actor)
            self._audit.step(actor=actor)
