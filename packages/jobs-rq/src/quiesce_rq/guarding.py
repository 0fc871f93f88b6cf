"""A queue that asks Quiesce before it takes a job."""

from __future__ import annotations

from typing import Any

from rq import Queue

from quiesce import EnhancedMaintenanceModeService, OperationType


class GuardedQueue(Queue):
    """An ``rq.Queue`` whose every way in is guarded as an operation of type ``job_creation``.

    While a window refuses that, enqueueing and scheduling raise ``OperationRefusedError``, which the adapters answer
    with the 503. Jobs that RQ itself enqueues, a retry or a dependent job, are not asked for: its workers use a plain
    queue.

    Args:
        name: of the queue.
        service: who is asked.
        operation: the type by which windows refuse it.
        options: as ``rq.Queue`` takes them; ``connection`` is needed.
    """

    def __init__(
        self,
        name: str = "default",
        *,
        service: EnhancedMaintenanceModeService,
        operation: OperationType | str = OperationType.JOB_CREATION,
        **options: Any,
    ) -> None:
        super().__init__(name, **options)
        self._service = service
        self._operation = operation

    def enqueue_call(self, *args: Any, **options: Any) -> Any:
        """Enqueue, if no open window refuses it."""
        with self._service.guard(self._operation):
            return super().enqueue_call(*args, **options)

    def enqueue_job(self, *args: Any, **options: Any) -> Any:
        """Enqueue, if no open window refuses it."""
        with self._service.guard(self._operation):
            return super().enqueue_job(*args, **options)

    def enqueue_many(self, *args: Any, **options: Any) -> Any:
        """Enqueue, if no open window refuses it."""
        with self._service.guard(self._operation):
            return super().enqueue_many(*args, **options)

    def schedule_job(self, *args: Any, **options: Any) -> Any:
        """Schedule, if no open window refuses it."""
        with self._service.guard(self._operation):
            return super().schedule_job(*args, **options)
