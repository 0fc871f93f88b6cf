"""The questions that a service answers: what is in force, what was refused, whether the system is quiet."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from ..model import CountKey, Decision, IncidentReport, QuiescenceReport, ReportHeading
from .parts import ServiceParts
from .proof import prove, wait_for_proof
from .status import MaintenanceStatus, describe_status


class ServiceQuestions(ServiceParts):
    """What is asked about maintenance; changes nothing."""

    def get_maintenance_status(self) -> MaintenanceStatus:
        """Return the status: in a worker what it applies, elsewhere what the store holds; reads no plugin.

        Raises:
            StoreError: this process is no worker, and the store does not answer.
        """
        agent = self._runtime.agent
        operations = self._runtime.known_operations.values()
        now = self._runtime.clock.now()
        if agent is not None and agent.worker is not None:
            gate = self._runtime.gate
            return describe_status(
                gate.renew().state,
                now=now,
                operations=operations,
                is_stale=gate.is_stale,
                active_jobs=self.jobs.total_lately(),
                is_enforcing=self.settings.enabled,
            )
        state = self._runtime.committer.load()
        active_jobs = sum(self.jobs.counts().values())
        return describe_status(state, now=now, operations=operations, is_stale=False, active_jobs=active_jobs)

    def blocked_counts(self) -> Mapping[CountKey, int]:
        """Return how often what was refused, passed or would have been, over all workers.

        Raises:
            StoreError: the store does not answer.
        """
        return self.store.counts()

    def quiescence(self, *, expected_workers: int = 1) -> QuiescenceReport:
        """Return whether the system is quiet now, computed anew from the store.

        Args:
            expected_workers: how many must confirm at least; with none at all nothing is proved, unless 0 is asked for.

        Raises:
            StoreError: the store does not answer; nothing is known then, and unknown is not quiet.
        """
        return prove(self._runtime, expected_workers=expected_workers)

    def wait_until_quiesced(self, *, timeout: timedelta, expected_workers: int = 1) -> QuiescenceReport:
        """Return the first report that says quiesced, or the last one when the time is up.

        Raises:
            StoreError: the store did not answer until the time was up.
        """
        return wait_for_proof(self._runtime, timeout=timeout, expected_workers=expected_workers)

    def report(self, window_id: str) -> IncidentReport:
        """Return all that is known of a window, open or over, also when the state has forgotten it.

        Raises:
            NoSuchWindowError: nothing is known of such a window.
            StoreError: the store does not answer.
        """
        from .reports import gather_report  # noqa: PLC0415 - for after the incident

        return gather_report(self._runtime, window_id=window_id)

    def reports(self, *, limit: int = 100) -> tuple[ReportHeading, ...]:
        """Return the windows that have opened and can be reported on, the newest first.

        Raises:
            StoreError: the store does not answer.
        """
        from .reports import list_headings  # noqa: PLC0415 - for after the incident

        return list_headings(self._runtime, limit=limit)

    def explain(self, method: str, path: str) -> Decision:
        """Return what would be decided now on such a request from somebody who is no admin.

        Raises:
            StoreError: the store does not answer.
        """
        gate = self._runtime.gate
        gate.adopt(self._runtime.committer.load())
        return gate.explain(method.upper(), path)
