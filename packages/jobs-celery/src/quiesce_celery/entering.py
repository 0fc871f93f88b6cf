"""The door of every task, in the process in which it runs: written down before it begins, taken out when it has ended.

Whether work is held back is asked in the same step, in Redis. So a task that a worker had fetched before, or wakes for
now, does not begin under a hold, whatever that worker has heard of it; and what runs is counted by nobody's guess.
"""

from __future__ import annotations

import json
import logging
import os
import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from celery import Task
from celery.exceptions import Ignore
from redis import RedisError

from quiesce import QuiesceError

from . import processes
from .connecting import broker_of
from .notes import Run, restored_id
from .scripts import Scripts

STASH = "quiesce"
"""Under which name the main process of a worker hands on what the door needs."""

_AGAIN_SECONDS = 0.5
_TELL_SECONDS = 10.0
_DOOMED_SECONDS = 60.0
_RUN = "quiesce_run"
_UNTOLD: list[tuple[Run, str]] = []

T = TypeVar("T")
logger = logging.getLogger("quiesce")


class StoppedForMaintenanceError(QuiesceError, Ignore):  # type: ignore[misc]  # Celery ships no types
    """Raised by a task that ends unfinished because ``stopping`` said so; it is then put back after maintenance."""


def stopping() -> bool:
    """Whether the Celery task that asks is to end now; one short question to Redis. Outside a task: no."""
    from celery import current_task  # noqa: PLC0415 - a proxy, bound anew by each task

    task = current_task._get_current_object() if current_task else None  # noqa: SLF001 - how Celery's proxies are opened
    if task is None or getattr(task.request, _RUN, None) is None:
        return False
    broker = broker_of(task.app)
    return bool(broker.redis.exists(broker.ours("stopping")))


def guard_tasks(tasks: list[Task]) -> None:
    """Have each of these tasks pass the door before it begins."""
    for cls in {type(task) for task in tasks}:
        original = cls.before_start
        if not getattr(original, STASH, False):
            cls.before_start = _guarded(original)


def _guarded(original: Callable[..., Any]) -> Callable[..., Any]:
    def before_start(self: Task, task_id: str, args: Any, kwargs: Any) -> Any:
        begin(self)
        return original(self, task_id, args, kwargs)

    setattr(before_start, STASH, True)
    return before_start


def begin(task: Task) -> None:
    """Write down that the task that this process is at begins.

    Waits while Redis does not answer: what nobody can count must not begin.

    Raises:
        celery.exceptions.Ignore: it must not.
    """
    request = task.request
    stash = request.delivery_info.pop(STASH, None) if isinstance(request.delivery_info, dict) else None
    if stash is None:
        return
    pid = os.getpid()
    run = Run(
        **stash["run"],
        key=uuid.uuid4().hex,
        machine=processes.machine(),
        pid=pid,
        began=processes.begun_at(pid),
        is_late=bool(task.acks_late),
    )
    own_id, again_id = (json.dumps(each)[1:-1] for each in (run.id, restored_id(run.id, run.tag)))

    def enter(scripts: Scripts) -> str:
        return scripts.begin(run, body=stash["body"], mark=stash["mark"], own_id=own_id, again_id=again_id)

    while True:
        _tell_what_ended(task)
        answer = _insist(task, enter)
        if answer is not None:
            break
    if answer != "runs":
        why = "maintenance: it waits in its queue" if answer == "held" else "its message was ended, or put back"
        raise Ignore(why)
    setattr(request, _RUN, run)


def end(task: Task | None = None, retval: object = None, state: str | None = None, **_: object) -> None:
    """Take out the task that this process was at; a receiver of Celery's ``task_postrun``."""
    run = None if task is None else getattr(task.request, _RUN, None)
    if task is None or run is None:
        return
    setattr(task.request, _RUN, None)
    how = "stopped" if isinstance(retval, StoppedForMaintenanceError) else str(state or "UNKNOWN")
    if how == "stopped" and not task.request.ignore_result:
        # Not with the request: its chord waits for the copy.
        task.backend.mark_as_revoked(run.id, "stopped for maintenance", request=None)
    if not _leave(task, run, how):
        _UNTOLD.append((run, how))


def _tell_what_ended(task: Task) -> None:
    while _UNTOLD:
        run, how = _UNTOLD[0]
        if not _leave(task, run, how):
            return
        _UNTOLD.pop(0)


def _leave(task: Task, run: Run, how: str) -> bool:
    """Take a run out; whether Redis knows it now."""
    answer = _insist(task, lambda scripts: scripts.end(run, how))
    if answer == "doomed":
        # The signal is on its way; it must not hit another task.
        time.sleep(_DOOMED_SECONDS)
    return answer is not None


def _insist(task: Task, ask: Callable[[Scripts], T]) -> T | None:
    """Ask Redis again and again, for some seconds."""
    until = time.monotonic() + _TELL_SECONDS
    while True:
        try:
            return ask(Scripts(broker_of(task.app)))
        except (RedisError, OSError) as exc:
            if time.monotonic() > until:
                logger.warning("celery: a task waits for Redis, which counts what runs: %s", exc)
                return None
            time.sleep(_AGAIN_SECONDS)
