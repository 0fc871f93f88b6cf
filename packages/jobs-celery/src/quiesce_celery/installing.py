"""Making a Celery application known to Quiesce, in every process that imports it."""

from __future__ import annotations

from typing import Any

from celery import Celery

from quiesce import EnhancedMaintenanceModeService, OperationType

from .connecting import configure
from .steps import ConsumerStep, WorkerStep, is_worker


def init_app(
    app: Celery,
    *,
    service: EnhancedMaintenanceModeService | None = None,
    operation: OperationType | str = OperationType.JOB_CREATION,
) -> None:
    """Put a Celery application under maintenance mode: its workers cooperate, and its tasks are guarded.

    Call it where the application is made, so that web processes and workers do alike; again, with a service, where
    that is made.

    Args:
        app: the application; its broker is a Redis.
        service: who is asked before a task is sent, whichever way: ``delay``, ``apply_async``, ``send_task``, canvases,
            celery beat. While a window refuses that, sending raises ``OperationRefusedError``. What a worker sends,
            for a running task or on its own, is not asked for, and waits in its queue. ``None``: nobody is asked.
        operation: the type by which windows refuse it.
    """
    app.steps["worker"].add(WorkerStep)
    app.steps["consumer"].add(ConsumerStep)
    configure(app=app)
    if service is not None:
        _guard(app, service=service, operation=operation)


def _guard(app: Celery, *, service: EnhancedMaintenanceModeService, operation: OperationType | str) -> None:
    """Guard the one way that all ways to send a task lead to."""
    original = getattr(app.send_task, "quiesce_original", app.send_task)

    def send_task(*args: Any, **options: Any) -> Any:
        # An error would hit a worker amid its own business: a retry, the next of a chain, what waits for a failure.
        if app.current_worker_task is not None or is_worker():
            return original(*args, **options)
        with service.guard(operation):
            return original(*args, **options)

    send_task.quiesce_original = original  # type: ignore[attr-defined]  # so that a second service takes the first's place
    app.send_task = send_task
