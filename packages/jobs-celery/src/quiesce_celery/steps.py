"""What a Celery worker starts with: the door for its tasks, the agent, and the hold that its event loop carries out."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from celery import bootsteps, signals
from redis import RedisError

from .agent import WorkerAgent
from .connecting import broker_of
from .entering import end, guard_tasks
from .notes import KNOWN_POOLS

_TICK_SECONDS = 0.1
_UID = "quiesce"
_workers: set[int] = set()


def is_worker() -> bool:
    """Whether this process is the main one of a worker."""
    return os.getpid() in _workers


class WorkerStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery ships no types
    """Puts the door in place before the pool's processes are forked, and runs the agent."""

    # The agent is a thread, so it begins when the pool has forked.
    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **_: Any) -> None:
        _workers.add(os.getpid())
        guard_tasks(list(worker.app.tasks.values()))
        signals.task_postrun.connect(end, weak=False, dispatch_uid=_UID)
        pool = worker.pool_cls if isinstance(worker.pool_cls, str) else worker.pool_cls.__module__
        kind = pool.partition(":")[0].rpartition(".")[2]
        worker.quiesce_agent = WorkerAgent(worker.app, node=worker.hostname, pool=kind)

    def start(self, worker: Any) -> None:
        """Begin to tell Redis of this worker."""
        with contextlib.suppress(RedisError, OSError):
            broker_of(worker.app)  # here, so that no later fork finds the thread amid imports
        worker.quiesce_agent.start()

    def stop(self, worker: Any) -> None:
        """Take leave."""
        worker.quiesce_agent.stop()

    terminate = stop


class ConsumerStep(bootsteps.StartStopStep):  # type: ignore[misc]  # as above
    """Cancels the worker's consumers under a hold, gives back what it has fetched, and consumes again afterwards."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **_: Any) -> None:
        self._agent: WorkerAgent = consumer.controller.quiesce_agent
        self._is_able = self._agent.pool in KNOWN_POOLS and consumer.hub is not None
        self._cancelled: dict[str, Any] = {}
        self._watched: Any = None
        self._entry: Any = None

    def start(self, consumer: Any) -> None:
        """Begin, anew after each loss of the connection."""
        self._cancelled = {}
        signals.task_received.connect(self._receive, weak=False, dispatch_uid=_UID)
        self._entry = consumer.timer.call_repeatedly(_TICK_SECONDS, self._tick, (consumer,))

    def stop(self, _consumer: Any) -> None:
        """End, before the connection does."""
        if self._entry is not None:
            self._entry.cancel()
            self._entry = None
        self._agent.tell(held="", reserved=0, active=0, queues=())

    def _receive(self, request: Any, **_: Any) -> None:
        self._agent.requests.receive(request)

    def _tick(self, consumer: Any) -> None:
        hold, tasks = self._agent.hold, consumer.task_consumer
        if tasks is None:
            return
        if self._agent.requests.is_killing:
            consumer.pool.maintain_pool()  # which looks by itself only every five seconds
        was_busy = True
        if hold and self._is_able:
            was_busy = self._hold(consumer)
        elif self._cancelled:
            for queue in self._cancelled.values():
                tasks.add_queue(queue)
            self._cancelled = {}
            tasks.consume()
        reserved, active = self._agent.requests.count()
        queues = tuple(sorted({queue.name for queue in tasks.queues} | self._cancelled.keys()))
        self._agent.tell(held="" if was_busy else hold, reserved=reserved, active=active, queues=queues)

    def _hold(self, consumer: Any) -> bool:
        """Carry the hold out; whether there was something to be done, or a message may still be on its way."""
        tasks = consumer.task_consumer
        self._watch(tasks)
        found = list(tasks.queues)
        for queue in found:
            tasks.cancel_by_queue(queue.name)
            self._cancelled[queue.name] = queue
        given = self._agent.requests.give_back()
        return bool(found or given or getattr(tasks.channel, "_in_poll", None))

    def _watch(self, tasks: Any) -> None:
        """Do not consume again from what an operator cancels meanwhile: the consumer is all that tells of it.

        Celery 5.6 leaves a queue that was cancelled and added again out of its own list of what is selected.
        """
        if tasks is self._watched:
            return
        cancel = tasks.cancel_by_queue

        def cancel_for_good(queue: Any) -> Any:
            self._cancelled.pop(getattr(queue, "name", queue), None)
            return cancel(queue)

        tasks.cancel_by_queue = cancel_for_good
        self._watched = tasks
